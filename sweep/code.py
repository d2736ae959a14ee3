"""The client's side of users' code: a folder packed and sent."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

from sweep.archive import Archive, pack
from sweep.records import CodeLimits

_TIMEOUT = httpx.Timeout(120, connect=5)

_PIECE = 256 * 1024
_IN_MEMORY = 4 << 20


@contextmanager
def packed(folder: Path | str, limits: CodeLimits) -> Iterator[tuple[Archive, IO[bytes]]]:
    """A folder's archive in a file that is gone after the block.

    Raises:
        BadCode: when the folder cannot be packed.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        yield pack(Path(folder), file, limits), file


def upload(http: httpx.Client, folder: Path | str, limits: CodeLimits) -> httpx.Response:
    """Send a folder's archive, unless the service has it already; the last answer.

    Raises:
        BadCode: when the folder cannot be packed.
    """
    with packed(folder, limits) as (archive, file):
        path = f"/v1/code/{archive.digest}"
        answer = http.head(path)
        if answer.status_code != httpx.codes.NOT_FOUND:
            return http.get(path)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(archive.size)}
        return http.put(path, content=_pieces(file), headers=headers, timeout=_TIMEOUT)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """A file's bytes from its start, in pieces."""
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece
