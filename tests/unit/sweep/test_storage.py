"""Folders of files: on this machine, through fsspec, and when they fail."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sweep.errors import StorageFailed
from sweep.remote import RemoteFolder
from sweep.storage import LocalFolder, check_root, join, open_folder, scheme_of


@pytest.fixture(params=["local", "file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder that is not there yet."""
    return {
        "local": str(tmp_path / "states" / "deep"),
        "file": f"file://{tmp_path}/states",
        "memory": f"memory://{uuid.uuid4().hex}/deep",
    }[request.param]


def test_files_are_written_read_listed_and_removed(url: str) -> None:
    folder = open_folder(url)
    assert folder.names() == []
    with pytest.raises(FileNotFoundError):
        folder.read("a.state")
    folder.remove("a.state")
    folder.write("a.state", b"one")
    folder.write("a.state", b"two")
    open_folder(url).write("b.state", b"")
    assert sorted(folder.names()) == ["a.state", "b.state"]
    assert (folder.read("a.state"), folder.read("b.state")) == (b"two", b"")
    folder.remove("a.state")
    assert folder.names() == ["b.state"]
    assert folder.clear()
    assert folder.names() == []
    assert not folder.clear()


def test_a_storage_with_real_folders_gets_them_but_the_first(tmp_path: Path) -> None:
    folder = RemoteFolder(f"file://{tmp_path}/sweeps/s1/s1-0")
    folder.write("a.state", b"content")
    assert (tmp_path / "sweeps" / "s1" / "s1-0" / "a.state").read_bytes() == b"content"
    missing = f"no-such-root-{uuid.uuid4().hex}"
    with pytest.raises(StorageFailed, match=f"/{missing}/states/a"):
        RemoteFolder(f"file:///{missing}/states").write("a", b"")
    assert not Path(f"/{missing}").exists()


class FlakySystem(MemoryFileSystem):
    """A storage whose calls fail as many times as told."""

    protocol = "flaky"
    cachable = False
    failures: int = 0
    error: Exception = ConnectionResetError("the other side went away")
    calls: int = 0

    def pipe_file(self, *args: Any, **options: Any) -> None:
        cls = type(self)
        cls.calls += 1
        if cls.failures:
            cls.failures -= 1
            raise cls.error
        super().pipe_file(*args, **options)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FlakySystem]]:
    fsspec.register_implementation("flaky", FlakySystem, clobber=True)
    monkeypatch.setattr(FlakySystem, "failures", 0)
    monkeypatch.setattr(FlakySystem, "calls", 0)
    monkeypatch.setattr("sweep.remote._LONGEST_WAIT_S", 0.01)
    yield FlakySystem
    MemoryFileSystem.store.clear()


def test_what_fails_for_a_moment_is_tried_again(flaky: type[FlakySystem]) -> None:
    flaky.failures = 3
    folder = open_folder("flaky://bucket/states")
    folder.write("a.state", b"content")
    assert folder.read("a.state") == b"content"
    assert flaky.calls == 4


def test_what_goes_on_failing_is_told_with_its_url(flaky: type[FlakySystem]) -> None:
    flaky.failures = 100
    with pytest.raises(StorageFailed, match=r"flaky://bucket/states/a\.state: ConnectionReset"):
        open_folder("flaky://bucket/states").write("a.state", b"content")
    assert flaky.calls == 5


def test_what_is_forbidden_is_not_tried_again(
    flaky: type[FlakySystem], monkeypatch: pytest.MonkeyPatch
) -> None:
    flaky.failures = 100
    monkeypatch.setattr(FlakySystem, "error", PermissionError("not yours"))
    with pytest.raises(StorageFailed, match="not yours"):
        open_folder("flaky://bucket/states").write("a.state", b"content")
    assert flaky.calls == 1


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("sweep.remote.fsspec.core.url_to_fs", missing)
    with pytest.raises(ImportError, match=r"s3://bucket/states: .*Install s3fs"):
        open_folder("s3://bucket/states")


def test_a_local_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFailed, match=str(tmp_path / "file" / "a")):
        LocalFolder(tmp_path / "file").write("a", b"")
    with pytest.raises(FileNotFoundError):
        LocalFolder(tmp_path / "file").read("a")
    assert LocalFolder(tmp_path / "file").names() == []


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ("s3:/bucket/states", "write s3://bucket/states"),
        ("s3:bucket", "write s3://bucket"),
        ("s4://bucket", "fsspec knows no s4 URLs"),
        ("s3://", "names no bucket"),
        ("s3:///", "names no bucket"),
        ("file://states", "write file:///the/folder"),
        ("memory://states", "lives in one process"),
        ("https://host/states", "cannot be written to"),
        ("simplecache::s3://bucket", "no URL|chains"),
        ("s3://bucket::zip://x", "chains URLs"),
        ("sftp://me:secret@host/states", "holds a password"),
    ],
)
def test_a_bad_root_says_what_to_write(root: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as told:
        check_root(root)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("root", "checked"),
    [
        ("/srv/states", "/srv/states"),
        ("file:///srv/states", "/srv/states"),
        ("s3://bucket/states/", "s3://bucket/states"),
        ("gs://bucket", "gs://bucket"),
        ("sftp://me@host/states", "sftp://me@host/states"),
        ("states", str(Path("states").absolute())),
    ],
)
def test_a_good_root_is_taken(root: str, checked: str) -> None:
    assert check_root(root) == checked


def test_urls_are_joined_as_urls() -> None:
    assert join("s3://bucket/a/", "b", "c") == "s3://bucket/a/b/c"
    assert scheme_of("S3://bucket") == "s3"
    assert scheme_of("/a/b") is None
    assert isinstance(open_folder("memory://x"), RemoteFolder)
