"""Packing a folder: the same files make the same bytes, and what is left out."""

import errno
import io
import os
import zipfile
from pathlib import Path

import pytest

from service.code.checking import check
from sweep.archive import Archive, pack
from sweep.errors import BadCode
from sweep.records import CodeLimits


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def packed(folder: Path, limits: CodeLimits = CodeLimits()) -> tuple[Archive, bytes]:  # noqa: B008
    content = io.BytesIO()
    return pack(folder, content, limits), content.getvalue()


def names(folder: Path) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(packed(folder)[1])).namelist()


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    make(tmp_path / "a", "z.py", "b/c.py", "a.py")
    make(tmp_path / "b", "a.py", "z.py", "b/c.py")
    os.utime(tmp_path / "b" / "a.py", (1, 1))
    (first, content), (second, _) = packed(tmp_path / "a"), packed(tmp_path / "b")
    assert first == second
    assert (first.files, first.size) == (3, len(content))
    assert first.address == f"sha256:{first.digest}"
    assert names(tmp_path / "a") == ["a.py", "b/c.py", "z.py"]
    make(tmp_path / "b", "more.py")
    assert packed(tmp_path / "b")[0].digest != first.digest
    checked = check(io.BytesIO(content), len(content), CodeLimits())
    assert (checked.files, checked.unpacked) == (3, 14)


def test_what_no_training_needs_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, ".git/config", "a/.git/x", "__pycache__/a.pyc", "b/__pycache__/b.pyc")
    make(tmp_path, ".venv/bin/python", "c.pyc", "train.py", ".gitignore", "venv.py")
    assert names(tmp_path) == [".gitignore", "train.py", "venv.py"]


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ("data/", ["a.csv", "b/a.csv", "b/data.py", "b/x/a.csv"]),
        ("*.csv", ["b/data.py", "data/a.py"]),
        ("/a.csv", ["b/a.csv", "b/data.py", "b/x/a.csv", "data/a.py"]),
        ("b/*.csv", ["a.csv", "b/data.py", "b/x/a.csv", "data/a.py"]),
        ("b/**/a.csv", ["a.csv", "b/data.py", "data/a.py"]),
        ("**/x", ["a.csv", "b/a.csv", "b/data.py", "data/a.py"]),
        ("b/**", ["a.csv", "data/a.py"]),
        ("*.csv\n!b/a.csv", ["b/a.csv", "b/data.py", "data/a.py"]),
        ("# data/\n\n[!b]at?/", ["a.csv", "b/a.csv", "b/data.py", "b/x/a.csv"]),
    ],
)
def test_sweepignore_reads_as_gitignore_does(tmp_path: Path, rules: str, left: list[str]) -> None:
    make(tmp_path, "a.csv", "b/a.csv", "b/data.py", "b/x/a.csv", "data/a.py")
    (tmp_path / ".sweepignore").write_text(rules)
    assert names(tmp_path) == [".sweepignore", *left]


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (r"\*.pt", "*.pt"),
        (r"a\#b", "a#b"),
        (r"\#x", "#x"),
        (r"\!x", "!x"),
        (r"[\]x]y", "]y"),
        ("[[x]y", "[y"),
    ],
)
def test_a_backslash_takes_the_next_letter_as_it_is(tmp_path: Path, rule: str, name: str) -> None:
    make(tmp_path, name, "a.pt", "a/#b", "x", "ay")
    (tmp_path / ".sweepignore").write_text(rule)
    assert names(tmp_path) == [".sweepignore", "a.pt", "a/#b", "ay", "x"]


def test_a_pattern_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    make(tmp_path, "train.py")
    (tmp_path / ".sweepignore").write_text("*.csv\n[z-a]*.bin\n")
    with pytest.raises(BadCode, match=r"'\[z-a\]\*\.bin'.*bad character range z-a"):
        packed(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"), [(b"caf\xe9.csv", "not UTF-8"), (b"a\\b.csv", "backslash")]
)
def test_names_that_the_service_refuses_are_refused_here(
    tmp_path: Path, name: bytes, message: str
) -> None:
    make(tmp_path, "train.py")
    Path(tmp_path, os.fsdecode(name)).touch()
    with pytest.raises(BadCode, match=message):
        packed(tmp_path)
    (tmp_path / ".sweepignore").write_text("*.csv\n")
    assert names(tmp_path) == [".sweepignore", "train.py"]


def test_a_folder_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "train.py", "data/a.csv")
    listed = os.scandir

    def refusing(path: str) -> object:
        """As for a user without rights, whom root is not."""
        if str(path).endswith("data"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(BadCode, match=r"data' cannot be read: Permission denied"):
        packed(tmp_path)


def test_links_are_an_error_unless_ignored(tmp_path: Path) -> None:
    make(tmp_path, "train.py")
    (tmp_path / "data").symlink_to("/etc")
    with pytest.raises(BadCode, match="'data' is a symbolic link"):
        packed(tmp_path)
    (tmp_path / ".sweepignore").write_text("data\n")
    assert names(tmp_path) == [".sweepignore", "train.py"]


def test_a_file_that_runs_still_does(tmp_path: Path) -> None:
    make(tmp_path, "plain", "runs")
    (tmp_path / "runs").chmod(0o700)
    infos = zipfile.ZipFile(io.BytesIO(packed(tmp_path)[1])).infolist()
    assert [oct(info.external_attr >> 16) for info in infos] == ["0o100644", "0o100755"]


def test_what_is_too_much_is_named(tmp_path: Path) -> None:
    for folder, message in ((tmp_path / "none", "no folder"), (tmp_path, "no file")):
        with pytest.raises(BadCode, match=message):
            packed(folder)
    make(tmp_path, "a.py", "b.py")
    (tmp_path / "weights.bin").write_bytes(os.urandom(3 << 20))
    with pytest.raises(BadCode, match=r"3\.0 MiB of files.*weights\.bin \(3\.0 MiB\), "):
        packed(tmp_path, CodeLimits(unpacked_bytes=2 << 20))
    with pytest.raises(BadCode, match=r"packs to 3\.0 MiB.*weights\.bin"):
        packed(tmp_path, CodeLimits(archive_bytes=1 << 20))
    with pytest.raises(BadCode, match=r"3 files.*\.sweepignore"):
        packed(tmp_path, CodeLimits(files=2))
