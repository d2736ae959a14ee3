"""Trials that a model-based search proposes, in both databases."""

from typing import Any

import pytest

from service.store.interface import Store, TrialQuery
from sweep.editing import Edited
from sweep.errors import NotFound
from sweep.records import Origin, SweepRecord
from sweep.states import SweepState, TrialState
from sweep.wire import Proposed, SweepFinished
from tests.unit.store.builders import at, create, drive, moved, reported, send, started

UNIFORM = {"x": {"uniform": {"min": 0, "max": 1}}}


def create_searched(store: Store, sweep_id: str = "s1", **fields: Any) -> SweepRecord:
    search = {"type": "tpe", "num_trials": 5, "startup_trials": 2, **fields.pop("search", {})}
    return create(store, sweep_id, parameters=UNIFORM, search=search, **fields)


def proposed(assignment: int, x: float = 0.5) -> Proposed:
    return Proposed(assignment=assignment, parameters={"x": x}, time=at(9))


def numbers(store: Store) -> list[tuple[int, int, int]]:
    trials = store.list_trials("s1", TrialQuery()).items
    return [(t.index, t.assignment, t.replicate) for t in trials]


def test_a_proposal_becomes_one_trial_a_replicate(store: Store) -> None:
    create_searched(store, replicates=2)
    assert store.get_sweep("s1").num_trials == 4
    ack = send(store, drive(store), proposed(2, 0.1 + 0.2), known=4)
    assert [task.index for task in ack.trials] == [4, 5]
    first, second = (store.get_trial(task.id) for task in ack.trials)
    assert first.parameters == second.parameters == {"x": 0.1 + 0.2}
    assert first.seed != second.seed
    assert (first.origin, first.state, first.created_at) == (
        Origin.SEARCH,
        TrialState.PENDING,
        at(9),
    )
    assert first.max_t == 100
    assert numbers(store)[4:] == [(4, 2, 0), (5, 2, 1)]


def test_a_proposal_that_is_there_changes_nothing(store: Store) -> None:
    """Sent again, by the same driver or by a successor, and even with other parameters."""
    create_searched(store)
    driver = drive(store)
    for _ in range(2):
        send(store, driver, proposed(2, 0.25), proposed(3, 0.5), known=2)
    version = store.get_sweep("s1").version
    send(store, driver, proposed(2, 0.9), known=2)
    store.end_driver("s1", driver.epoch, reason="killed", now=at(10))
    ack = send(store, drive(store, after=1), proposed(3, 0.9), proposed(4, 0.75), known=2)
    assert [task.parameters["x"] for task in ack.trials] == [0.25, 0.5, 0.75]
    assert numbers(store) == [(i, i, 0) for i in range(5)]
    assert store.get_sweep("s1").version == version + 2  # the successor, and the fifth trial


def test_trials_of_users_keep_their_places_beside_proposals(store: Store) -> None:
    create_searched(store)
    driver = drive(store)
    store.edit_sweep("s1", lambda sweep: edited(sweep, {"x": 0.125}), actor="me", now=at(1))
    send(store, driver, proposed(2), known=3)
    assert numbers(store) == [(0, 0, 0), (1, 1, 0), (2, 5, 0), (3, 2, 0)]
    assert [r.index for r in store.search_results("s1", after=-1, limit=9).items] == [0, 1, 3]


def edited(sweep: SweepRecord, parameters: dict[str, Any]) -> Any:
    return Edited(spec=sweep.spec, changed={}, assignments=(parameters,))


@pytest.mark.parametrize("assignment", [3, 5, 1_000])
def test_a_proposal_that_is_not_the_next_is_refused(store: Store, assignment: int) -> None:
    create_searched(store)
    with pytest.raises(NotFound, match="the next is 2"):
        send(store, drive(store), proposed(assignment))


def test_only_a_model_based_search_proposes(store: Store) -> None:
    create(store)
    with pytest.raises(NotFound, match="of type grid"):
        send(store, drive(store), proposed(3))


def test_results_say_how_far_the_search_is(store: Store) -> None:
    create_searched(store)
    done = moved(TrialState.COMPLETED, reason="finished")
    send(store, drive(store), started(), reported((1, 0.5), (2, 0.9), (3, 0.7), loss=2.0), done)
    page = store.search_results("s1", after=-1, limit=1)
    (result,) = page.items
    assert (result.state, result.best, result.step) == (TrialState.COMPLETED, 0.9, 3)
    assert result.last == {"score": 0.7}
    assert page.next_after == 0
    rest = store.search_results("s1", after=0, limit=9)
    assert [(r.index, r.state, r.best) for r in rest.items] == [(1, TrialState.PENDING, None)]
    assert rest.next_after is None


def ended(store: Store, sweep_id: str, *trials: int, time: float) -> None:
    driver = drive(store, sweep_id)
    for trial in trials:
        done = moved(TrialState.COMPLETED, trial=trial).model_copy(update={"time": at(time)})
        send(store, driver, started(trial), reported((1, float(trial)), trial=trial), done)


def test_history_is_what_had_ended_before_the_sweep_was_posted(store: Store) -> None:
    create(store, "a")
    ended(store, "a", 0, 2, time=10)
    create(store, "b")
    ended(store, "b", 1, time=20)
    start = {"warm_start": {"sweeps": ["b", "gone", "a"]}}
    create_searched(store, search=start, created_at=at(30))
    found, after = [], -1
    while True:
        page = store.search_history("s1", after=after, limit=1)
        found += [(r.parameters["x"], r.best) for r in page.items]
        if page.next_after is None:
            break
        after = page.next_after
    assert found == [(2, 1.0), (1, 0.0), (3, 2.0)]
    create_searched(store, "s2", search=start, created_at=at(15))
    assert len(store.search_history("s2", after=-1, limit=9).items) == 2
    create_searched(store, "s3", created_at=at(40))
    assert store.search_history("s3", after=-1, limit=9).items == ()


def test_a_sweep_that_ends_is_set_aside_while_it_does_not_know_of_a_proposal(store: Store) -> None:
    create_searched(store)
    driver = drive(store)
    end = SweepFinished(state=SweepState.COMPLETED, reason="budget", time=at(50))
    send(store, driver, proposed(2), known=2)
    send(store, driver, end, known=2)
    assert store.get_sweep("s1").state is SweepState.QUEUED
