"""The states of sweeps and trials, and the one table of legal transitions.

A transition is a compare-and-set in the store: it names the states that it may
start from and says whether it changed anything.
"""

from collections.abc import Mapping
from enum import StrEnum


class SweepState(StrEnum):
    """Where a sweep stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TrialState(StrEnum):
    """Where a trial stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    STOPPED = "stopped"
    DIVERGED = "diverged"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WantedState(StrEnum):
    """What a sweep's user wants its driver to do."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


SWEEP_TRANSITIONS: Mapping[SweepState, frozenset[SweepState]] = {
    SweepState.QUEUED: frozenset(
        {SweepState.RUNNING, SweepState.PAUSED, SweepState.FAILED, SweepState.CANCELLED}
    ),
    SweepState.RUNNING: frozenset(
        {
            SweepState.QUEUED,
            SweepState.PAUSED,
            SweepState.COMPLETED,
            SweepState.FAILED,
            SweepState.CANCELLED,
        }
    ),
    SweepState.PAUSED: frozenset({SweepState.QUEUED, SweepState.CANCELLED}),
    SweepState.COMPLETED: frozenset({SweepState.QUEUED}),
    SweepState.FAILED: frozenset({SweepState.QUEUED}),
    SweepState.CANCELLED: frozenset(),
}

TRIAL_TRANSITIONS: Mapping[TrialState, frozenset[TrialState]] = {
    TrialState.PENDING: frozenset(
        {TrialState.RUNNING, TrialState.STOPPED, TrialState.FAILED, TrialState.CANCELLED}
    ),
    TrialState.RUNNING: frozenset(
        {
            TrialState.PENDING,
            TrialState.PAUSED,
            TrialState.COMPLETED,
            TrialState.STOPPED,
            TrialState.DIVERGED,
            TrialState.FAILED,
            TrialState.CANCELLED,
        }
    ),
    TrialState.PAUSED: frozenset(
        {TrialState.PENDING, TrialState.RUNNING, TrialState.STOPPED, TrialState.CANCELLED}
    ),
    TrialState.COMPLETED: frozenset(),
    TrialState.STOPPED: frozenset(),
    TrialState.DIVERGED: frozenset(),
    TrialState.FAILED: frozenset({TrialState.PENDING}),
    TrialState.CANCELLED: frozenset({TrialState.PENDING}),
}

FINAL_SWEEP_STATES = frozenset({SweepState.COMPLETED, SweepState.FAILED, SweepState.CANCELLED})
FINAL_TRIAL_STATES = frozenset(
    {
        TrialState.COMPLETED,
        TrialState.STOPPED,
        TrialState.DIVERGED,
        TrialState.FAILED,
        TrialState.CANCELLED,
    }
)


def sources_of_sweep(target: SweepState) -> frozenset[SweepState]:
    """The states from which a sweep may move to `target`."""
    return frozenset(s for s, targets in SWEEP_TRANSITIONS.items() if target in targets)
