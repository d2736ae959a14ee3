"""What every store must do, sentence by sentence of its interface."""

from collections.abc import Iterator

import pytest

from service.query.fields import SWEEPS
from service.query.parse import parse_filter, parse_sort
from service.store.interface import NewSweep, Store, SweepQuery, TrialQuery
from sweep.errors import Conflict, NotFound, QueryError
from sweep.space import PlannedTrial
from sweep.spec import parse_spec
from sweep.states import SweepState, TrialState, WantedState
from sweep.wire import (
    Heartbeat,
    Known,
    SweepFinished,
)
from tests.unit.store.builders import (
    LEASE,
    START,
    at,
    counts,
    create,
    drive,
    event_kinds,
    moved,
    reported,
    send,
    started,
)

# Sweeps


def test_a_new_sweep_is_queued_with_all_its_trials_pending(store: Store) -> None:
    sweep = create(store, priority=3, tags=["a"])
    assert sweep == store.get_sweep("s1")
    assert (sweep.state, sweep.priority, sweep.tags) == (SweepState.QUEUED, 3, ("a",))
    assert counts(sweep) == {"pending": 3}
    trial = store.get_trial("s1-1")
    assert (trial.parameters, trial.max_t, trial.state) == ({"x": 2}, 100, TrialState.PENDING)
    assert event_kinds(store) == ["sweep.created"]


def test_a_spec_comes_back_as_it_was_in_its_order(store: Store) -> None:
    parameters = {"zz": {"grid": [1]}, "a": {"bb": 2, "b": {"grid": [3]}}}
    sweep = create(store, parameters=parameters, max_concurrent=2)
    assert list(sweep.spec.parameters) == ["zz", "a"]
    assert list(sweep.spec.parameters["a"]) == ["bb", "b"]


def test_an_error_among_the_trials_leaves_nothing_stored(store: Store) -> None:
    def broken() -> Iterator[PlannedTrial]:
        yield PlannedTrial(0, 0, 0, 1, "{}", {"x": 1})
        raise ValueError("no more")

    spec = parse_spec(
        {"name": "n", "trainable": "noop", "metric": {"name": "m", "mode": "min"}, "parameters": {}}
    )
    with pytest.raises(ValueError, match="no more"):
        store.create_sweep(NewSweep("s1", spec, "me", START), broken())
    with pytest.raises(NotFound):
        store.get_sweep("s1")
    assert event_kinds(store) == []


def test_sweeps_are_listed_newest_first_in_pages_and_by_state(store: Store) -> None:
    for i in range(5):
        create(store, f"s{i}")
    drive(store, "s2")
    first = store.list_sweeps(SweepQuery(limit=2))
    second = store.list_sweeps(SweepQuery(limit=2, cursor=first.next_cursor))
    create(store, "late")
    third = store.list_sweeps(SweepQuery(limit=2, cursor=second.next_cursor))
    assert [[s.id for s in page.items] for page in (first, second, third)] == [
        ["s4", "s3"],
        ["s2", "s1"],
        ["s0"],
    ]
    assert third.next_cursor is None
    running = SweepQuery(filter=parse_filter("state == 'running'", SWEEPS))
    assert [s.id for s in store.list_sweeps(running).items] == ["s2"]


def test_what_is_not_there_is_not_found(store: Store) -> None:
    create(store)
    for call in (
        lambda: store.get_sweep("nope"),
        lambda: store.get_trial("s1-99"),
        lambda: store.get_trial("nodash"),
        lambda: store.get_trial("s1-x"),
        lambda: store.list_trials("nope", TrialQuery()),
        lambda: store.list_reports("s1-99"),
        lambda: store.list_rungs("nope"),
        lambda: store.cancel_sweep("nope", actor="me", now=START),
        lambda: store.delete_sweep("nope", actor="me", now=START),
        lambda: store.revoke_token("nope", now=START),
    ):
        with pytest.raises(NotFound):
            call()


def test_a_queued_sweep_is_cancelled_at_once(store: Store) -> None:
    create(store)
    sweep = store.cancel_sweep("s1", actor="me", now=at(5))
    assert (sweep.state, sweep.ended_at) == (SweepState.CANCELLED, at(5))
    assert counts(sweep) == {"cancelled": 3}
    assert store.cancel_sweep("s1", actor="me", now=at(6)) == sweep
    assert event_kinds(store) == ["sweep.created", "sweep.cancelled"]


def test_a_running_sweep_is_cancelled_through_its_driver(store: Store) -> None:
    create(store)
    driver = drive(store)
    for _ in range(2):
        assert store.cancel_sweep("s1", actor="me", now=START).state is SweepState.RUNNING
    ack = store.heartbeat(driver, Heartbeat(known=Known(trials=3)), now=START, lease=LEASE)
    assert ack.wanted is WantedState.CANCEL
    send(store, driver, SweepFinished(state=SweepState.CANCELLED, reason="cancelled", time=at(9)))
    assert counts(store.get_sweep("s1")) == {"cancelled": 3}
    kinds = ["sweep.created", "driver.started", "sweep.cancel_asked", "sweep.cancelled"]
    assert event_kinds(store) == kinds


def test_a_completed_sweep_cannot_be_cancelled_and_a_live_one_not_deleted(store: Store) -> None:
    create(store)
    with pytest.raises(Conflict):
        store.delete_sweep("s1", actor="me", now=START)
    driver = drive(store)
    send(store, driver, SweepFinished(state=SweepState.COMPLETED, time=at(9)))
    with pytest.raises(Conflict):
        store.cancel_sweep("s1", actor="me", now=START)
    store.delete_sweep("s1", actor="me", now=START)
    with pytest.raises(NotFound):
        store.get_sweep("s1")
    assert event_kinds(store)[-1] == "sweep.deleted"


# Queries


def test_trials_are_filtered_sorted_and_paged_stably_under_writes(store: Store) -> None:
    create(store, parameters={"x": {"grid": list(range(7))}, "kind": {"grid": ["a", "b"]}})
    driver = drive(store)
    for i in range(0, 14, 2):
        send(store, driver, started(i), reported((1, float(i % 4)), trial=i), known=14)
    query = {"filter": parse_filter("parameters.kind == 'a'"), "sort": parse_sort("-best")}
    seen: list[int] = []
    cursor = None
    while True:
        page = store.list_trials("s1", TrialQuery(limit=3, cursor=cursor, **query))
        seen += [t.index for t in page.items]
        send(store, driver, started(1), reported((1, 9.0), trial=1), known=14)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [2, 6, 10, 0, 4, 8, 12]
    whole = store.stream_trials("s1", TrialQuery(limit=1, **query))
    assert [t.index for t in whole] == seen


def test_nulls_come_last_either_way(store: Store) -> None:
    create(store)
    send(store, drive(store), started(1), reported((1, 5.0), trial=1))
    for text, order in (("best", [1, 0, 2]), ("-best", [1, 0, 2]), ("-parameters.x", [2, 1, 0])):
        page = store.list_trials("s1", TrialQuery(sort=parse_sort(text)))
        assert [t.index for t in page.items] == order


@pytest.mark.parametrize("cursor", ["!", "e30", "WyJhIiwgWzFdXQ", "é", "a" * 50])
def test_a_cursor_that_is_none_is_refused(store: Store, cursor: str) -> None:
    create(store)
    for call in (
        lambda: store.list_sweeps(SweepQuery(cursor=cursor)),
        lambda: store.list_trials("s1", TrialQuery(cursor=cursor)),
        lambda: store.list_reports("s1-0", cursor=cursor),
        lambda: store.list_events(cursor=cursor),
    ):
        with pytest.raises(QueryError):
            call()


def test_a_cursor_of_another_question_is_refused(store: Store) -> None:
    create(store)
    page = store.list_trials("s1", TrialQuery(limit=1))
    with pytest.raises(QueryError, match="another"):
        store.list_trials("s1", TrialQuery(cursor=page.next_cursor, sort=parse_sort("best")))


# Tokens


def test_tokens_are_made_listed_touched_and_revoked(store: Store) -> None:
    store.create_token("t1", name="ann", token_hash="h1", now=at(1))
    store.create_token("t2", name="bob", token_hash="h2", now=at(2))
    with pytest.raises(Conflict):
        store.create_token("t3", name="ann", token_hash="h3", now=at(3))
    store.touch_token("t1", now=at(4))
    assert store.revoke_token("bob", now=at(5)).revoked_at == at(5)
    with pytest.raises(NotFound):
        store.revoke_token("bob", now=at(6))
    assert [(t.id, h) for t, h in store.live_token_hashes()] == [("t1", "h1")]
    first, second = store.list_tokens()
    assert (first.last_used_at, second.revoked_at) == (at(4), at(5))
    store.create_token("t4", name="bob", token_hash="h4", now=at(7))
    kinds = [event.kind for event in store.list_events().items]
    assert kinds == ["token.created", "token.created", "token.revoked", "token.created"]


def test_events_come_in_either_order_and_for_one_trial(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(), moved(TrialState.FAILED, failed=True))
    store.pause_sweep("s1", actor="ann", now=at(9))
    forward = store.list_events("s1").items
    first = store.list_events("s1", order="newest", limit=2)
    rest = store.list_events("s1", order="newest", limit=100, cursor=first.next_cursor)
    assert (*first.items, *rest.items) == forward[::-1]
    assert first.items[0].actor == "ann"
    assert {event.trial_id for event in store.list_events("s1", trial_id="s1-0").items} == {"s1-0"}
    assert store.list_events("s1", trial_id="s1-1").items == ()
    with pytest.raises(QueryError):
        store.list_events("s1", cursor=first.next_cursor)


def test_a_ready_store_checks_out(store: Store) -> None:
    store.check()
