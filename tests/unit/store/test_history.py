"""What ended trials took, on both databases."""

from datetime import timedelta

import pytest

from service.store.interface import Store
from sweep.estimating import NOTHING_PAST, PastTraining
from sweep.states import TrialState
from sweep.wire import TrialMoved, TrialStarted
from tests.unit.store.builders import START, create, drive, reported, send


def begin(trial: int, second: float, pack: str | None = None, *, attempt: int = 1) -> TrialStarted:
    return TrialStarted(
        trial=trial,
        attempt=attempt,
        from_step=0,
        node="node-1",
        time=START + timedelta(seconds=second),
        pack=pack,
    )


def end(
    trial: int, second: float, state: TrialState = TrialState.COMPLETED, *, attempt: int = 1
) -> TrialMoved:
    when = START + timedelta(seconds=second)
    return TrialMoved(trial=trial, attempt=attempt, state=state, time=when)


def test_nothing_has_ended_yet(store: Store) -> None:
    create(store)
    send(store, drive(store), begin(0, 0), reported((5, 0.1), trial=0))
    assert store.past_training("noop") == NOTHING_PAST


def test_ended_trials_count_with_the_time_that_they_held_a_place(store: Store) -> None:
    create(store)
    send(
        store,
        drive(store),
        begin(0, 1.5),
        reported((10, 0.1), trial=0),
        end(0, 21.5),
        begin(1, 30),
        reported((30, 0.1), trial=1),
        end(1, 40, TrialState.STOPPED),
        begin(2, 30),
        reported((99, 0.1), trial=2),
    )
    assert store.past_training("noop") == PastTraining(trials=2, trial_steps=40, seconds=30.0)
    assert store.past_training("arithmetic") == NOTHING_PAST


def test_a_trial_that_waited_between_attempts_does_not_count(store: Store) -> None:
    create(store)
    send(
        store,
        drive(store),
        *(begin(0, 0), reported((10, 0.1), trial=0), end(0, 20)),
        *(begin(1, 0), reported((10, 0.1), trial=1), end(1, 20, TrialState.PAUSED)),
        begin(1, 9_000, attempt=2),
        reported((10, 0.1), trial=1, attempt=2),
        end(1, 9_010, attempt=2),
    )
    assert store.past_training("noop") == PastTraining(trials=1, trial_steps=10, seconds=20.0)


def test_a_pack_holds_one_place(store: Store) -> None:
    create(store)
    create(store, "s2")
    for sweep_id in ("s1", "s2"):
        send(
            store,
            drive(store, sweep_id),
            *(begin(trial, 10 + trial, "pack-1") for trial in range(3)),
            *(reported((20, 0.1), trial=trial) for trial in range(3)),
            *(end(trial, 40 + trial) for trial in range(3)),
        )
    assert store.past_training("noop") == PastTraining(trials=6, trial_steps=120, seconds=64.0)


def test_old_sweeps_do_not_count(store: Store) -> None:
    create(store, "old")
    send(store, drive(store, "old"), begin(0, 0), reported((1, 0.1), trial=0), end(0, 500))
    for i in range(20):
        create(store, f"n{i}")
    assert store.past_training("noop") == NOTHING_PAST


def test_where_there_are_too_many_the_newest_sweeps_count_whatever_became_of_their_trials(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.sql.past._COUNTED", 3)
    for sweep_id, steps in (("old", 1), ("new", 10)):
        create(store, sweep_id)
        send(
            store,
            drive(store, sweep_id),
            *(begin(trial, 0, "pack" if trial else None) for trial in range(3)),
            *(reported((steps, 0.1), trial=trial) for trial in range(3)),
            *(end(0, 20, TrialState.STOPPED), end(1, 30), end(2, 30)),
        )
    assert store.past_training("noop") == PastTraining(trials=3, trial_steps=30, seconds=50.0)
