"""Pause, resume, retry, edits and shares: every store keeps to them."""

import pytest

from service.store.interface import DriverIdentity, Store, SweepQuery
from sweep.editing import apply_edit, read_edit
from sweep.errors import Conflict
from sweep.records import Origin, SweepRecord, Usage
from sweep.states import SweepState, TrialState, WantedState
from sweep.trainables import Trainable
from sweep.wire import Heartbeat, Known, Signs, SweepFinished
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

NOOP = Trainable(name="noop", description="", code="m:f")


def beat(store: Store, driver: DriverIdentity, *, trials: int = 3, edits: int = 0) -> object:
    known = Heartbeat(known=Known(trials=trials, edits=edits))
    return store.heartbeat(driver, known, now=START, lease=LEASE)


def pause(store: Store) -> SweepRecord:
    return store.pause_sweep("s1", actor="me", now=at(5))


def resume(store: Store) -> SweepRecord:
    return store.resume_sweep("s1", actor="me", now=at(6))


def retry(store: Store) -> SweepRecord:
    return store.retry_sweep("s1", actor="me", now=at(7))


def change(store: Store, **fields: object) -> SweepRecord:
    edit = read_edit(fields)
    return store.edit_sweep(
        "s1",
        lambda sweep: apply_edit(edit, sweep.spec, trainable=NOOP, room=100),
        actor="me",
        now=at(8),
    )


def end(store: Store, driver: DriverIdentity, state: SweepState) -> None:
    send(store, driver, SweepFinished(state=state, reason=str(state), time=at(60)))


def test_a_queued_sweep_pauses_and_resumes_at_once(store: Store) -> None:
    create(store)
    assert pause(store).state is SweepState.PAUSED
    assert pause(store).state is SweepState.PAUSED
    assert store.on_duty() == []
    assert resume(store).state is SweepState.QUEUED
    assert resume(store).state is SweepState.QUEUED
    assert event_kinds(store) == ["sweep.created", "sweep.paused", "sweep.resumed"]


def test_a_running_sweep_is_paused_by_its_driver(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(0), started(1))
    assert (pause(store).state, pause(store).wanted) == (SweepState.RUNNING, WantedState.PAUSE)
    assert beat(store, driver).wanted is WantedState.PAUSE  # type: ignore[attr-defined]
    send(store, driver, moved(TrialState.PAUSED, trial=0, reason="sweep paused"))
    end(store, driver, SweepState.PAUSED)
    sweep = store.get_sweep("s1")
    assert (sweep.state, sweep.ended_at) == (SweepState.PAUSED, None)
    assert counts(sweep) == {"pending": 2, "paused": 1}
    assert resume(store).state is SweepState.QUEUED
    assert drive(store, after=1).epoch == 2


def test_a_pause_taken_back_too_late_queues_the_sweep(store: Store) -> None:
    create(store)
    driver = drive(store)
    pause(store)
    assert resume(store).wanted is WantedState.RUN
    end(store, driver, SweepState.PAUSED)
    assert store.get_sweep("s1").state is SweepState.QUEUED


def test_a_paused_sweep_whose_driver_died_is_set_aside(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(0))
    pause(store)
    assert store.finish_abandoned(
        "s1", epoch=1, state=SweepState.PAUSED, reason="paused", now=at(20)
    )
    sweep = store.get_sweep("s1")
    assert (sweep.state, counts(sweep)) == (SweepState.PAUSED, {"pending": 3})


def test_ended_and_cancelled_sweeps_cannot_be_paused(store: Store) -> None:
    create(store)
    end(store, drive(store), SweepState.COMPLETED)
    with pytest.raises(Conflict, match="completed already"):
        pause(store)
    create(store, "s2")
    drive(store, "s2")
    store.cancel_sweep("s2", actor="me", now=at(1))
    with pytest.raises(Conflict, match="being cancelled"):
        store.pause_sweep("s2", actor="me", now=at(2))


def fail_two(store: Store) -> DriverIdentity:
    create(store)
    driver = drive(store)
    send(store, driver, *(started(i) for i in range(3)))
    send(store, driver, *(moved(TrialState.FAILED, trial=i, failed=True) for i in (0, 2)))
    return driver


def test_failed_trials_of_an_ended_sweep_are_tried_again(store: Store) -> None:
    driver = fail_two(store)
    send(store, driver, moved(TrialState.COMPLETED, trial=1))
    end(store, driver, SweepState.COMPLETED)
    sweep = retry(store)
    assert (sweep.state, sweep.ended_at) == (SweepState.QUEUED, None)
    assert counts(sweep) == {"pending": 2, "completed": 1}
    tasks = store.tasks("s1", after=-1, limit=10).items
    assert [(t.state, t.failures, t.attempts) for t in tasks if t.index != 1] == [
        (TrialState.PENDING, 0, 1)
    ] * 2
    assert store.list_events("s1").items[-1].detail == {"trials": 2}


def test_a_running_driver_hears_of_trials_to_be_tried_again_once(store: Store) -> None:
    driver = fail_two(store)
    retry(store)
    ack = beat(store, driver)
    assert ([t.index for t in ack.trials], ack.edits) == ([0, 2], 1)  # type: ignore[attr-defined]
    ack = beat(store, driver, edits=1)
    assert (ack.trials, ack.edits) == ((), 1)  # type: ignore[attr-defined]


def test_a_failed_sweep_also_tries_what_it_never_got_to(store: Store) -> None:
    driver = fail_two(store)
    end(store, driver, SweepState.FAILED)
    assert counts(store.get_sweep("s1")) == {"failed": 2, "cancelled": 1}
    assert counts(retry(store)) == {"pending": 3}


def test_there_must_be_something_to_retry(store: Store) -> None:
    create(store)
    with pytest.raises(Conflict, match="no failed trial"):
        retry(store)


def test_limits_change_while_a_sweep_runs(store: Store) -> None:
    create(store, max_concurrent=2)
    driver = drive(store)
    sweep = change(store, max_concurrent=5, priority=7, weight=2.5, budget={"hours": 1})
    assert (sweep.priority, sweep.weight, sweep.spec.priority) == (7, 2.5, 7)
    ack = beat(store, driver)
    assert (ack.max_concurrent, ack.budget.hours) == (5, 1.0)  # type: ignore[attr-defined]
    assert change(store, max_concurrent=None).spec.max_concurrent is None
    (duty,) = store.on_duty()
    assert (duty.priority, duty.weight) == (7, 2.5)
    detail = store.list_events("s1").items[-2].detail
    assert (detail["max_concurrent"], detail["priority"]) == (5, 7)


def test_a_stored_spec_is_read_once_until_it_changes(store: Store) -> None:
    create(store)
    first = store.get_sweep("s1").spec
    assert store.get_sweep("s1").spec is first
    assert store.list_sweeps(SweepQuery(limit=9)).items[0].spec is first
    assert change(store, max_concurrent=5).spec.max_concurrent == 5
    assert first.max_concurrent is None


def test_grid_values_and_trials_are_added_at_the_end(store: Store) -> None:
    create(store, replicates=2)
    driver = drive(store)
    sweep = change(store, add={"grid": {"x": [7]}, "trials": [{"x": 1}]})
    assert sweep.num_trials == 10
    assert sweep.spec.model_dump()["parameters"] == {"x": {"grid": [1, 2, 3, 7]}}
    ack = beat(store, driver, trials=6)
    added = ack.trials  # type: ignore[attr-defined]
    assert [(t.index, t.parameters["x"], t.origin) for t in added] == [
        (6, 7, Origin.USER),
        (7, 7, Origin.USER),
        (8, 1, Origin.USER),
        (9, 1, Origin.USER),
    ]
    assert len({t.seed for t in store.tasks("s1", after=-1, limit=99).items}) == 10
    assert store.get_trial("s1-9").assignment == 4


def test_trials_added_to_an_ended_sweep_queue_it_again(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(0), reported((1, 0.5)))
    end(store, driver, SweepState.COMPLETED)
    with pytest.raises(Conflict, match="only trials can be added"):
        change(store, priority=1)
    sweep = change(store, add={"grid": {"x": [7]}})
    assert (sweep.state, sweep.ended_at) == (SweepState.QUEUED, None)
    assert counts(sweep) == {"cancelled": 3, "pending": 1}


def test_what_a_driver_sees_is_kept(store: Store) -> None:
    create(store)
    driver = drive(store)
    used = Usage(seconds=3.5, gpu_seconds=1, trial_steps=40, trials=2)
    signs = Signs(
        pid=7,
        cluster={"CPU": 8},
        need={"CPU": 1},
        places=3,
        waiting="waiting for 1 GPU: the cluster has none",
        used=used,
    )
    known = Known(trials=3)
    store.set_places({"s1": 2, "nobody": 1})
    ack = store.heartbeat(driver, Heartbeat(known=known, signs=signs), now=START, lease=LEASE)
    assert ack.places == 2
    sweep = store.get_sweep("s1")
    assert (sweep.waiting, sweep.used, sweep.places) == (signs.waiting, used, 2)
    (duty,) = store.on_duty()
    assert (duty.cluster, duty.need, duty.wanted_places, duty.places) == (
        {"CPU": 8},
        {"CPU": 1},
        3,
        2,
    )
    end(store, driver, SweepState.COMPLETED)
    assert store.get_sweep("s1").waiting is None
