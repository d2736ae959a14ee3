"""How drivers are started, watched and ended: the protocol of launchers.

`service.dispatch.local` runs drivers as subprocesses, `service.dispatch.ray_jobs` as jobs
of a Ray cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

LOG_TAIL_CHARS = 2_000
"""How much of a driver's log goes into the reason for its end."""


class LauncherAway(Exception):
    """Where drivers run cannot be reached now, through no fault of the sweep's.

    The driver was not started, or, when an answer was lost, must not go on.
    """


@dataclass(frozen=True)
class Launch:
    """A driver to start."""

    sweep_id: str
    epoch: int
    token: str


@dataclass(frozen=True)
class Exit:
    """A driver that ended."""

    sweep_id: str
    epoch: int
    reason: str
    blameless: bool = False
    """Whether the cluster was to blame, which says nothing about the sweep."""


class Launcher(Protocol):
    """Starts drivers and tells which of them ended.

    A launcher speaks of drivers alone that it started itself; `kill` reaches further.
    """

    def launch(self, launch: Launch) -> None:
        """Start a driver.

        Raises:
            LauncherAway: when that would do later.
            OSError: when it cannot be started, and trying again is likely to fail.
        """
        ...

    def ended(self) -> Sequence[Exit]:
        """The drivers that ended since the last call. One that cannot be asked about runs."""
        ...

    def kill(self, sweep_id: str, epoch: int) -> None:
        """End a driver whose lease ran out, frozen or not, whichever process launched it.

        Best effort: a driver that is not found is left alone, and raises nothing. What it
        says later is refused in any case; ending it frees what its trials hold.
        """
        ...

    def stop(self) -> None:
        """The dispatcher ends: end the drivers that cannot go on without it."""
        ...


def exit_reason(how: str, log: str) -> str:
    """Why a driver ended, with the end of its log."""
    tail = log[-LOG_TAIL_CHARS:].strip()
    return f"{how}; its log ends: {tail}" if tail else how
