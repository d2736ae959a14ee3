"""What a process prints is caught whole, in order and in bounded space.

Each test captures in a process of its own: pytest has this one's descriptors.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from workers.driver.capture import (
    HEAD_BYTES,
    MAX_PIECE_BYTES,
    TAIL_BYTES,
    Capture,
    Output,
    cut,
    leftover,
    log_folder,
)

PREAMBLE = """
import ctypes, os, subprocess, sys, time
from workers.driver.capture import Capture, leftover, log_folder

def all_of(output, stream):
    return "".join(piece.text for piece in output.pieces if piece.stream == stream)
"""


def run_apart(tmp_path: Path, code: str, *, code_expected: int = 0) -> Any:
    """Run code in a process whose temporary folder is the test's."""
    answer = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(code)],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == code_expected, answer.stderr
    return answer


def test_python_c_and_children_are_caught_in_order_and_between_works_nothing_is(
    tmp_path: Path,
) -> None:
    answer = run_apart(
        tmp_path,
        """
        print("before", flush=True)
        capture = Capture("s-1-0")
        print("python", flush=True)
        ctypes.CDLL(None).puts(b"from C")
        subprocess.run(["sh", "-c", "echo child; echo child err >&2"], check=True)
        first = capture.collect()
        print("later", flush=True)
        second = capture.collect()
        capture.end()
        print("between", flush=True)
        capture = Capture("s-1-1")
        print("next", flush=True)
        third = capture.collect(last=True)
        capture.end()
        assert all_of(first, "stdout") == "python\\nfrom C\\nchild\\n", first
        assert all_of(first, "stderr") == "child err\\n", first
        assert all_of(second, "stdout") == "later\\n" and not second.more, second
        assert all_of(third, "stdout") == "next\\n", third
        assert not list(log_folder().iterdir())
        """,
    )
    assert answer.stdout == "before\nbetween\n"


def test_a_dead_process_s_last_words_are_left_on_its_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_apart(
        tmp_path,
        """
        import faulthandler
        faulthandler.enable()
        capture = Capture("s-1-0")
        print("told", flush=True)
        assert capture.collect().told == (5, 0)
        ctypes.CDLL(None).puts(b"not told")
        print("half a line", end="", flush=True)
        ctypes.string_at(0)
        """,
        code_expected=-11,
    )
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    out, err = leftover("s-1-0", (5, 0))
    assert (out.stream, out.text) == ("stdout", "not told\nhalf a line")
    assert err.stream == "stderr"
    assert "Segmentation fault" in err.text
    assert not list(log_folder().iterdir())
    assert leftover("s-1-0", (5, 0)) == ()


def test_a_flood_keeps_its_head_and_tail_and_neither_fills_the_disk_nor_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = run_apart(
        tmp_path,
        """
        capture = Capture("s-1-0")
        line = "x" * 98
        for _ in range(100):
            os.write(1, (f"{line}y\\n" * 10_000).encode())
        path = log_folder() / "s-1-0.stdout"
        while path.stat().st_blocks * 512 > (4 << 20):
            time.sleep(0.01)
        told = 0
        while (output := capture.collect()).pieces:
            assert sum(len(piece.text) for piece in output.pieces) <= 32_768
            told += sum(len(piece.text) for piece in output.pieces)
        assert output.more
        assert output.told == (told, 0)
        capture.end()
        print(told)
        """,
    )
    told = int(answer.stdout)
    assert HEAD_BYTES - 100 < told <= HEAD_BYTES
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rest = "".join(piece.text for piece in leftover("s-1-0", (told, 0)))
    left_out = 100_000_000 - HEAD_BYTES - TAIL_BYTES + TAIL_BYTES % 100
    assert f"[{left_out:,} bytes are left out here]" in rest
    assert rest.endswith("y\n")
    assert TAIL_BYTES - 100 < len(rest) < TAIL_BYTES + 200


def test_what_was_never_told_is_left_whole_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    text = "".join(f"zeile {i} äöü\n" for i in range(20_000))
    (log_folder() / "s-1-0.stderr").write_text(text)
    pieces = leftover("s-1-0", (0, 0))
    assert "".join(piece.text for piece in pieces) == text
    assert all(len(piece.text.encode()) <= MAX_PIECE_BYTES for piece in pieces)
    assert {piece.stream for piece in pieces} == {"stderr"}


@pytest.mark.parametrize(
    ("data", "whole", "text", "taken"),
    [
        (b"one\ntwo", False, "one\n", 4),
        (b"one\ntwo", True, "one\ntwo", 7),
        (b"progress\r", False, "progress\r", 9),
        ("ä".encode()[:1], False, "", 0),
        (b"a" + "ä".encode()[:1], False, "a", 1),
        (b"a" + "ä".encode()[:1], True, "a\ufffd", 2),
        (b"\xff\xfe\n", False, "\ufffd\ufffd\n", 3),
        (b"", True, "", 0),
    ],
)
def test_text_is_cut_at_lines_and_characters(
    data: bytes, whole: bool, text: str, taken: int
) -> None:
    assert cut(data, whole=whole) == (text, taken)


def test_without_a_name_nothing_is_caught(capfd: pytest.CaptureFixture[str]) -> None:
    capture = Capture(None)
    print("as usual")
    capture.note("not this")
    assert capture.collect(last=True) == Output()
    capture.end()
    assert capfd.readouterr().out == "as usual\n"


def test_a_folder_that_cannot_be_made_is_said_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("workers.driver.capture.log_folder", lambda: tmp_path / "file")
    capture = Capture("s-1-0")
    print("as usual")
    (piece,) = capture.collect().pieces
    assert piece.text.startswith("[what this work prints is not kept: ")
    assert capture.collect().pieces == ()
    capture.end()
    assert capfd.readouterr().out == "as usual\n"


def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    other = os.getuid() + 1
    with monkeypatch.context() as patched:
        patched.setattr("workers.driver.capture.os.getuid", lambda: other)
        with pytest.raises(PermissionError, match="another user's"):
            log_folder()
