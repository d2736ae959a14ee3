"""Messages leave in the order in which they came, whatever happens on the way."""

import threading
from pathlib import Path

import pytest

from sweep.wire import CheckpointSaved, LogWritten, Message, Reports
from tests.unit.driver.builders import START, row
from workers.driver.outbox import MAX_BATCH_CHARS, MAX_BATCH_ROWS, MAX_MEMORY_CHARS, Outbox


def message(number: int) -> Message:
    return CheckpointSaved(trial=number, attempt=1, step=0, uri="x" * 50)


def drain(outbox: Outbox) -> list[int]:
    seen: list[int] = []
    while outbox.wait(0):
        with outbox.batch() as taken:
            seen += [m.trial for m in taken if isinstance(m, CheckpointSaved)]
    return seen


def test_a_batch_that_was_not_taken_is_sent_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "spool")
    outbox.put([message(i) for i in range(3)])
    with pytest.raises(ConnectionError), outbox.batch():
        raise ConnectionError
    assert drain(outbox) == [0, 1, 2]


def test_what_memory_cannot_hold_goes_through_the_file_in_order(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "spool", max_memory=5)
    outbox.put([message(i) for i in range(12)])
    assert (tmp_path / "spool").stat().st_size > 0
    with outbox.batch() as taken:
        assert len(taken) == 5
    outbox.put([message(i) for i in range(12, 20)])
    assert drain(outbox) == list(range(5, 20))
    assert (tmp_path / "spool").stat().st_size == 0
    outbox.close()
    assert not (tmp_path / "spool").exists()


def test_what_trials_print_is_bounded_in_memory_and_in_a_batch(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "spool")
    text = "x" * 65_536
    count = 2 * MAX_MEMORY_CHARS // len(text)
    outbox.put(
        [
            LogWritten(work="0-1", seq=i, stream="stdout", text=text, time=START)
            for i in range(count)
        ]
    )
    in_file = (tmp_path / "spool").stat().st_size
    assert in_file >= MAX_MEMORY_CHARS
    seen: list[int] = []
    while outbox.wait(0):
        with outbox.batch() as taken:
            assert len(taken) == MAX_BATCH_CHARS // len(text)
            seen += [m.seq for m in taken if isinstance(m, LogWritten)]
    assert seen == list(range(count))


@pytest.mark.parametrize("kind", ["full", "unwritable"])
def test_when_the_file_takes_no_more_put_waits_and_nothing_is_dropped(
    tmp_path: Path, kind: str
) -> None:
    if kind == "full":
        outbox = Outbox(tmp_path / "spool", max_memory=2, max_spool_bytes=10)
    else:
        (tmp_path / "file").write_text("in the way")
        outbox = Outbox(tmp_path / "file" / "spool", max_memory=2)
    putter = threading.Thread(target=outbox.put, args=([message(i) for i in range(9)],))
    putter.start()
    seen: list[int] = []
    while len(seen) < 9:
        assert outbox.wait(10)
        with outbox.batch() as taken:
            seen += [m.trial for m in taken if isinstance(m, CheckpointSaved)]
    putter.join(10)
    assert seen == list(range(9))


def test_a_batch_is_bounded_in_rows(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "spool")
    rows = tuple(row(step, 1.0) for step in range(1, 2001))
    outbox.put([Reports(trial=i, attempt=1, rows=rows) for i in range(8)])
    with outbox.batch() as taken:
        assert sum(len(m.rows) for m in taken if isinstance(m, Reports)) <= MAX_BATCH_ROWS
    outbox.wait(0)
    with outbox.batch() as taken:
        assert len(taken) == 3


def test_wait_empty_returns_once_all_is_sent(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "spool")
    outbox.put([message(0)])
    waiter = threading.Thread(target=outbox.wait_empty)
    waiter.start()
    assert drain(outbox) == [0]
    waiter.join(10)
    assert not waiter.is_alive()
