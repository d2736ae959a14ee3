"""The dispatcher's loop over SQLite and a launcher that starts nothing, in simulated time."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from service.auth import hash_secret
from service.dispatch.core import Limits
from service.dispatch.launcher import Exit, Launch, LauncherAway
from service.dispatch.loop import Dispatcher
from service.store.interface import DriverIdentity, Store, SweepOnDuty
from sweep.errors import ServiceUnavailable
from sweep.states import SweepState
from sweep.wire import Heartbeat, Known
from tests.unit.api.conftest import Clock
from tests.unit.store.builders import create, event_kinds

LEASE = timedelta(seconds=10)


class FakeLauncher:
    def __init__(self) -> None:
        self.launched: list[Launch] = []
        self.exits: list[Exit] = []
        self.killed: list[tuple[str, int]] = []
        self.broken: Exception | None = None

    def launch(self, launch: Launch) -> None:
        if self.broken is not None:
            raise self.broken
        self.launched.append(launch)

    def ended(self) -> Sequence[Exit]:
        exits, self.exits = self.exits, []
        return exits

    def kill(self, sweep_id: str, epoch: int) -> None:
        self.killed.append((sweep_id, epoch))

    def stop(self) -> None:
        self.launched.clear()


def make(store: Store, answers: Sequence[bool] = (True,)) -> tuple[FakeLauncher, Clock, Dispatcher]:
    """`answers`: whether an API server does, as its first item stands at the time."""
    launcher, clock = FakeLauncher(), Clock()
    dispatcher = Dispatcher(
        store,
        launcher,
        limits=Limits(max_running=2),
        lease=LEASE,
        clock=clock,
        api_answers=lambda: answers[0],
    )
    return launcher, clock, dispatcher


def test_queued_sweeps_get_drivers_whose_tokens_work(store: Store) -> None:
    launcher, _, dispatcher = make(store)
    create(store, "a")
    dispatcher.step()
    dispatcher.step()
    (launch,) = launcher.launched
    assert (launch.sweep_id, launch.epoch) == ("a", 1)
    driver = store.identify_driver(hash_secret(launch.token))
    assert driver is not None
    assert (driver.sweep_id, driver.epoch) == ("a", 1)


def test_a_driver_that_ended_or_fell_silent_is_replaced(store: Store) -> None:
    launcher, clock, dispatcher = make(store)
    create(store, "a")
    dispatcher.step()
    launcher.exits.append(Exit("a", 1, "signal 9"))
    dispatcher.step()
    clock.pass_by(1)
    dispatcher.step()
    assert [launch.epoch for launch in launcher.launched] == [1, 2]
    clock.pass_by(12)
    dispatcher.step()
    assert [launch.epoch for launch in launcher.launched] == [1, 2, 3]
    assert launcher.killed == [("a", 2)]
    assert event_kinds(store, "a")[1:] == [
        "driver.started",
        "driver.ended",
        "driver.started",
        "driver.started",
    ]


def test_a_new_driver_has_longer_until_its_first_word(store: Store) -> None:
    launcher, clock = FakeLauncher(), Clock()
    dispatcher = Dispatcher(
        store,
        launcher,
        limits=Limits(max_running=2),
        lease=LEASE,
        clock=clock,
        first_lease=timedelta(seconds=60),
    )
    create(store, "a")
    dispatcher.step()
    clock.pass_by(59)
    dispatcher.step()
    assert len(launcher.launched) == 1
    store.heartbeat(
        DriverIdentity("a", 1), Heartbeat(known=Known(trials=3)), now=clock(), lease=LEASE
    )
    clock.pass_by(11)
    dispatcher.step()
    assert [launch.epoch for launch in launcher.launched] == [1, 2]
    clock.pass_by(63)
    dispatcher.step()
    assert launcher.killed == [("a", 1), ("a", 2)]


def test_drivers_that_cannot_be_started_are_tried_ever_later_then_the_sweep_fails(
    store: Store,
) -> None:
    launcher, clock, dispatcher = make(store)
    launcher.broken = OSError("no such interpreter")
    create(store, "a")
    for _ in range(400):
        dispatcher.step()
        clock.pass_by(0.1)
    sweep = store.get_sweep("a")
    assert (sweep.state, sweep.epoch) == (SweepState.FAILED, 5)
    reasons = [e.detail.get("reason") for e in store.list_events("a").items]
    assert "could not be started: no such interpreter" in reasons


def test_a_cancelled_sweep_whose_driver_died_is_ended(store: Store) -> None:
    launcher, _, dispatcher = make(store)
    create(store, "a")
    dispatcher.step()
    store.cancel_sweep("a", actor="me", now=Clock().now)
    launcher.exits.append(Exit("a", 1, "signal 9"))
    dispatcher.step()
    assert store.get_sweep("a").state is SweepState.CANCELLED


def test_while_no_driver_can_be_launched_sweeps_wait_and_do_not_fail(store: Store) -> None:
    launcher, clock, dispatcher = make(store)
    launcher.broken = LauncherAway("the head is away")
    create(store, "a")
    create(store, "b")
    for _ in range(3_000):
        dispatcher.step()
        clock.pass_by(0.1)
    sweeps = [store.get_sweep(name) for name in ("a", "b")]
    assert sum(sweep.epoch for sweep in sweeps) <= 11  # it tried ever later
    assert not any(sweep.state is SweepState.FAILED for sweep in sweeps)
    reasons = [e.detail.get("reason") for e in store.list_events("a").items]
    assert "could not be started: the head is away" in reasons
    launcher.broken = None
    clock.pass_by(60)
    dispatcher.step()
    assert {launch.sweep_id for launch in launcher.launched} == {"a", "b"}
    assert {s.fruitless_drivers for s in store.on_duty()} == {1}


def test_a_driver_that_lost_the_cluster_does_not_count_as_fruitless(store: Store) -> None:
    launcher, clock, dispatcher = make(store)
    create(store, "a")
    for epoch in range(1, 8):
        dispatcher.step()
        launcher.exits.append(Exit("a", epoch, "exit 6", blameless=True))
        clock.pass_by(1)
    dispatcher.step()
    sweep = store.get_sweep("a")
    assert (sweep.state, sweep.epoch) == (SweepState.RUNNING, 8)
    assert launcher.killed == []


def test_a_cancelled_sweep_with_a_silent_driver_is_ended_and_the_driver_too(store: Store) -> None:
    launcher, clock, dispatcher = make(store)
    create(store, "a")
    dispatcher.step()
    store.cancel_sweep("a", actor="me", now=clock())
    clock.pass_by(12)
    dispatcher.step()
    assert store.get_sweep("a").state is SweepState.CANCELLED
    assert launcher.killed == [("a", 1)]


def test_another_dispatchers_driver_is_left_alone_while_its_lease_holds(store: Store) -> None:
    _, clock, dispatcher = make(store)
    other = FakeLauncher()
    limits = Limits(max_running=2)
    second = Dispatcher(store, other, limits=limits, lease=LEASE, clock=clock)
    create(store, "a")
    dispatcher.step()
    driver = DriverIdentity("a", 1)
    for _ in range(40):
        second.step()
        clock.pass_by(1)
        store.heartbeat(driver, Heartbeat(known=Known(trials=3)), now=clock(), lease=LEASE)
    assert (other.launched, other.killed) == ([], [])
    assert store.get_sweep("a").epoch == 1


def test_an_exit_of_a_sweep_that_was_deleted_is_nothing(store: Store) -> None:
    launcher, _, dispatcher = make(store)
    launcher.exits.append(Exit("gone", 1, "exit 0"))
    dispatcher.step()


def test_an_exit_that_cannot_be_stored_is_stored_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher, _, dispatcher = make(store)
    create(store, "a")
    dispatcher.step()

    def refuse(*_: object, **__: object) -> bool:
        raise ServiceUnavailable("the database does not answer")

    launcher.exits.append(Exit("a", 1, "lost the cluster", blameless=True))
    with monkeypatch.context() as away:
        away.setattr(store, "withdraw_driver", refuse)
        with pytest.raises(ServiceUnavailable):
            dispatcher.step()
    dispatcher.step()
    (duty,) = store.on_duty()
    assert (duty.epoch, duty.fruitless_drivers) == (2, 1)
    assert "driver.ended" in event_kinds(store, "a")


class Rounds(threading.Event):
    """Stops a loop after some rounds, each with something that happens before it."""

    def __init__(self, *before: Callable[[], None]) -> None:
        super().__init__()
        self._before = list(before)

    def wait(self, timeout: float | None = None) -> bool:
        if not self._before:
            return True
        self._before.pop(0)()
        return False


def test_after_the_store_was_away_drivers_get_a_lease_to_be_heard(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher, clock = FakeLauncher(), Clock()
    dispatcher = Dispatcher(store, launcher, limits=Limits(max_running=2), lease=LEASE, clock=clock)
    create(store, "a")
    dispatcher.step()

    def refuse() -> Sequence[SweepOnDuty]:
        raise ServiceUnavailable("the database does not answer")

    def away(seconds: float) -> Callable[[], None]:
        def happen() -> None:
            monkeypatch.setattr(store, "on_duty", refuse)
            clock.pass_by(seconds)

        return happen

    def back(seconds: float) -> Callable[[], None]:
        def happen() -> None:
            monkeypatch.undo()
            clock.pass_by(seconds)

        return happen

    dispatcher.run(Rounds(away(5), away(60)))
    assert dispatcher.pulse.trouble() is None
    dispatcher.run(Rounds(away(60)))
    assert "the store has been away since" in (dispatcher.pulse.trouble() or "")
    dispatcher.run(Rounds(back(1), back(8)))
    assert dispatcher.pulse.trouble() is None
    assert launcher.killed == []
    dispatcher.run(Rounds(back(2)))
    assert launcher.killed == [("a", 1)]
    clock.pass_by(91)
    assert "the loop has stood still" in (dispatcher.pulse.trouble() or "")


def test_drivers_are_given_a_lease_from_when_an_api_server_answers_again(store: Store) -> None:
    answers = [True]
    launcher, clock, dispatcher = make(store, answers)
    create(store, "a")
    dispatcher.step()
    answers[0] = False
    for _ in range(10):
        clock.pass_by(LEASE.total_seconds() / 4)
        dispatcher.step()
    answers[0] = True
    for _ in range(3):
        clock.pass_by(LEASE.total_seconds() / 4)
        dispatcher.step()
    assert [launch.epoch for launch in launcher.launched] == [1]
    clock.pass_by(LEASE.total_seconds() / 2)
    dispatcher.step()
    assert [launch.epoch for launch in launcher.launched] == [1, 2]


def test_while_no_api_server_answers_no_driver_is_judged_and_none_is_started(store: Store) -> None:
    answers = [True]
    launcher, clock, dispatcher = make(store, answers)
    create(store, "a")
    dispatcher.step()
    answers[0] = False
    create(store, "b")
    for _ in range(6):
        clock.pass_by(LEASE.total_seconds())
        dispatcher.step()
    assert [(launch.sweep_id, launch.epoch) for launch in launcher.launched] == [("a", 1)]
    answers[0] = True
    clock.pass_by(LEASE.total_seconds() / 2)
    dispatcher.step()
    assert [(launch.sweep_id, launch.epoch) for launch in launcher.launched[1:]] == [("b", 1)]
    assert launcher.killed == []
    clock.pass_by(LEASE.total_seconds())
    dispatcher.step()
    assert ("a", 2) in [(launch.sweep_id, launch.epoch) for launch in launcher.launched]
