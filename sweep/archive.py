"""A folder of a user's own code as an archive: the same files always make the same bytes.

A zip file with sorted names and one fixed time, whose address is the SHA-256 of its bytes.
Folders that no training needs (`.git`, `__pycache__`, virtual environments) are left out,
and so is what a `.sweepignore` in the folder names, in the patterns of a `.gitignore`.
"""

import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from sweep.code_names import address_of, check_name
from sweep.errors import BadCode
from sweep.records import CodeLimits

IGNORE_FILE = ".sweepignore"

_ALWAYS_IGNORED = (
    *(".git/", ".hg/", ".svn/", "__pycache__/", ".venv/", "venv/", ".tox/", "node_modules/"),
    *(".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".ipynb_checkpoints/"),
    *("*.pyc", "*.pyo", ".DS_Store"),
)
_CHUNK = 256 * 1024
_TIME = (1980, 1, 1, 0, 0, 0)
_NAMED = 5
"""How many of the largest files an error names."""


@dataclass(frozen=True)
class Archive:
    """A packed folder."""

    digest: str
    """The SHA-256 of its bytes, in hexadecimal."""
    size: int
    """In bytes."""
    files: int

    @property
    def address(self) -> str:
        """What a spec's `code` is."""
        return address_of(self.digest)


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    folders_only: bool
    keeps: bool


def pack(folder: Path, to: IO[bytes], limits: CodeLimits) -> Archive:
    """Write a folder's files as an archive.

    Args:
        folder: the folder.
        to: a file that can be read again.
        limits: what the archive may be.

    Raises:
        BadCode: when there is no such folder or no file in it, a file cannot be read, or it
            is too large; names the largest files.
    """
    files = list(_files(folder))
    _check(folder, files, limits)
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files:
            _add(archive, name, path)
    size = to.tell()
    if size > limits.archive_bytes:
        raise BadCode(
            f"{folder} packs to {_mb(size)}, and at most {_mb(limits.archive_bytes)} are taken: "
            f"{_largest(files)}"
        )
    return Archive(_hash(to), size, len(files))


def _hash(file: IO[bytes]) -> str:
    file.seek(0)
    found = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        found.update(chunk)
    return found.hexdigest()


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system = 3  # Unix, wherever it is made
    entry.compress_type = zipfile.ZIP_DEFLATED
    try:
        runs = path.stat().st_mode & stat.S_IXUSR
        content = path.read_bytes()
    except OSError as error:
        raise BadCode(f"{path} cannot be read: {error.strerror}") from None
    entry.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
    archive.writestr(entry, content)


def _check(folder: Path, files: Sequence[tuple[str, Path]], limits: CodeLimits) -> None:
    if not folder.is_dir():
        raise BadCode(f"there is no folder {str(folder)!r} to take code from")
    if not files:
        raise BadCode(f"there is no file in {str(folder)!r} that is not ignored")
    if len(files) > limits.files:
        raise BadCode(
            f"{folder} has {len(files):,} files, and at most {limits.files:,} are taken: name what "
            f"trainings do not need in its {IGNORE_FILE}"
        )
    total = sum(path.stat().st_size for _, path in files)
    if total > limits.unpacked_bytes:
        raise BadCode(
            f"{folder} has {_mb(total)} of files, and at most {_mb(limits.unpacked_bytes)} are "
            f"taken: {_largest(files)}"
        )


def _largest(files: Sequence[tuple[str, Path]]) -> str:
    sizes = sorted(((path.stat().st_size, name) for name, path in files), reverse=True)
    named = ", ".join(f"{name} ({_mb(size)})" for size, name in sizes[:_NAMED])
    return f"name what trainings do not need in its {IGNORE_FILE}; the largest files are {named}"


def _mb(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MiB"


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that is not ignored, by its path in the folder, in order.

    Raises:
        BadCode: for a link, what is neither file nor folder, or a name that is not taken.
    """
    rules = [_rule(line) for line in _ALWAYS_IGNORED]
    rules += _read_rules(folder / IGNORE_FILE)
    found: list[tuple[str, Path]] = []
    for parent, folders, names in os.walk(folder, onerror=_unreadable):
        at = PurePosixPath(*Path(parent).relative_to(folder).parts)
        kept = [n for n in folders if not _ignored(rules, str(at / n), is_folder=True)]
        for name in kept:
            _check_plain(folder, str(at / name))
        folders[:] = kept
        for name in names:
            path = str(at / name)
            if not _ignored(rules, path, is_folder=False):
                _check_plain(folder, path)
                check_name(path)
                found.append((path, Path(parent, name)))
    yield from sorted(found)


def _unreadable(error: OSError) -> None:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return  # the folder itself, which is told of by itself
    raise BadCode(f"the folder {str(error.filename)!r} cannot be read: {error.strerror}") from None


def _check_plain(folder: Path, name: str) -> None:
    """Refuse a link or a device: it is not something to leave out in silence.

    Raises:
        BadCode: naming it.
    """
    mode = (folder / name).lstat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "no plain file"
        raise BadCode(
            f"{name!r} is {kind}, which an archive of code cannot hold: put a file in its place, "
            f"or name it in {IGNORE_FILE}"
        )


def _read_rules(file: Path) -> list[_Rule]:
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise BadCode(f"{file} cannot be read: {error}") from None
    stripped = (line.rstrip() for line in lines)
    return [_rule(line) for line in stripped if line and not line.startswith("#")]


def _rule(line: str) -> _Rule:
    """A line of a `.gitignore`: the last one that matches a path decides."""
    keeps = line.startswith("!")
    line = line.removeprefix("!")
    folders_only, line = line.endswith("/"), line.rstrip("/")
    anchored = "/" in line
    pattern = _translate(line.lstrip("/"))
    try:
        made = re.compile(pattern if anchored else f"(?:.*/)?{pattern}")
    except re.error as error:
        raise BadCode(
            f"{IGNORE_FILE} has a pattern that cannot be read: {line!r}: {error}"
        ) from None
    return _Rule(made, folders_only, keeps)


_PARTS = re.compile(r"(\*\*/)|(/\*\*$)|(\*+)|(\?)|(\[!?\]?(?:\\.|[^\]\\])*\])|\\(.)|(.)", re.DOTALL)


def _translate(glob: str) -> str:
    made = []
    for above, below, stars, one, group, escaped, other in _PARTS.findall(glob):
        if above:
            made.append("(?:.*/)?")
        elif below:
            made.append("/.+")
        elif stars:
            made.append("[^/]*")
        elif one:
            made.append("[^/]")
        elif group:
            made.append(_translate_group(group[1:-1]))
        else:
            made.append(re.escape(escaped or other))
    return "".join(made)


def _translate_group(inner: str) -> str:
    negated = inner.startswith("!")
    literal = re.sub(r"\\(.)|\[", lambda found: re.escape(found[1] or "["), inner.removeprefix("!"))
    return f"[{'^' if negated else ''}{literal}]"


def _ignored(rules: Sequence[_Rule], name: str, *, is_folder: bool) -> bool:
    for rule in reversed(rules):
        if (is_folder or not rule.folders_only) and rule.pattern.fullmatch(name):
            return not rule.keeps
    return False
