"""A folder at a URL, through fsspec. What fails for a moment is tried again."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import fsspec
from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from sweep.errors import StorageFailed
from sweep.storage import join

logger = logging.getLogger(__name__)
T = TypeVar("T")

_LASTING = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ImportError,
    ValueError,
    TypeError,
    NotImplementedError,
)
"""Errors that the same call would meet again; any other may be the network's."""

_TRIES = 5
_LONGEST_WAIT_S = 8.0


class RemoteFolder:
    """A folder at a URL that fsspec knows.

    Credentials and endpoints come from the environment, as the storage's own package reads
    them (for S3: `AWS_…`).

    Args:
        url: where it lies.

    Raises:
        ImportError: when the package for URLs of its kind is missing; says which.
        StorageFailed: when fsspec cannot open it.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            self._system, self._path = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            raise ImportError(
                f"states cannot be saved to {self.url}: a package is missing on this machine. "
                f"{error}"
            ) from error
        except Exception as error:
            raise StorageFailed(f"cannot open {self.url}: {_words(error)}") from error

    def write(self, name: str, content: bytes) -> None:
        """See `sweep.storage.Folder`: one put, which object stores do whole or not at all."""
        try:
            self._do("write", name, lambda: self._put(name, content))
        except FileNotFoundError as error:
            raise StorageFailed(f"cannot write {join(self.url, name)}: {_words(error)}") from error

    def read(self, name: str) -> bytes:
        """See `sweep.storage.Folder`."""
        content: bytes = self._do("read", name, lambda: self._system.cat_file(self._at(name)))
        return content

    def names(self) -> list[str]:
        """See `sweep.storage.Folder`."""
        try:
            found = self._do("list", "", self._list)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in found]

    def remove(self, name: str) -> None:
        """See `sweep.storage.Folder`."""
        try:
            self._do("remove", name, lambda: self._system.rm_file(self._at(name)))
        except FileNotFoundError:
            return

    def clear(self) -> bool:
        """See `sweep.storage.Folder`."""
        try:
            self._do("remove", "", self._remove_all)
        except FileNotFoundError:
            return False
        return True

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _put(self, name: str, content: bytes) -> None:
        try:
            self._system.pipe_file(self._at(name), content)
        except FileNotFoundError:  # a storage with real folders, and this one is not there yet
            self._make_folders()
            self._system.pipe_file(self._at(name), content)

    def _make_folders(self) -> None:
        """Make the folder and those above it, the first apart: that may be a bucket's name."""
        root = "/" if self._path.startswith("/") else ""
        parts = self._path.strip("/").split("/")
        for depth in range(2, len(parts) + 1):
            with suppress(FileExistsError):
                self._system.mkdir(root + "/".join(parts[:depth]), create_parents=False)

    def _list(self) -> list[str]:
        self._system.invalidate_cache()
        found: list[str] = self._system.ls(self._path, detail=False)
        return found

    def _remove_all(self) -> None:
        self._system.invalidate_cache()
        self._system.rm(self._path, recursive=True)

    def _do(self, what: str, name: str, call: Callable[[], T]) -> T:
        """Call, several times when need be.

        Raises:
            FileNotFoundError: when there is nothing there.
            StorageFailed: when it fails for good, naming the URL.
        """
        retrying = Retrying(
            retry=retry_if_not_exception_type(_LASTING),
            stop=stop_after_attempt(_TRIES),
            wait=wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT_S),
            before_sleep=before_sleep_log(logger, logging.WARNING),
            reraise=True,
        )
        url = join(self.url, name) if name else self.url
        try:
            return retrying(call)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise StorageFailed(f"cannot {what} {url}: {_words(error)}") from error


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
