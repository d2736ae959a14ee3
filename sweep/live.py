"""Live events: what the service tells of a sweep while it changes.

Server-sent events. `sweep` carries the sweep without its spec, `trials` the trials that
changed, without the text of their errors, and `end` comes last, when the sweep is final
and all was told. The id of an event says up to where all was told; whoever connects
again with the last one misses nothing and is told nothing twice.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sweep.errors import QueryError
from sweep.records import SweepStatus, TrialRecord
from sweep.states import SweepState

MAX_TRIALS_TOLD = 200
"""Trials in one event."""

_WHOLE = 2**31 - 1
_MAX_VERSION = 2**62


@dataclass(frozen=True, order=True)
class Position:
    """How much of a sweep's changes is told: all up to a version, and of it a part."""

    version: int
    index: int = _WHOLE
    """Of that version, the trials up to this index; by default all."""

    def __str__(self) -> str:
        """As the id of an event: `12`, or `12-345` after a part of a version."""
        return str(self.version) if self.index == _WHOLE else f"{self.version}-{self.index}"


def parse_position(text: str) -> Position:
    """The position that an event's id stands for.

    Raises:
        QueryError: when it is none.
    """
    version, dash, index = text.partition("-")
    plain = text.isascii() and version.isdigit() and len(text) <= 30
    if not plain or (dash and not index.isdigit()):
        raise QueryError(
            f"the last event id {text!r:.100} is not one of this service's: "
            "it is a version such as 12, or 12-345"
        )
    return Position(min(int(version), _MAX_VERSION), min(int(index or _WHOLE), _WHOLE))


class TrialsTold(BaseModel):
    """The data of the event `trials`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    trials: tuple[TrialRecord, ...]


class EndTold(BaseModel):
    """The data of the event `end`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: SweepState | None
    """Null: the sweep was deleted."""


@dataclass(frozen=True)
class LiveEvent:
    """One event as the client hands it out."""

    kind: Literal["sweep", "trials", "end"]
    id: str
    """Where to go on after it."""
    sweep: SweepStatus | None = None
    """The sweep, when it is an event of one."""
    trials: tuple[TrialRecord, ...] = ()
    """The trials that changed, when it is an event of some."""
    state: SweepState | None = None
    """The state in which the sweep ended, with the last event."""
