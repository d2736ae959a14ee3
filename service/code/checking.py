"""Checks an archive before it is kept. Nothing of it is ever written to disk by its name.

What the archive says of itself is checked first: names, kinds, sizes, places. Then every
entry is read to its end and counted, since a header may say anything.
"""

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from service.code.directory import check_directory
from sweep.code_names import check_name
from sweep.errors import BadCode
from sweep.records import CodeLimits

MAX_RATIO = 200
"""How many times its own size an archive may unpack to."""

_RATIO_FROM = 4 << 20
"""Bytes that any archive may unpack to, whatever its ratio."""
_CHUNK = 256 * 1024
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_PKWARE_UNIX = 0x000D
_ASI_UNIX = 0x756E
_PKWARE_FIXED = 12
_UNREADABLE = (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OSError)


@dataclass(frozen=True)
class CheckedCode:
    """What a checked archive holds."""

    files: int
    unpacked: int
    """Bytes of all its files."""


def check(file: IO[bytes], size: int, limits: CodeLimits) -> CheckedCode:
    """Check an archive.

    Args:
        file: a file that is open for reading.
        size: its length in bytes.
        limits: what it may be.

    Raises:
        BadCode: naming the entry, and what is wrong with it.
    """
    if size > limits.archive_bytes:
        raise BadCode(f"it has {size:,} bytes, and at most {limits.archive_bytes:,} are taken")
    check_directory(file, limits)
    with opened(file) as archive:
        entries = archive.infolist()
        _check_counts(entries, size, limits)
        _check_names(entries)
        for entry in entries:
            _check_kind(entry)
        _check_places(entries, size)
        total = 0
        for entry in entries:
            total += _count(archive, entry, limits.unpacked_bytes - total)
            _check_ratio(total, size)
    files = sum(1 for entry in entries if not entry.is_dir())
    return CheckedCode(files, total)


def opened(file: IO[bytes]) -> zipfile.ZipFile:
    """The zip file in a file.

    Raises:
        BadCode: when it is none.
    """
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        raise BadCode("this is no zip file with something in it; `sweep submit --code` makes one")
    file.seek(0)
    try:
        return zipfile.ZipFile(file)
    except _UNREADABLE as error:
        raise BadCode(f"this zip file cannot be read: {error}") from None


def _check_counts(entries: Sequence[zipfile.ZipInfo], size: int, limits: CodeLimits) -> None:
    for entry in entries:
        if entry.file_size > limits.unpacked_bytes:
            raise BadCode(
                f"says that it has {entry.file_size:,} bytes, and an archive may unpack to "
                f"{limits.unpacked_bytes:,} at most",
                entry=entry.orig_filename,
            )
    total = sum(entry.file_size for entry in entries)
    if total > limits.unpacked_bytes:
        raise BadCode(
            f"it unpacks to {total:,} bytes, and at most {limits.unpacked_bytes:,} are taken"
        )
    _check_ratio(total, size)


def _check_ratio(total: int, size: int) -> None:
    if total > _RATIO_FROM and total > MAX_RATIO * size:
        raise BadCode(
            f"it unpacks to more than {MAX_RATIO} times its size: from {size:,} to {total:,} bytes "
            "and more"
        )


def _check_names(entries: Sequence[zipfile.ZipInfo]) -> None:
    seen: dict[str, str] = {}
    files: set[str] = set()
    for entry in entries:
        name = entry.orig_filename
        check_name(name)
        path = _same(name.rstrip("/"))
        if path in seen:
            raise BadCode(_twice(name, seen[path]), entry=name)
        seen[path] = name
        if not entry.is_dir():
            files.add(path)
    if not files:
        raise BadCode("it holds no file")
    for path, name in seen.items():
        for parent in _parents(path):
            if parent in files:
                raise BadCode(f"lies in {seen[parent]!r}, which is a file", entry=name)


def _same(path: str) -> str:
    """What paths have in common that are one file on some machines."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _twice(name: str, other: str) -> str:
    if name.rstrip("/") == other.rstrip("/"):
        return "stands twice in the archive"
    return f"is the same file as {other!r} where case or the form of letters does not count"


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for depth in range(1, len(parts)):
        yield "/".join(parts[:depth])


def _check_kind(entry: zipfile.ZipInfo) -> None:
    mode = entry.external_attr >> 16
    kind = stat.S_IFMT(mode)
    wrong = None
    if stat.S_ISLNK(mode):
        wrong = "is a symbolic link"
    elif _links(entry.extra):
        wrong = "is a link to another file"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        wrong = "is no plain file but a device, a pipe or a socket"
    elif kind and (kind == stat.S_IFDIR) != entry.is_dir():
        wrong = "says both that it is a file and that it is a folder"
    elif mode & (stat.S_ISUID | stat.S_ISGID):
        wrong = "would run as somebody else (setuid or setgid)"
    elif entry.flag_bits & _ENCRYPTED:
        wrong = "is encrypted"
    elif entry.compress_type not in _METHODS:
        wrong = f"is compressed by method {entry.compress_type}: use deflate"
    elif entry.is_dir() and entry.file_size:
        wrong = "is a folder with content of its own"
    if wrong is not None:
        raise BadCode(wrong, entry=entry.orig_filename)


def _links(extra: bytes) -> bool:
    """Whether an entry's extra fields name what it is a (hard) link to."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _ASI_UNIX or (kind == _PKWARE_UNIX and length > _PKWARE_FIXED):
            return True
        at += 4 + length
    return False


def _check_places(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    """No two entries share bytes: a small file could unpack to a huge one that way."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end or entry.header_offset + entry.compress_size > size:
            raise BadCode("lies where another entry lies", entry=entry.orig_filename)
        end = entry.header_offset + entry.compress_size


def _count(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, room: int) -> int:
    """The bytes that an entry really has; reads no further than there is room."""
    total = 0
    try:
        with archive.open(entry) as content:
            while chunk := content.read(_CHUNK):
                total += len(chunk)
                if total > room:
                    raise BadCode("unpacks to more than is taken", entry=entry.orig_filename)
    except (*_UNREADABLE, zlib.error, EOFError, RuntimeError) as error:
        raise BadCode(f"cannot be unpacked: {error}", entry=entry.orig_filename) from None
    if total != entry.file_size:
        raise BadCode(
            f"says that it has {entry.file_size:,} bytes and has {total:,}",
            entry=entry.orig_filename,
        )
    return total
