"""Who may drive a sweep: leases, epochs and fencing, on every store."""

import threading

import pytest

from service.store.interface import DriverIdentity, Store
from sweep.errors import Fenced
from sweep.states import SweepState, TrialState
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
    send,
    started,
)


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


def test_a_driver_that_never_saw_what_was_added_does_not_end_the_sweep(store: Store) -> None:
    create(store)
    driver = drive(store)
    completed = SweepFinished(state=SweepState.COMPLETED, time=at(9))
    send(store, driver, completed, known=2)
    sweep = store.get_sweep("s1")
    assert (sweep.state, counts(sweep)) == (SweepState.QUEUED, {"pending": 3})
    send(store, drive(store, after=1), completed)
    assert store.get_sweep("s1").state is SweepState.COMPLETED


def test_a_cancel_that_crosses_a_pause_is_kept(store: Store) -> None:
    create(store)
    driver = drive(store)
    store.cancel_sweep("s1", actor="me", now=at(1))
    send(store, driver, SweepFinished(state=SweepState.PAUSED, time=at(2)))
    sweep = store.get_sweep("s1")
    assert (sweep.state, counts(sweep)) == (SweepState.CANCELLED, {"cancelled": 3})
