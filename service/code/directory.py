"""A look at a zip file's directory before `zipfile` reads it.

`zipfile` makes an object of every entry, which takes far more memory than the entry, and walks
its extra fields by copying what is left of them, so that long ones of many short fields take it
minutes. Archives of code need few entries, and almost no such fields.
"""

import struct
from typing import IO

from sweep.errors import BadCode
from sweep.records import CodeLimits

_MAX_EXTRA = 1_024
_MAX_COMMENT = 1 << 16
_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\x05\x06"
_END_64 = struct.Struct("<4sQ2H2L4Q")
_END_64_MARK = b"PK\x06\x06"
_LOCATOR_MARK = b"PK\x06\x07"
_LOCATOR = struct.Struct("<4sLQL")
_TAIL = _MAX_COMMENT + _END.size + _LOCATOR.size + _END_64.size
"""Bytes from the file's end in which `zipfile` looks for the records of the directory's end."""
_ENTRY = struct.Struct("<4s24x3H12x")
_ENTRY_MARK = b"PK\x01\x02"


def check_directory(file: IO[bytes], limits: CodeLimits) -> None:
    """Refuse too many entries, and long extra fields; leave what else is wrong to `zipfile`.

    Raises:
        BadCode: naming the entry, where it is one.
    """
    directory, at, entries = _directory(file), 0, 0
    while at + _ENTRY.size <= len(directory):
        mark, name, extra, comment = _ENTRY.unpack_from(directory, at)
        if mark != _ENTRY_MARK:
            break
        if extra > _MAX_EXTRA:
            start = at + _ENTRY.size
            raise BadCode(
                f"has {extra:,} bytes of extra fields, and at most {_MAX_EXTRA:,} are taken",
                entry=directory[start : start + name].decode(errors="replace"),
            )
        at += _ENTRY.size + name + extra + comment
        entries += 1
    if entries > limits.files:
        raise BadCode(f"it has {entries:,} entries, and at most {limits.files:,} are taken")


def _directory(file: IO[bytes]) -> bytes:
    """The bytes of the directory, found as `zipfile` finds it; none where there is no end."""
    size = file.seek(0, 2)
    tail_at = file.seek(max(size - _TAIL, 0))
    tail = file.read()
    end = _end(tail)
    if end < 0:
        return b""
    length, locator = _END.unpack_from(tail, end)[5], end - _LOCATOR.size
    if locator >= 0 and tail.startswith(_LOCATOR_MARK, locator):  # very many entries
        end = locator - _END_64.size
        length = _length_64(tail, end, said=_LOCATOR.unpack_from(tail, locator)[2] - tail_at)
    start = tail_at + end - length
    if start < 0:
        return b""
    file.seek(start)
    return file.read(length)


def _length_64(tail: bytes, at: int, *, said: int) -> int:
    """The directory's length by the record for very many entries.

    Versions of `zipfile` look for that record in two places, which must be one.

    Raises:
        BadCode: when they are not, or it is not there.
    """
    if at < 0 or said != at or not tail.startswith(_END_64_MARK, at):
        raise BadCode("this zip file cannot be read: its directory's end is not where it says")
    length: int = _END_64.unpack_from(tail, at)[8]
    return length


def _end(tail: bytes) -> int:
    """Where the record that ends the directory begins; -1 when there is none."""
    last = len(tail) - _END.size
    if last >= 0 and tail.startswith(_END_MARK, last) and tail.endswith(b"\x00\x00"):
        return last
    found = tail.rfind(_END_MARK)
    return found if 0 <= found <= last else -1
