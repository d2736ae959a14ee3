"""The client's side of users' code: a folder packed and sent."""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

from sweep.archive import Archive, pack
from sweep.lookup import check_trainable
from sweep.records import CodeLimits
from sweep.trainables import is_script

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


def check_packed(file: IO[bytes], document: str) -> None:
    """Check that a packed folder has what a spec's trainable names, if that lies in code.

    Raises:
        SpecError: when it has not.
    """
    trainable = json.loads(document).get("trainable")
    if isinstance(trainable, str) and (":" in trainable or is_script(trainable)):
        with zipfile.ZipFile(file) as archive:
            check_trainable(archive, trainable)


def upload(http: httpx.Client, folder: Path | str, limits: CodeLimits) -> httpx.Response:
    """Send a folder's archive, unless the service has it already; the last answer.

    Raises:
        BadCode: when the folder cannot be packed.
    """
    with packed(folder, limits) as (archive, file):
        path = f"/v1/code/{archive.digest}"
        answer = http.get(path)
        if answer.status_code != httpx.codes.NOT_FOUND:
            return answer
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(archive.size)}
        return http.put(path, content=_pieces(file), headers=headers, timeout=_TIMEOUT)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """A file's bytes from its start, in pieces."""
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece
