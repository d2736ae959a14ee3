"""What a driver and the service say to each other, under `/v1/driver`.

A driver holds a token that names one sweep and one epoch, so its messages name
neither. It sends an ordered stream of `Message`s in batches. Applying a batch twice
changes nothing, so a driver that got no answer sends the same batch again. Every
answer is an `Ack`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sweep.records import Nonfinite, Origin
from sweep.spec import SweepSpec
from sweep.states import SweepState, TrialState, WantedState

MAX_BATCH_MESSAGES = 2_000


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrialTask(_Wire):
    """A trial as its driver needs it."""

    index: int
    id: str
    parameters: Mapping[str, Any]
    seed: int
    group: str
    state: TrialState
    reason: str | None = None
    """Why it is in its state."""
    attempts: int = 0
    """How many times it was started."""
    failures: int = 0
    """How many of those failed."""
    max_t: int | None = None
    origin: Origin = Origin.SEARCH
    parent: int | None = None
    """The index of the trial that this one trains again."""
    checkpoint: str | None = None
    """Where its last saved state lies."""
    checkpoint_step: int = 0
    rung_value: float | None = None
    """The last finite value of the metric that rungs compare."""


class RungEntry(_Wire):
    """A decision taken at a rung, as the driver told it."""

    step: int
    trial: int
    group: str
    value: float | None
    """Null: not finite, which counts as worst."""
    peers: int = Field(ge=0)
    cutoff: float | None = None
    decision: Literal["continue", "stop"]
    time: datetime


class Assignment(_Wire):
    """What a driver starts from: the spec and what is recorded so far."""

    sweep_id: str
    epoch: int
    spec: SweepSpec
    code: str
    """The training function, as `package.module:function`."""
    cpu: float
    gpu: float
    reuse_actors: bool
    max_concurrent: int | None
    lease_s: float
    checkpoint_root: str
    """The folder under which this sweep's trials save their states."""


class TaskPage(_Wire):
    """Some of a sweep's trials in the order of their index."""

    items: tuple[TrialTask, ...]
    next_after: int | None = None


class RungPage(_Wire):
    """Some of a sweep's rung decisions, in the order in which they were taken."""

    items: tuple[RungEntry, ...]
    next_after: int | None = None


class ReportRow(_Wire):
    """The metrics of one step."""

    step: int = Field(ge=1)
    time: datetime
    values: Mapping[str, Annotated[float, Field(allow_inf_nan=False)] | None]
    nonfinite: Mapping[str, Nonfinite] = {}


class TrialStarted(_Wire):
    """An attempt at a trial began, after its state at `from_step`.

    Reports past `from_step` from earlier attempts are dropped: a trial's reports are
    always those of one unbroken training.
    """

    kind: Literal["started"] = "started"
    trial: int
    attempt: int = Field(ge=1)
    from_step: int = 0
    node: str | None = None
    time: datetime


class Reports(_Wire):
    """Steps of one trial, ascending."""

    kind: Literal["reports"] = "reports"
    trial: int
    attempt: int
    rows: tuple[ReportRow, ...]


class TrialMoved(_Wire):
    """A trial left the state running (or, for a verdict at a rung, paused)."""

    kind: Literal["moved"] = "moved"
    trial: int
    attempt: int
    state: TrialState
    reason: str | None = None
    error: str | None = Field(default=None, max_length=100_000)
    failed: bool = False
    """Whether this attempt failed; it counts towards `max_failures`."""
    time: datetime


class CheckpointSaved(_Wire):
    """A trial's state after `step` lies at `uri`; all reports up to it went before."""

    kind: Literal["checkpoint"] = "checkpoint"
    trial: int
    attempt: int
    step: int = Field(ge=0)
    uri: str


class RungDecided(_Wire):
    """A decision at a rung."""

    kind: Literal["rung"] = "rung"
    entry: RungEntry


class RestartAsked(_Wire):
    """A group's winner is to be trained again, from scratch, to `max_t`."""

    kind: Literal["restart"] = "restart"
    parent: int
    max_t: int


class SweepFinished(_Wire):
    """The driver is done; nothing follows."""

    kind: Literal["finished"] = "finished"
    state: SweepState
    reason: str | None = None
    time: datetime


Message = Annotated[
    TrialStarted
    | Reports
    | TrialMoved
    | CheckpointSaved
    | RungDecided
    | RestartAsked
    | SweepFinished,
    Field(discriminator="kind"),
]


class Batch(_Wire):
    """Messages in the order in which they came about."""

    messages: tuple[Message, ...] = Field(max_length=MAX_BATCH_MESSAGES)
    known_trials: int = Field(ge=0)
    """How many trials the driver knows: those with a lower index."""


class Heartbeat(_Wire):
    """The driver is alive; extends its lease."""

    known_trials: int = Field(ge=0)
    pid: int | None = None
    host: str | None = None


class Ack(_Wire):
    """The service's answer: what is wanted now, and trials that the driver lacks."""

    wanted: WantedState
    max_concurrent: int | None = None
    trials: tuple[TrialTask, ...] = ()
