"""What trials print, in every store."""

import pytest

from service.store.interface import LogQuery, Store
from service.store.sql.logs import MAX_CHARS, MAX_PIECES
from sweep.errors import NotFound, QueryError
from sweep.records import LogPage
from sweep.states import SweepState, TrialState
from sweep.wire import LogWritten, SweepFinished, TrialStarted
from tests.unit.store.builders import START, at, create, drive, moved, send, started

EVERYTHING = LogQuery()


def printed(
    seq: int, text: str, *, work: str = "0-1", stream: str = "stdout", time: float = 2
) -> LogWritten:
    return LogWritten.model_validate(
        {"work": work, "seq": seq, "stream": stream, "text": text, "time": at(time)}
    )


def in_pack(trial: int, pack: str, attempt: int = 1) -> TrialStarted:
    return TrialStarted(trial=trial, attempt=attempt, node="node-2", pack=pack, time=START)


def texts(page: LogPage) -> list[str]:
    return [piece.text for piece in page.items]


def test_a_trial_s_log_is_that_of_its_attempts_in_order(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(
        store,
        driver,
        started(),
        printed(0, "one\n"),
        printed(1, "oh\n", stream="stderr"),
        moved(TrialState.PENDING, reason="retry", failed=True),
        started(attempt=2),
        printed(0, "two\n", work="0-2"),
        printed(2, "late\n"),
        started(1),
        printed(0, "another's\n", work="1-1"),
    )
    page = store.list_logs("s1-0", EVERYTHING)
    found = [(p.attempt, p.work, p.node, p.packed, p.stream, p.text) for p in page.items]
    assert found == [
        (1, "0-1", "node-1", False, "stdout", "one\n"),
        (1, "0-1", "node-1", False, "stderr", "oh\n"),
        (1, "0-1", "node-1", False, "stdout", "late\n"),
        (2, "0-2", "node-1", False, "stdout", "two\n"),
    ]
    assert page.items[0].time == at(2)
    assert page.next_cursor is None
    assert texts(store.list_logs("s1-0", LogQuery(stream="stderr"))) == ["oh\n"]
    assert texts(store.list_logs("s1-1", EVERYTHING)) == ["another's\n"]


def test_the_same_batch_again_changes_no_log(store: Store) -> None:
    create(store)
    driver = drive(store)
    for _ in range(2):
        send(store, driver, started(), printed(0, "once\n"), printed(1, "nul \x00\n"))
    assert texts(store.list_logs("s1-0", EVERYTHING)) == ["once\n", "nul \ufffd\n"]


def test_a_pack_s_log_is_each_member_s_once(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, in_pack(0, "0-1"), in_pack(1, "0-1"), printed(0, "together\n"))
    send(store, driver, moved(TrialState.PENDING, trial=1, reason="rung"))
    send(store, driver, in_pack(1, "0-1", attempt=2), printed(1, "again\n"))
    for trial in ("s1-0", "s1-1"):
        page = store.list_logs(trial, EVERYTHING)
        assert texts(page) == ["together\n", "again\n"]
        assert {(p.packed, p.work, p.node) for p in page.items} == {(True, "0-1", "node-2")}
        assert {p.attempt for p in page.items} == {1}


def test_pages_go_on_where_they_ended_also_for_what_comes_late(store: Store) -> None:
    create(store)
    driver = drive(store)
    assert store.list_logs("s1-0", EVERYTHING).items == ()
    send(store, driver, started(), *(printed(i, f"{i}\n") for i in range(5)))
    send(store, driver, moved(TrialState.PENDING, reason="retry"), started(attempt=2))
    send(store, driver, printed(0, "new\n", work="0-2"))
    first = store.list_logs("s1-0", LogQuery(limit=4))
    assert texts(first) == ["0\n", "1\n", "2\n", "3\n"]
    assert first.next_cursor == first.end_cursor
    second = store.list_logs("s1-0", LogQuery(limit=4, cursor=first.next_cursor))
    assert (texts(second), second.next_cursor) == (["4\n", "new\n"], None)
    send(store, driver, printed(5, "last words\n"), printed(1, "newer\n", work="0-2"))
    third = store.list_logs("s1-0", LogQuery(cursor=second.end_cursor))
    assert texts(third) == ["last words\n", "newer\n"]
    empty = store.list_logs("s1-0", LogQuery(cursor=third.end_cursor))
    assert (empty.items, empty.end_cursor) == ((), third.end_cursor)


def test_a_page_ends_where_its_text_is_long(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(), *(printed(i, "x" * 65_535 + "\n") for i in range(6)))
    sizes, cursor = [], None
    while not sizes or cursor is not None:
        page = store.list_logs("s1-0", LogQuery(cursor=cursor))
        sizes.append(len(page.items))
        cursor = page.next_cursor
    assert sizes == [4, 2]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (1, ["no end"]),
        (2, ["c\n", "no end"]),
        (3, ["b\nc\n", "no end"]),
        (4, ["a\n", "b\nc\n", "no end"]),
        (9, ["first\n", "a\n", "b\nc\n", "no end"]),
    ],
)
def test_the_tail_is_the_last_lines_and_ends_where_more_will_come(
    store: Store, lines: int, expected: list[str]
) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(), printed(0, "first\n"))
    send(store, driver, moved(TrialState.PENDING, reason="retry"), started(attempt=2))
    for seq, text in enumerate(("a\n", "b\nc\n", "no end")):
        send(store, driver, printed(seq, text, work="0-2"))
    page = store.list_logs("s1-0", LogQuery(tail=lines))
    assert (texts(page), page.next_cursor) == (expected, None)
    send(store, driver, printed(3, "more\n", work="0-2"))
    assert texts(store.list_logs("s1-0", LogQuery(cursor=page.end_cursor))) == ["more\n"]


def test_a_work_s_log_is_bounded(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(), printed(MAX_PIECES, "one too many\n"))
    big = "x" * 65_536
    for seq in range(3 * MAX_CHARS // len(big)):
        send(store, driver, printed(seq, big))
    kept, cursor = 0, None
    while True:
        page = store.list_logs("s1-0", LogQuery(cursor=cursor))
        kept += sum(map(len, texts(page)))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert MAX_CHARS < kept <= MAX_CHARS + len(big)


def test_logs_go_with_their_sweep_and_bad_questions_are_refused(store: Store) -> None:
    for sweep_id in ("s1", "s2"):
        create(store, sweep_id)
        driver = drive(store, sweep_id)
        send(store, driver, started(), printed(0, f"{sweep_id}\n"))
        send(store, driver, SweepFinished(state=SweepState.COMPLETED, time=at(3)))
    cursor = store.list_logs("s1-0", EVERYTHING).end_cursor
    for bad in ("nonsense", store.list_logs("s2-0", EVERYTHING).end_cursor):
        with pytest.raises(QueryError):
            store.list_logs("s1-0", LogQuery(cursor=bad))
    with pytest.raises(QueryError):
        store.list_logs("s1-0", LogQuery(cursor=cursor, stream="stdout"))
    store.delete_sweep("s1", actor="me", now=at(9))
    with pytest.raises(NotFound):
        store.list_logs("s1-0", EVERYTHING)
    assert texts(store.list_logs("s2-0", EVERYTHING)) == ["s2\n"]
