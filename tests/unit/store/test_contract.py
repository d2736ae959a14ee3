"""What every store must do, sentence by sentence of its interface."""

import threading
from collections.abc import Iterator

import pytest

from service.query.parse import parse_filter, parse_sort
from service.store.interface import DriverIdentity, NewSweep, Store, TrialQuery
from sweep.errors import Conflict, Fenced, NotFound, QueryError
from sweep.records import Origin
from sweep.space import PlannedTrial
from sweep.spec import parse_spec
from sweep.states import SweepState, TrialState, WantedState
from sweep.wire import (
    CheckpointSaved,
    Heartbeat,
    Known,
    RestartAsked,
    RungDecided,
    RungEntry,
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
    first = store.list_sweeps(limit=2)
    second = store.list_sweeps(limit=2, cursor=first.next_cursor)
    create(store, "late")
    third = store.list_sweeps(limit=2, cursor=second.next_cursor)
    assert [[s.id for s in page.items] for page in (first, second, third)] == [
        ["s4", "s3"],
        ["s2", "s1"],
        ["s0"],
    ]
    assert third.next_cursor is None
    assert [s.id for s in store.list_sweeps(state=SweepState.RUNNING).items] == ["s2"]


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


# Leases


def test_a_lease_is_taken_once_and_again_only_after_its_driver_is_gone(store: Store) -> None:
    create(store)
    drive(store)
    assert store.identify_driver("hash-s1-0") == DriverIdentity("s1", 1)
    assert store.identify_driver("unknown") is None
    take = {"token_hash": "x", "lease": LEASE}
    assert store.start_driver("s1", after_epoch=0, now=at(99), **take) is None
    assert store.start_driver("s1", after_epoch=1, now=at(9), **take) is None
    assert store.start_driver("s1", after_epoch=1, now=at(10), **take) == 2
    assert store.end_driver("s1", 2, reason="exit 1", now=at(11))
    assert not store.end_driver("s1", 2, reason="again", now=at(12))
    assert store.start_driver("s1", after_epoch=2, token_hash="y", now=at(12), lease=LEASE) == 3
    sweep = store.get_sweep("s1")
    assert (sweep.state, sweep.started_at, sweep.epoch) == (SweepState.RUNNING, START, 3)


def test_of_many_that_want_a_lease_at_once_one_gets_it(store: Store) -> None:
    create(store)
    won: list[int] = []
    ready = threading.Barrier(6)

    def take(number: int) -> None:
        ready.wait()
        epoch = store.start_driver(
            "s1", after_epoch=0, token_hash=f"t{number}", now=START, lease=LEASE
        )
        if epoch is not None:
            won.append(number)

    threads = [threading.Thread(target=take, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get_sweep("s1").epoch == 1


def test_a_cancelled_or_ended_sweep_gets_no_driver(store: Store) -> None:
    create(store)
    driver = drive(store)
    store.cancel_sweep("s1", actor="me", now=START)
    store.end_driver("s1", driver.epoch, reason="killed", now=START)
    take = {"token_hash": "x", "now": at(99), "lease": LEASE}
    assert store.start_driver("s1", after_epoch=1, **take) is None
    assert store.finish_abandoned(
        "s1", epoch=1, state=SweepState.CANCELLED, reason="cancelled", now=at(99)
    )
    assert store.start_driver("s1", after_epoch=1, **take) is None


def test_an_abandoned_sweep_is_ended_unless_its_driver_lives(store: Store) -> None:
    create(store)
    drive(store)
    end = {"state": SweepState.FAILED, "reason": "no driver"}
    assert not store.finish_abandoned("s1", epoch=1, now=at(9), **end)
    assert not store.finish_abandoned("s1", epoch=0, now=at(99), **end)
    assert store.finish_abandoned("s1", epoch=1, now=at(99), **end)
    sweep = store.get_sweep("s1")
    assert (sweep.state, sweep.reason) == (SweepState.FAILED, "no driver")
    assert counts(sweep) == {"cancelled": 3}


def test_on_duty_shows_what_the_dispatcher_needs(store: Store) -> None:
    create(store, "queued")
    create(store, "lost")
    create(store, "ended")
    drive(store, "lost")
    driver = drive(store, "ended")
    send(store, driver, SweepFinished(state=SweepState.COMPLETED, time=at(9)))
    view = {s.id: s for s in store.on_duty()}
    assert set(view) == {"queued", "lost"}
    assert (view["queued"].epoch, view["queued"].lease_expires_at) == (0, None)
    assert (view["lost"].lease_expires_at, view["lost"].fruitless_drivers) == (at(10), 1)
    store.end_driver("lost", 1, reason="exit 1", now=at(3))
    (lost,) = [s for s in store.on_duty() if s.id == "lost"]
    assert (lost.lease_expires_at, lost.driver_ended_at) == (None, at(3))


def test_a_driver_is_fruitful_once_a_trial_starts(store: Store) -> None:
    create(store)
    send(store, drive(store), started())
    assert store.on_duty()[0].fruitless_drivers == 0


def test_a_driver_that_the_cluster_failed_is_not_fruitless(store: Store) -> None:
    create(store)
    drive(store)
    drive(store, after=1, now=at(10))
    assert store.withdraw_driver("s1", 2, reason="no Ray", now=at(11))
    assert not store.withdraw_driver("s1", 2, reason="again", now=at(12))
    (sweep,) = store.on_duty()
    assert (sweep.fruitless_drivers, sweep.driver_ended_at) == (1, at(11))
    assert event_kinds(store)[-1] == "driver.ended"
    driver = drive(store, after=2, now=at(12))
    send(store, driver, started())
    assert store.withdraw_driver("s1", 3, reason="no Ray", now=at(14))
    assert store.on_duty()[0].fruitless_drivers == 0
    with pytest.raises(Fenced):
        store.heartbeat(driver, Heartbeat(known=Known(trials=3)), now=at(15), lease=LEASE)


def test_a_heartbeat_extends_even_an_expired_lease_that_nobody_took(store: Store) -> None:
    create(store)
    driver = drive(store)
    store.heartbeat(driver, Heartbeat(known=Known(trials=3)), now=at(99), lease=LEASE)
    assert store.on_duty()[0].lease_expires_at == at(109)


def test_an_old_epoch_is_fenced_out(store: Store) -> None:
    create(store)
    old = drive(store)
    new = drive(store, after=1, now=at(20))
    with pytest.raises(Fenced):
        send(store, old, started())
    with pytest.raises(Fenced):
        store.heartbeat(old, Heartbeat(known=Known(trials=3)), now=at(21), lease=LEASE)
    assert store.get_trial("s1-0").state is TrialState.PENDING
    send(store, new, started())
    store.end_driver("s1", 2, reason="killed", now=at(30))
    with pytest.raises(Fenced):
        send(store, new, started(1))


# Batches


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
        lambda: store.list_sweeps(cursor=cursor),
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


def test_a_ready_store_checks_out(store: Store) -> None:
    store.check()
