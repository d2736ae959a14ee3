"""Folders of whole files, on this machine or at a URL.

A plain path (or `file://…`) is a folder of this machine, or of a file system that several
machines mount. Any other URL goes through fsspec: `s3://bucket/path`, `gs://…`, `abfs://…`.
The packages behind a URL are loaded when a folder is opened, not before.
"""

import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Protocol

from sweep.errors import StorageFailed

PARTIAL = ".partial"
"""How the name of a file that is being written ends."""

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):(.*)$", re.DOTALL)
_UNFIT = {
    "memory": "lives in one process alone",
    "http": "cannot be written to",
    "https": "cannot be written to",
}


class Folder(Protocol):
    """Files in one folder, by name. A file is there whole or not at all.

    Methods raise `StorageFailed` for an error that lasts, naming the URL.
    """

    url: str

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a file; the folder is made when it is not there."""
        ...

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            FileNotFoundError: when it is not there.
        """
        ...

    def names(self) -> list[str]:
        """The files' names; none when the folder is not there."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; nothing when it is not there."""
        ...

    def clear(self) -> bool:
        """Remove the folder with all that is in it; whether it was there."""
        ...


def open_folder(url: str) -> Folder:
    """The folder at a path or URL. Nothing is read or written yet.

    Raises:
        ImportError: when a package is missing for URLs of its kind; says which.
        StorageFailed: when no storage can be opened there.
    """
    scheme = scheme_of(url)
    if scheme in (None, "file"):
        return LocalFolder(Path(url.removeprefix("file://")))
    from sweep.remote import RemoteFolder  # fsspec, which a folder on this machine does not need

    return RemoteFolder(url)


def scheme_of(url: str) -> str | None:
    """What a URL begins with, in small letters; None for a plain path."""
    found = _SCHEME.match(url)
    return found[1].lower() if found and found[2].startswith("//") else None


def join(url: str, *names: str) -> str:
    """The URL or path of what lies in a folder."""
    return "/".join([url.rstrip("/"), *names])


def split(url: str) -> tuple[str, str]:
    """The folder and the name in a file's URL or path."""
    folder, _, name = url.rpartition("/")
    return folder, name


def check_root(url: str) -> str:
    """The path (made absolute) or URL of a folder for saved states, its form checked.

    No package of a cloud is loaded and nothing is opened.

    Raises:
        ValueError: saying what is wrong and what to write.
    """
    found, scheme = _SCHEME.match(url), scheme_of(url)
    if scheme is None:
        if found is not None:
            raise ValueError(f"{url!r} is no URL: write {found[1]}://{found[2].lstrip('/')}")
        return str(Path(url).expanduser().absolute())
    place = url.partition("://")[2]
    if scheme == "file":
        if not place.startswith("/"):
            raise ValueError(f"{url!r} names no folder: write file:///the/folder")
        return place
    _check_remote(url, scheme, place)
    return url.rstrip("/")


def _check_remote(url: str, scheme: str, place: str) -> None:
    import fsspec  # its list of protocols; no package of a cloud is loaded by it

    if "::" in url:
        raise ValueError(f"{url!r} chains URLs: name one storage")
    if scheme in _UNFIT:
        raise ValueError(f"{url!r}: a {scheme} URL {_UNFIT[scheme]}; use a folder, s3://, gs://, …")
    if scheme not in fsspec.available_protocols():
        known = ", ".join(fsspec.available_protocols())
        raise ValueError(f"{url!r}: fsspec knows no {scheme} URLs; it knows {known}")
    if not place.strip("/"):
        raise ValueError(f"{url!r} names no bucket or folder: write {scheme}://bucket/folder")
    host = place.partition("/")[0]
    if ":" in host.rpartition("@")[0]:
        raise ValueError(
            f"the {scheme} URL holds a password, which everybody who may see a trial would see: "
            "give it to the nodes in their environment"
        )


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.url = str(path)
        self._path = path

    def write(self, name: str, content: bytes) -> None:
        """See `Folder`: under another name first, then renamed."""
        path = self._path / name
        partial = self._path / f"{name}.{secrets.token_hex(4)}{PARTIAL}"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise StorageFailed(f"cannot write {path}: {error}") from error

    def read(self, name: str) -> bytes:
        """See `Folder`."""
        try:
            return (self._path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(str(self._path / name)) from error
        except OSError as error:
            raise StorageFailed(f"cannot read {self._path / name}: {error}") from error

    def names(self) -> list[str]:
        """See `Folder`."""
        try:
            return [entry.name for entry in os.scandir(self._path)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StorageFailed(f"cannot list {self._path}: {error}") from error

    def remove(self, name: str) -> None:
        """See `Folder`."""
        try:
            (self._path / name).unlink(missing_ok=True)
        except OSError as error:
            raise StorageFailed(f"cannot remove {self._path / name}: {error}") from error

    def clear(self) -> bool:
        """See `Folder`."""
        try:
            shutil.rmtree(self._path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageFailed(f"cannot remove {self._path}: {error}") from error
        return True
