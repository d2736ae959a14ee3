"""What the dispatcher does next: a pure function of what the store shows.

Of each priority and those above it, `max_running` sweeps run at once; the rest wait by
priority, then age. So a sweep never waits for ones of lower priority: those make room
on the cluster (`service.dispatch.shares`). A running sweep whose driver is gone gets a
successor, after a pause that doubles with every driver that achieved nothing; after too
many of those the sweep is failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.dispatch.shares import share
from service.store.interface import SweepOnDuty
from sweep.states import SweepState, WantedState


@dataclass(frozen=True)
class Limits:
    """What bounds the dispatcher."""

    max_running: int
    max_fruitless_drivers: int = 5
    backoff: timedelta = timedelta(seconds=1)
    max_backoff: timedelta = timedelta(minutes=1)
    leases_hold_until: datetime | None = None
    """Until then an expired lease is not taken as a death: after the service itself was
    away, drivers must get a chance to be heard."""


@dataclass(frozen=True)
class StartDriver:
    """Start a driver for the sweep, as the successor of the epoch's."""

    sweep_id: str
    after_epoch: int


@dataclass(frozen=True)
class EndSweep:
    """End a sweep that has no driver, or set it aside as paused."""

    sweep_id: str
    epoch: int
    state: SweepState
    reason: str


@dataclass(frozen=True)
class SetPlaces:
    """Say how many works running sweeps may train at once; None: any number."""

    places: Mapping[str, int | None]


Action = StartDriver | EndSweep | SetPlaces


def decide(sweeps: Sequence[SweepOnDuty], *, now: datetime, limits: Limits) -> list[Action]:
    """The actions that are due now."""
    actions: list[Action] = []
    running = [s for s in sweeps if s.state is SweepState.RUNNING]
    for sweep in running:
        if not _has_driver(sweep, now, limits):
            actions += _replace_driver(sweep, now, limits)
    queued = [s for s in sweeps if s.state is SweepState.QUEUED]
    queued.sort(key=lambda s: (-s.priority, s.created_at, s.id))
    priorities = [s.priority for s in running]
    for sweep in queued:
        if sum(p >= sweep.priority for p in priorities) < limits.max_running:
            actions.append(StartDriver(sweep.id, sweep.epoch))
            priorities.append(sweep.priority)
    shares = share(running)
    places = {s.id: shares[s.id] for s in running if shares.get(s.id, s.places) != s.places}
    if places:
        actions.append(SetPlaces(places))
    return actions


def _has_driver(sweep: SweepOnDuty, now: datetime, limits: Limits) -> bool:
    if sweep.lease_expires_at is None:
        return False
    if sweep.lease_expires_at > now:
        return True
    return limits.leases_hold_until is not None and now < limits.leases_hold_until


def _replace_driver(sweep: SweepOnDuty, now: datetime, limits: Limits) -> list[Action]:
    if sweep.wanted is WantedState.CANCEL:
        return [EndSweep(sweep.id, sweep.epoch, SweepState.CANCELLED, "cancelled")]
    if sweep.wanted is WantedState.PAUSE:
        return [EndSweep(sweep.id, sweep.epoch, SweepState.PAUSED, "paused")]
    if sweep.fruitless_drivers >= limits.max_fruitless_drivers:
        reason = (
            f"{sweep.fruitless_drivers} drivers in a row ended before they achieved anything; "
            "see the drivers' log files"
        )
        return [EndSweep(sweep.id, sweep.epoch, SweepState.FAILED, reason)]
    gone_at = sweep.driver_ended_at or sweep.lease_expires_at
    if gone_at is not None and sweep.fruitless_drivers > 0:
        pause = limits.backoff * 2 ** (sweep.fruitless_drivers - 1)
        if now < gone_at + min(pause, limits.max_backoff):
            return []
    return [StartDriver(sweep.id, sweep.epoch)]
