"""Pages stay whole while rows change between them."""

import random

import pytest

from service.query.fields import SWEEPS
from service.query.parse import parse_fields, parse_filter, parse_sort
from service.store import cursors
from service.store.interface import DriverIdentity, RowQuery, Store, SweepQuery, TrialQuery
from sweep.errors import QueryError
from sweep.states import TrialState
from tests.unit.store.builders import at, create, drive, moved, reported, send, started

COUNT = 60
INDEX = parse_fields("index")


def write(store: Store, numbers: random.Random) -> None:
    """Let some trial start, report, end, or give way."""
    index = numbers.randrange(COUNT)
    attempt = numbers.randrange(1, 4)
    messages = (
        started(index, attempt=attempt),
        reported((numbers.randrange(1, 9), numbers.random()), trial=index, attempt=attempt),
        moved(TrialState.PAUSED, trial=index, attempt=attempt, reason="yielded"),
    )
    send(store, DriverIdentity("s1", 1), *messages[: numbers.randrange(1, 4)], known=COUNT)


@pytest.mark.parametrize(
    "sort", ["parameters.x", "-parameters.kind,-seed", "-group,assignment", "created_at", "id"]
)
def test_a_trial_whose_key_stays_is_on_one_page_whatever_changes(store: Store, sort: str) -> None:
    grids = {"x": list(range(5)), "kind": ["a", "b", 3], "y": list(range(4))}
    create(store, parameters={name: {"grid": values} for name, values in grids.items()})
    drive(store)
    numbers = random.Random(sort)
    for _ in range(30):
        write(store, numbers)
    seen: list[int] = []
    cursor = None
    while True:
        query = TrialQuery(sort=parse_sort(sort), limit=7, cursor=cursor, now=at(100))
        page = store.project_trials("s1", query, INDEX)
        seen += [item["index"] for item in page.items]
        for _ in range(5):
            write(store, numbers)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == list(range(COUNT))
    whole = TrialQuery(sort=parse_sort(sort), limit=COUNT, now=at(100))
    assert [item.index for item in store.list_trials("s1", whole).items] == seen


def test_trials_whose_key_stays_are_seen_once_beside_those_whose_key_moves(store: Store) -> None:
    create(store, parameters={"x": {"grid": list(range(COUNT))}})
    driver = drive(store)
    for index in range(0, COUNT, 2):
        send(store, driver, started(index), reported((1, index / 7), trial=index), known=COUNT)
    seen: list[int] = []
    cursor, numbers = None, random.Random(1)
    while True:
        query = TrialQuery(sort=parse_sort("-best"), limit=5, cursor=cursor)
        page = store.list_trials("s1", query)
        seen += [trial.index for trial in page.items]
        moving = numbers.randrange(1, COUNT, 2)
        send(
            store,
            driver,
            started(moving),
            reported((1, numbers.random() * 9), trial=moving),
            known=COUNT,
        )
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [index for index in seen if index % 2 == 0] == list(range(COUNT - 2, -1, -2))


def test_sweeps_are_paged_while_sweeps_are_added(store: Store) -> None:
    for i in range(9):
        create(store, f"s{i}", created_at=at(i), priority=i % 3)
    seen: list[str] = []
    cursor, more = None, 0
    while True:
        query = SweepQuery(sort=parse_sort("priority", SWEEPS), limit=2, cursor=cursor)
        page = store.list_sweeps(query)
        seen += [sweep.id for sweep in page.items]
        create(store, f"new{more}", created_at=at(50), priority=0)
        more += 1
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [s for s in seen if s.startswith("s")] == [f"s{i}" for i in (6, 3, 0, 7, 4, 1, 8, 5, 2)]
    old = SweepQuery(filter=parse_filter("created_at < '2026-01-01T00:00:09Z'", SWEEPS))
    assert store.count_sweeps(old) == 9


def test_a_cursor_with_a_position_that_is_none_is_refused(store: Store) -> None:
    """The digest of the question is no secret, so a cursor's values are checked as well."""
    create(store)
    sort = parse_sort("-best,state,started_at")
    query = RowQuery(sort=sort)
    question = ("trial", "s1", query.filter, query.sort)
    good = [None, 0.5, "running", None, 1]
    for position in (
        [],
        [None],
        [*good, 1],
        ["noon", *good[1:]],
        [7, *good[1:]],
        [None, "0.5", *good[2:]],
        [None, True, *good[2:]],
        [None, 0.5, 7, None, 1],
        [None, 0.5, None, None, 1],
        [None, 0.5, "running", 7, 1],
        [None, 0.5, "running", "'; DROP TABLE trials; --", 1],
        [*good[:4], None],
        [*good[:4], "1"],
        [*good[:4], [1]],
        [*good[:4], 10**30],
    ):
        cursor = cursors.encode(position, question=question)
        with pytest.raises(QueryError, match="not one of this service"):
            store.list_trials("s1", TrialQuery(sort=sort, cursor=cursor))
    fine = cursors.encode(good, question=question)
    assert store.list_trials("s1", TrialQuery(sort=sort, cursor=fine)).items
