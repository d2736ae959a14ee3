"""The client's side of users' code: a folder packed to be sent, a spec that names it."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx

from sweep.archive import Archive, pack
from sweep.errors import SpecError

UPLOAD_TIMEOUT = httpx.Timeout(120, connect=5)

_PIECE = 256 * 1024
_IN_MEMORY = 4 << 20


@contextmanager
def packed(folder: Path | str) -> Iterator[tuple[Archive, BinaryIO]]:
    """A folder's archive in a file that is gone after the block.

    Raises:
        BadCode: when the folder cannot be packed.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        yield pack(Path(folder), file), file


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """A file's bytes from its start, in pieces."""
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece


def with_code(document: str, address: str) -> str:
    """A spec, as JSON, that names an archive.

    Raises:
        SpecError: when it is no mapping.
    """
    raw = json.loads(document)
    if not isinstance(raw, dict):
        raise SpecError(f"a spec is a mapping of fields to values; got {raw!r:.100}")
    return json.dumps({**raw, "code": address})
