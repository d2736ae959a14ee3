"""What a driver and the service say to each other, under `/v1/driver`.

A driver holds a token that names one sweep and one epoch, so its messages name
neither. It sends an ordered stream of `Message`s in batches. Applying a batch twice
changes nothing, so a driver that got no answer sends the same batch again. Every
answer is an `Ack`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from sweep.records import Nonfinite, Origin, Usage
from sweep.spec import Budget, Resources, SweepSpec
from sweep.states import SweepState, TrialState, WantedState

MAX_WAITING_CHARS = 1_000

MAX_BATCH_MESSAGES = 2_000

EXPLOITED = "exploited"
"""Why a trial of a population waits that took another's state."""

EXIT_NO_RAY = 6
"""The exit code of a driver that lost the Ray cluster, or waited for it in vain."""


def _storable(text: str) -> str:
    """The text without what databases cannot hold; a trial's error may be any text."""
    return text.replace("\x00", "\ufffd")


_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST = datetime(3000, 1, 1, tzinfo=UTC)

Text = Annotated[str, AfterValidator(_storable)]
Time = Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST)]
Index = Annotated[int, Field(ge=0, lt=2**31)]
Attempt = Annotated[int, Field(ge=1, lt=2**31)]
Step = Annotated[int, Field(ge=0, lt=2**63)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


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
    assignment: int = 0
    """Shared by the replicates of one parameter assignment."""
    replicate: int = 0
    parent: int | None = None
    """The index of the trial that this one trains again."""
    checkpoint: str | None = None
    """Where its last saved state lies."""
    checkpoint_step: int = 0
    rung_value: float | None = None
    """The last finite value of the metric that rungs compare."""


class RungEntry(_Wire):
    """A decision taken at a rung, as the driver told it."""

    step: Step
    trial: Index
    group: Text
    value: Finite | None
    """Null: not finite, which counts as worst."""
    peers: Index
    cutoff: Finite | None = None
    decision: Literal["continue", "stop"]
    time: Time


class Assignment(_Wire):
    """What a driver starts from: the spec and what is recorded so far."""

    sweep_id: str
    epoch: int
    spec: SweepSpec
    code: str
    """The training function, as `package.module:function`."""
    resources: Resources
    """What each trial reserves."""
    reuse_actors: bool
    max_concurrent: int | None
    used: Usage = Usage()
    excluded_nodes: Mapping[str, str] = {}
    """Nodes on which no trial of the sweep is started, by Ray's id, and why."""
    edits: int = 0
    """How many edits the tasks and the spec show."""
    lease_s: float
    pause_grace_s: float = 60
    """How long a pause waits for trials to save their states."""
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


class SearchResult(_Wire):
    """How far a trial is, as a model-based search needs it."""

    index: int
    assignment: int
    parameters: Mapping[str, Any]
    state: TrialState
    best: float | None = None
    """The best value of the sweep's metric."""
    step: int | None = None
    """The step of its last report."""
    last: Mapping[str, float | None] = {}
    """The last values of the metrics that the search optimises together."""


class ResultPage(_Wire):
    """Some of a sweep's trials, or of those that it starts from, in a fixed order."""

    items: tuple[SearchResult, ...]
    next_after: int | None = None


class PastReport(_Wire):
    """What a trial reported of the metric that rungs compare, before the driver began."""

    trial: Index
    step: Step
    value: Finite | None


class PastReportPage(_Wire):
    """Some of a sweep's reports by trial and step; `next_after` is the last one's place."""

    items: tuple[PastReport, ...]
    next_after: tuple[Index, Step] | None = None


class ReportRow(_Wire):
    """The metrics of one step."""

    step: Annotated[Step, Field(ge=1)]
    time: Time
    values: Mapping[Text, Finite | None]
    nonfinite: Mapping[Text, Nonfinite] = {}


class TrialStarted(_Wire):
    """An attempt at a trial began, after its state at `from_step`.

    Reports past `from_step` from earlier attempts are dropped: a trial's reports are
    always those of one unbroken training.
    """

    kind: Literal["started"] = "started"
    trial: Index
    attempt: Attempt
    from_step: Step = 0
    node: Text | None = None
    pack: Text | None = None
    """The name, good for this sweep, of the pack that it trains in."""
    time: Time


class Reports(_Wire):
    """Steps of one trial, ascending."""

    kind: Literal["reports"] = "reports"
    trial: Index
    attempt: Index
    rows: tuple[ReportRow, ...]


class TrialMoved(_Wire):
    """A trial left the state running (or, for a verdict at a rung, paused)."""

    kind: Literal["moved"] = "moved"
    trial: Index
    attempt: Index
    state: TrialState
    reason: Text | None = None
    error: Text | None = Field(default=None, max_length=100_000)
    failed: bool = False
    """Whether this attempt failed; it counts towards `max_failures`."""
    time: Time


class CheckpointSaved(_Wire):
    """A trial's state after `step` lies at `uri`; all reports up to it went before."""

    kind: Literal["checkpoint"] = "checkpoint"
    trial: Index
    attempt: Index
    step: Step
    uri: Text
    best: Text | None = None
    """Where the best state so far lies, in a sweep that keeps it."""


MAX_ENTRIES = 5_000
"""How many decisions one message carries at most."""


class RungDecided(_Wire):
    """A decision at a rung, and those that were made with it: they are stored together."""

    kind: Literal["rung"] = "rung"
    entry: RungEntry
    others: tuple[RungEntry, ...] = Field(default=(), max_length=MAX_ENTRIES)

    @property
    def entries(self) -> tuple[RungEntry, ...]:
        """All of them."""
        return (self.entry, *self.others)


class RestartAsked(_Wire):
    """A group's winner is to be trained again, from scratch, to `max_t`."""

    kind: Literal["restart"] = "restart"
    parent: Index
    max_t: Step


class Proposed(_Wire):
    """A model-based search's next assignment; its trials follow from it and the spec.

    One that is there already changes nothing: the first proposal stands.
    """

    kind: Literal["proposed"] = "proposed"
    assignment: Index
    parameters: Mapping[Text, Any]
    time: Time


class Exploited(_Wire):
    """A trial of a population waits to go on from another's saved state, with new parameters.

    The trial leaves the state running with it, so that it is applied once.
    """

    kind: Literal["exploited"] = "exploited"
    trial: Index
    attempt: Index
    donor: Index
    step: Step
    """The interval at which the two were compared."""
    value: Finite | None
    """The trial's there."""
    donor_value: Finite | None
    parameters: Mapping[Text, Any]
    """The trial's from now on: the donor's, explored."""
    checkpoint: Text
    """Where the donor's state lies."""
    checkpoint_step: Step
    time: Time


class NodeExcluded(_Wire):
    """No trial of the sweep is started on that node any more."""

    kind: Literal["node"] = "node"
    node: Text = Field(min_length=1, max_length=200)
    """Ray's id of the node."""
    reason: Text = Field(max_length=1_000)
    forgiven: tuple[Index, ...] = Field(default=(), max_length=100)
    """Trials whose last failure was the node's fault: it is taken off their count."""
    time: Time


class LogWritten(_Wire):
    """What a process printed while it trained; `work` names what it trained.

    A trial alone is the work `{index}-{attempt}`; a pack is named by its first member.
    """

    kind: Literal["log"] = "log"
    work: Text = Field(min_length=1, max_length=40)
    seq: Index
    """Counts the pieces of a work from 0."""
    stream: Literal["stdout", "stderr"]
    text: Text = Field(max_length=70_000)
    time: Time


class SweepFinished(_Wire):
    """The driver is done; nothing follows. State paused: its trials go on later."""

    kind: Literal["finished"] = "finished"
    state: SweepState
    reason: Text | None = None
    used: Usage | None = None
    """What the sweep has used by now."""
    time: Time


Message = Annotated[
    TrialStarted
    | Reports
    | TrialMoved
    | CheckpointSaved
    | RungDecided
    | RestartAsked
    | Proposed
    | Exploited
    | NodeExcluded
    | LogWritten
    | SweepFinished,
    Field(discriminator="kind"),
]


class Known(_Wire):
    """How much of the sweep the driver has seen."""

    trials: Index
    """It knows the trials with a lower index."""
    edits: Index = 0
    """It knows the edits up to this one."""


class Batch(_Wire):
    """Messages in the order in which they came about."""

    messages: tuple[Message, ...] = Field(max_length=MAX_BATCH_MESSAGES)
    known: Known


class Signs(_Wire):
    """What a driver sees around it."""

    pid: Index | None = None
    host: Text | None = None
    cluster: Mapping[Text, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default={}, max_length=1_000
    )
    """What the cluster's nodes offer in all, by Ray's names; empty when not known."""
    need: Mapping[Text, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default={}, max_length=100
    )
    """What one work takes of it."""
    places: Index = 0
    """How many places it could use now: works that run or wait. A work is a trial alone, or
    a pack; it takes the resources of one trial."""
    waiting: Text | None = Field(default=None, max_length=MAX_WAITING_CHARS)
    """Why nothing is training, in words for the user."""
    used: Usage = Usage()


class Heartbeat(_Wire):
    """The driver is alive; extends its lease."""

    known: Known
    signs: Signs = Signs()


class Ack(_Wire):
    """The service's answer: what is wanted now, and what the driver has not seen yet."""

    wanted: WantedState
    max_concurrent: int | None = None
    budget: Budget = Budget()
    places: int | None = None
    """How many works may train at once, so that others get their share; None: any number."""
    trials: tuple[TrialTask, ...] = ()
    """Trials that were added, or that are to be tried again."""
    edits: int = 0
    """The last edit that `trials` shows."""
