"""Names: an archive's address, and those that files of a user's own code may have.

The latter are checked where files are packed and where they are kept.
"""

import re
from collections.abc import Sequence

from sweep.errors import BadCode

_MAX_NAME = 500
_MAX_PART = 255
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_OURS = frozenset({"sweep", "workers", "ray"})
_IMPORTED = frozenset({"py", "pyc", "so", "pyd"})
"""Last parts of the names of files that Python imports: source, bytecode, machine code."""

_SHA256 = "sha256:"


def address_of(digest: str) -> str:
    """What a spec's `code` is, of an archive whose bytes have that SHA-256 in hexadecimal."""
    return _SHA256 + digest


def digest_of(address: str) -> str:
    """The SHA-256, in hexadecimal, in what a spec's `code` is."""
    return address.removeprefix(_SHA256)


def check_name(name: str) -> None:
    """Check the name of a file in an archive, or of a folder, which ends with a slash.

    Raises:
        BadCode: naming it, and what is wrong with it.
    """
    if _SURROGATE.search(name):
        shown = name.encode(errors="backslashreplace").decode()
        raise BadCode("has a name that is not UTF-8: give it another one", entry=shown)
    wrong = _wrong(name)
    if wrong is not None:
        raise BadCode(wrong, entry=name)


def _wrong(name: str) -> str | None:
    parts = name.removesuffix("/").split("/")
    wrong = None
    if name.startswith("/"):
        wrong = "has an absolute path"
    elif _DRIVE.match(name):
        wrong = "has the letter of a drive"
    elif "\\" in name:
        wrong = "has a backslash in its path"
    elif ".." in parts:
        wrong = "leads to a parent folder"
    elif "" in parts or "." in parts:
        wrong = "has an empty part in its path"
    elif _CONTROL.search(name):
        wrong = "has a control character in its path"
    elif len(name) > _MAX_NAME or any(len(part.encode()) > _MAX_PART for part in parts):
        wrong = f"has a path of more than {_MAX_NAME} characters, or {_MAX_PART} bytes a part"
    elif _hides_ours(parts):
        wrong = "hides a package that trials need: give it another name"
    return wrong


def _hides_ours(parts: Sequence[str]) -> bool:
    """Whether a path is a module or a package with a name of ours, in whatever form."""
    *folders, file = parts
    stem, _, ending = file.partition(".")
    if ending.rpartition(".")[2] not in _IMPORTED:
        return False
    if not folders:
        return stem in _OURS
    return len(folders) == 1 and stem == "__init__" and folders[0] in _OURS
