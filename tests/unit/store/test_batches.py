"""What a driver's batches do to a store: each message once, whatever comes twice or late."""

import pytest

from service.store.interface import Store
from sweep.errors import NotFound
from sweep.records import Origin
from sweep.states import SweepState, TrialState, WantedState
from sweep.wire import (
    CheckpointSaved,
    RestartAsked,
    RungDecided,
    RungEntry,
    SweepFinished,
)
from tests.unit.store.builders import (
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


def test_reports_are_kept_once_and_summed_up(store: Store) -> None:
    create(store)
    driver = drive(store)
    batch = (started(), reported((1, 0.5), (2, 0.9), (3, 0.7), loss=2.0))
    for _ in range(2):
        send(store, driver, *batch)
    trial = store.get_trial("s1-0")
    assert (trial.state, trial.node, trial.attempts) == (TrialState.RUNNING, "node-1", 1)
    assert (trial.step, trial.reports, trial.metrics) == (3, 3, {"score": 0.7, "loss": 2.0})
    assert (trial.minimum["score"], trial.maximum["score"]) == (0.5, 0.9)
    assert trial.best is not None
    assert (trial.best.value, trial.best.step) == (0.9, 2)
    assert trial.best.metrics == {"score": 0.9, "loss": 2.0}
    assert [r.step for r in store.list_reports("s1-0").items] == [1, 2, 3]
    best = store.get_sweep("s1").best
    assert best is not None
    assert (best.value, best.trial_id, best.step) == (0.9, "s1-0", 2)


def test_a_value_that_is_not_finite_is_null_and_never_the_best(store: Store) -> None:
    create(store)
    send(store, drive(store), started(), reported((1, 0.5), (2, None)))
    trial = store.get_trial("s1-0")
    assert (trial.metrics, trial.nonfinite) == ({"score": None}, {"score": "nan"})
    assert trial.best is not None
    assert trial.best.value == 0.5
    assert trial.maximum == {"score": 0.5}
    assert store.list_reports("s1-0").items[1].nonfinite == {"score": "nan"}


def test_a_new_attempt_drops_what_came_after_its_start(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(
        store,
        driver,
        started(),
        reported((1, 0.1), (2, 0.9), (3, 0.2)),
        CheckpointSaved(trial=0, attempt=1, step=2, uri="two"),
        moved(TrialState.PENDING, reason="retry", error="boom", failed=True),
    )
    again = (started(attempt=2, from_step=1), reported((2, 0.3), attempt=2))
    for _ in range(2):
        send(store, driver, *again)
    trial = store.get_trial("s1-0")
    assert [r.step for r in store.list_reports("s1-0").items] == [1, 2]
    assert trial.best is not None
    assert (trial.best.value, trial.reports, trial.attempts, trial.error) == (0.3, 2, 2, "boom")
    assert store.tasks("s1", after=-1, limit=1).items[0].checkpoint is None
    assert "trial.retried" in event_kinds(store)


def test_the_best_state_is_kept_until_its_training_is_given_up(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(
        store,
        driver,
        started(),
        CheckpointSaved(trial=0, attempt=1, step=2, uri="two", best="two"),
        CheckpointSaved(trial=0, attempt=1, step=4, uri="four", best="two"),
        moved(TrialState.PENDING, reason="retry", failed=True),
        started(attempt=2, from_step=4),
    )
    trial = store.get_trial("s1-0")
    assert (trial.checkpoint, trial.best_checkpoint) == ("four", "two")
    send(store, driver, moved(TrialState.PENDING, attempt=2), started(attempt=3, from_step=1))
    trial = store.get_trial("s1-0")
    assert (trial.checkpoint, trial.best_checkpoint) == (None, None)


def test_an_event_about_something_outside_is_in_the_audit_of_a_deleted_sweep(store: Store) -> None:
    store.note_event("gone", kind="sweep.states_left", actor="me", now=START, detail={"url": "u"})
    (event,) = store.list_events("gone").items
    assert (event.kind, event.actor, event.detail) == ("sweep.states_left", "me", {"url": "u"})


def test_two_attempts_in_one_batch_leave_one_curve(store: Store) -> None:
    create(store)
    send(
        store,
        drive(store),
        started(),
        reported((1, 0.1), (2, 0.9)),
        moved(TrialState.PENDING, failed=True),
        started(attempt=2),
        reported((1, 0.2), attempt=2),
        moved(TrialState.COMPLETED, attempt=2, reason="max_t"),
    )
    trial = store.get_trial("s1-0")
    assert [r.values for r in store.list_reports("s1-0").items] == [{"score": 0.2}]
    assert trial.best is not None
    assert (trial.best.value, trial.state, trial.ended_at) == (0.2, TrialState.COMPLETED, at(50))


def test_messages_of_an_attempt_that_is_over_change_nothing(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(), moved(TrialState.PENDING), started(attempt=2))
    before = store.get_trial("s1-0")
    send(
        store,
        driver,
        started(attempt=1),
        reported((9, 1.0), attempt=1),
        moved(TrialState.COMPLETED, attempt=1),
        CheckpointSaved(trial=0, attempt=1, step=9, uri="nine"),
    )
    assert store.get_trial("s1-0") == before


def test_an_illegal_move_changes_nothing(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(), moved(TrialState.COMPLETED, reason="max_t"))
    before = store.get_trial("s1-0")
    send(store, driver, moved(TrialState.RUNNING), moved(TrialState.FAILED), started(attempt=2))
    assert store.get_trial("s1-0") == before


def test_a_batch_about_a_trial_that_is_not_there_is_refused_whole(store: Store) -> None:
    create(store)
    driver = drive(store)
    with pytest.raises(NotFound):
        send(store, driver, started(0), started(77))
    assert store.get_trial("s1-0").state is TrialState.PENDING


def test_a_winner_is_restarted_once(store: Store) -> None:
    create(store)
    driver = drive(store)
    done = (started(1), moved(TrialState.COMPLETED, trial=1))
    for _ in range(2):
        ack = send(store, driver, *done, RestartAsked(parent=1, max_t=500))
    (task,) = ack.trials
    assert (task.index, task.parent, task.max_t, task.origin) == (3, 1, 500, Origin.RESTART)
    parent, again = store.get_trial("s1-1"), store.get_trial("s1-3")
    assert (again.parameters, again.seed, again.parent) == (parent.parameters, parent.seed, "s1-1")
    assert send(store, driver, known=4).trials == ()
    assert store.get_sweep("s1").num_trials == 4


def entry(trial: int, decision: str = "continue") -> RungDecided:
    return RungDecided(
        entry=RungEntry(
            step=10,
            trial=trial,
            group='{"a":1}',
            value=0.5,
            peers=trial,
            cutoff=None if trial == 0 else 0.4,
            decision=decision,  # type: ignore[arg-type]
            time=at(trial),
        )
    )


def test_rung_decisions_are_kept_in_order_and_once(store: Store) -> None:
    create(store)
    driver = drive(store)
    for _ in range(2):
        send(store, driver, *(entry(i) for i in range(3)))
    first = store.rung_entries("s1", after=0, limit=2)
    rest = store.rung_entries("s1", after=first.next_after or 0, limit=2)
    assert [e.trial for e in (*first.items, *rest.items)] == [0, 1, 2]
    assert first.items[1] == entry(1).entry
    page = store.list_rungs("s1", limit=2)
    last = store.list_rungs("s1", limit=2, cursor=page.next_cursor)
    assert [r.trial_id for r in (*page.items, *last.items)] == ["s1-0", "s1-1", "s1-2"]


def test_decisions_made_together_are_kept_together(store: Store) -> None:
    create(store)
    first, second = entry(0), entry(1, "stop")
    send(store, drive(store), RungDecided(entry=first.entry, others=(second.entry,)))
    found = store.rung_entries("s1", after=0, limit=9).items
    assert found == (first.entry, second.entry)


def test_a_driver_reads_what_was_reported_of_a_metric_page_by_page(store: Store) -> None:
    create(store)
    driver = drive(store)
    for trial in (0, 2):
        send(store, driver, started(trial), reported((1, 0.5), (2, None), (4, 0.25), trial=trial))
    found, after = [], (0, 0)
    while True:
        page = store.past_reports("s1", metric="score", after=after, limit=2)
        found += [(past.trial, past.step, past.value) for past in page.items]
        if page.next_after is None:
            break
        after = page.next_after
    assert found == [(0, 1, 0.5), (0, 4, 0.25), (2, 1, 0.5), (2, 4, 0.25)]
    assert store.past_reports("s1", metric="other", after=(0, 0), limit=9).items == ()


def test_finishing_ends_the_driver_and_cancels_what_is_left(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(), moved(TrialState.COMPLETED))
    end = SweepFinished(state=SweepState.COMPLETED, reason="why", time=at(60))
    for _ in range(2):
        assert send(store, driver, end).wanted is WantedState.CANCEL
    sweep = store.get_sweep("s1")
    assert (sweep.state, sweep.reason, sweep.ended_at) == (SweepState.COMPLETED, "why", at(60))
    assert counts(sweep) == {"completed": 1, "cancelled": 2}
    assert event_kinds(store).count("sweep.completed") == 1
    assert not store.end_driver("s1", 1, reason="late", now=at(61))


def test_a_driver_reads_all_trials_page_by_page(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, started(2), reported((4, 0.25), trial=2))
    first = store.tasks("s1", after=-1, limit=2)
    rest = store.tasks("s1", after=first.next_after or 0, limit=2)
    tasks = (*first.items, *rest.items)
    assert [t.index for t in tasks] == [0, 1, 2]
    assert (tasks[2].state, tasks[2].rung_value) == (TrialState.RUNNING, 0.25)
