"""The dispatcher's loop over SQLite and a launcher that starts nothing, in simulated time."""

from collections.abc import Sequence
from datetime import timedelta

from service.auth import hash_secret
from service.dispatch.core import Limits
from service.dispatch.launcher import Exit, Launch
from service.dispatch.loop import Dispatcher
from service.store.interface import Store
from sweep.states import SweepState
from tests.unit.api.conftest import Clock
from tests.unit.store.builders import create, event_kinds

LEASE = timedelta(seconds=10)


class FakeLauncher:
    def __init__(self) -> None:
        self.launched: list[Launch] = []
        self.exits: list[Exit] = []
        self.broken = False

    def launch(self, launch: Launch) -> None:
        if self.broken:
            raise OSError("no more processes")
        self.launched.append(launch)

    def ended(self) -> Sequence[Exit]:
        exits, self.exits = self.exits, []
        return exits

    def stop(self) -> None:
        self.launched.clear()


def make(store: Store) -> tuple[FakeLauncher, Clock, Dispatcher]:
    launcher, clock = FakeLauncher(), Clock()
    dispatcher = Dispatcher(store, launcher, limits=Limits(max_running=2), lease=LEASE, clock=clock)
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
    assert event_kinds(store, "a")[1:] == [
        "driver.started",
        "driver.ended",
        "driver.started",
        "driver.started",
    ]


def test_drivers_that_cannot_be_started_are_tried_ever_later_then_the_sweep_fails(
    store: Store,
) -> None:
    launcher, clock, dispatcher = make(store)
    launcher.broken = True
    create(store, "a")
    for _ in range(400):
        dispatcher.step()
        clock.pass_by(0.1)
    sweep = store.get_sweep("a")
    assert (sweep.state, sweep.epoch) == (SweepState.FAILED, 5)
    reasons = [e.detail.get("reason") for e in store.list_events("a").items]
    assert "could not be started: no more processes" in reasons


def test_a_cancelled_sweep_whose_driver_died_is_ended(store: Store) -> None:
    launcher, _, dispatcher = make(store)
    create(store, "a")
    dispatcher.step()
    store.cancel_sweep("a", actor="me", now=Clock().now)
    launcher.exits.append(Exit("a", 1, "signal 9"))
    dispatcher.step()
    assert store.get_sweep("a").state is SweepState.CANCELLED
