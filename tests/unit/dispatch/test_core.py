"""The dispatcher's decisions in simulated time: exact actions for exact views."""

from datetime import UTC, datetime, timedelta

from service.dispatch.core import EndSweep, Limits, StartDriver, decide
from service.store.interface import SweepOnDuty
from sweep.states import SweepState, WantedState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(max_running=2)


def sweep(name: str, **fields: object) -> SweepOnDuty:
    defaults: dict[str, object] = {
        "id": name,
        "state": SweepState.QUEUED,
        "wanted": WantedState.RUN,
        "priority": 0,
        "created_at": NOW,
        "epoch": 0,
        "lease_expires_at": None,
        "driver_ended_at": None,
        "fruitless_drivers": 0,
    }
    return SweepOnDuty(**{**defaults, **fields})  # type: ignore[arg-type]


def running(name: str, **fields: object) -> SweepOnDuty:
    alive = {"lease_expires_at": NOW + timedelta(seconds=5), "epoch": 1}
    return sweep(name, state=SweepState.RUNNING, **{**alive, **fields})


def test_queued_sweeps_start_by_priority_then_age_up_to_the_limit() -> None:
    queue = [
        sweep("young", created_at=NOW + timedelta(seconds=9)),
        sweep("old"),
        sweep("urgent", priority=5, created_at=NOW + timedelta(seconds=20)),
    ]
    assert decide(queue, now=NOW, limits=LIMITS) == [
        StartDriver("urgent", 0),
        StartDriver("old", 0),
    ]


def test_running_sweeps_take_up_the_limit() -> None:
    sweeps = [running("a"), running("b"), sweep("c")]
    assert decide(sweeps, now=NOW, limits=LIMITS) == []


def test_an_expired_lease_gets_a_successor_at_once() -> None:
    gone = running("a", lease_expires_at=NOW - timedelta(seconds=1), epoch=3)
    assert decide([gone], now=NOW, limits=LIMITS) == [StartDriver("a", 3)]


def test_after_the_service_was_away_leases_hold_a_while() -> None:
    gone = running("a", lease_expires_at=NOW - timedelta(seconds=1), epoch=3)
    limits = Limits(max_running=2, leases_hold_until=NOW + timedelta(seconds=1))
    assert decide([gone], now=NOW, limits=limits) == []
    later = NOW + timedelta(seconds=1)
    assert decide([gone], now=later, limits=limits) == [StartDriver("a", 3)]


def test_a_driver_that_ended_is_replaced_even_while_leases_hold() -> None:
    gone = running("a", lease_expires_at=None, driver_ended_at=NOW)
    limits = Limits(max_running=2, leases_hold_until=NOW + timedelta(seconds=9))
    assert decide([gone], now=NOW, limits=limits) == [StartDriver("a", 1)]


def test_fruitless_drivers_are_replaced_ever_later_and_at_last_given_up() -> None:
    def due(fruitless: int, after: float) -> list[object]:
        gone = running("a", lease_expires_at=None, driver_ended_at=NOW, fruitless_drivers=fruitless)
        return list(decide([gone], now=NOW + timedelta(seconds=after), limits=LIMITS))

    assert due(1, 0.9) == []
    assert due(1, 1.0) == [StartDriver("a", 1)]
    assert due(4, 7.9) == []
    assert due(4, 8.0) == [StartDriver("a", 1)]
    (end,) = due(5, 0)
    assert isinstance(end, EndSweep)
    assert end.state is SweepState.FAILED
    assert "5 drivers in a row" in end.reason


def test_a_cancelled_sweep_without_a_driver_is_ended_and_one_with_a_driver_is_left() -> None:
    gone = running("a", wanted=WantedState.CANCEL, lease_expires_at=None, driver_ended_at=NOW)
    alive = running("b", wanted=WantedState.CANCEL)
    assert decide([gone, alive], now=NOW, limits=LIMITS) == [
        EndSweep("a", 1, SweepState.CANCELLED, "cancelled")
    ]
