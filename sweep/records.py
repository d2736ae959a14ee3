"""What the service answers: sweeps, trials, reports and their lists.

Metric values are finite or null in JSON. A value that was not finite is null, and
`nonfinite` says for its name what it was: `nan`, `inf` or `-inf`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from sweep.spec import SweepSpec
from sweep.states import SweepState, TrialState, WantedState

Item = TypeVar("Item")
Nonfinite = Literal["nan", "inf", "-inf"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Page(_Record, Generic[Item]):
    """One page of a list; `next_cursor` is null on the last one."""

    items: tuple[Item, ...]
    next_cursor: str | None = None
    count: int | None = None
    """How many there are on all pages, where that was asked for."""


class Best(_Record):
    """The best value of the sweep's metric, and the trial that reached it first."""

    value: float
    trial_id: str
    step: int


class Usage(_Record):
    """What a sweep has used so far, by all of its drivers."""

    seconds: float = Field(default=0, ge=0, allow_inf_nan=False)
    """While it was running."""
    gpu_seconds: float = Field(default=0, ge=0, allow_inf_nan=False)
    trial_steps: int = Field(default=0, ge=0, lt=2**63)
    """Also those that a trial had to train again."""
    trials: int = Field(default=0, ge=0, lt=2**31)
    """Trials that were started."""


class SweepStatus(_Record):
    """A sweep without its spec, as live events tell it."""

    id: str
    name: str
    state: SweepState
    reason: str | None = None
    priority: int = 0
    tags: tuple[str, ...] = ()
    trials: Mapping[TrialState, int]
    """How many trials are in each state; states with none are there with 0."""
    best: Best | None = None
    epoch: int = 0
    """How many drivers have been started for it."""
    wanted: WantedState = WantedState.RUN
    """What its driver was asked to do."""
    weight: float = 1
    waiting: str | None = None
    """Why nothing of it is training, while it is queued or running."""
    places: int | None = None
    """How many of its trials, or packs, may train at once, for the others' sake."""
    used: Usage = Usage()
    """What it has used of its budget."""
    edits: int = 0
    """Rises when failed trials of it are to be tried again."""
    excluded_nodes: Mapping[str, str] = {}
    """Nodes on which none of its trials is started any more, and why."""
    version: int = 0
    """Rises with every change; live events of a sweep can be had from a version on."""
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def num_trials(self) -> int:
        """The number of its trials, in whatever state."""
        return sum(self.trials.values())


class SweepRecord(SweepStatus):
    """A sweep as the service answers it."""

    spec: SweepSpec


class Origin(StrEnum):
    """Where a trial comes from."""

    SEARCH = "search"
    RESTART = "restart"
    """A group's winner, trained again for longer."""
    USER = "user"


class BestValue(_Record):
    """A trial's best value of the sweep's metric, and where it reached it first."""

    value: float
    step: int
    metrics: Mapping[str, float | None] = {}
    """Every metric at that step."""


class TrialRecord(_Record):
    """A trial as the service answers it."""

    id: str
    sweep_id: str
    index: int
    state: TrialState
    reason: str | None = None
    """Why it is in its state: target, max_t, finished, rung, nonfinite, error, …"""
    error: str | None = None
    """The traceback of its last failure."""
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float | None] = {}
    """The last value of each metric."""
    nonfinite: Mapping[str, Nonfinite] = {}
    """What the nulls among `metrics` were."""
    minimum: Mapping[str, float] = {}
    maximum: Mapping[str, float] = {}
    best: BestValue | None = None
    step: int | None = None
    """The step of its last report."""
    reports: int = 0
    group: str = "{}"
    """Its group's values as canonical JSON."""
    assignment: int = 0
    """Shared by the replicates of one parameter assignment."""
    replicate: int = 0
    seed: int
    max_t: int | None = None
    origin: Origin = Origin.SEARCH
    parent: str | None = None
    """The trial that this one trains again."""
    pack: str | None = None
    attempts: int = 0
    node: str | None = None
    checkpoint: str | None = None
    """Where its last saved state lies."""
    best_checkpoint: str | None = None
    """Where the state that it saved at its best value lies."""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


class ReportRecord(_Record):
    """What a trial reported at one step."""

    step: int
    time: datetime
    values: Mapping[str, float | None]
    nonfinite: Mapping[str, Nonfinite] = {}


class LogRecord(_Record):
    """Some of what was printed while a trial trained."""

    attempt: int
    """The attempt at the trial; the first one whose work it is."""
    work: str
    """What the process trained: `{index}-{attempt}`, or the name of the trial's pack."""
    packed: bool = False
    """Whether other trials trained there too."""
    node: str | None = None
    stream: Literal["stdout", "stderr"]
    time: datetime
    """When it was read, to about a second."""
    text: str


class LogPage(Page[LogRecord]):
    """A page of a trial's log, in order."""

    end_cursor: str
    """Where what is printed later starts: a cursor like `next_cursor`, on every page."""


class RungRecord(_Record):
    """A decision about one trial at one rung."""

    step: int
    group: str
    trial_id: str
    value: float | None
    """Null when it was not finite, which counts as worst."""
    peers: int
    cutoff: float | None
    decision: Literal["continue", "stop"]
    decided_at: datetime


class EventRecord(_Record):
    """Who changed what, when."""

    id: int
    time: datetime
    actor: str
    kind: str
    sweep_id: str | None = None
    trial_id: str | None = None
    detail: Mapping[str, Any] = {}


class QueryField(_Record):
    """A field that a filter, a sort or a projection may name."""

    name: str
    type: Literal["number", "text", "boolean", "time", "list"]
    source: Literal["column", "parameter", "metric"]
    values: tuple[str, ...] = ()
    """Some of the texts that it has."""


class TrainableRecord(_Record):
    """A trainable that specs may name."""

    name: str
    description: str
    metrics: tuple[str, ...]
    parameters: Mapping[str, Any] | None
    """JSON Schema of its parameters; null when it takes any."""
    published_columns: tuple[str, ...] | None


class GroupPlan(_Record):
    """One group of a dry run."""

    group: str
    trials: int


class RungPlan(_Record):
    """One rung of a dry run, over all groups."""

    step: int
    keeps: int


class Estimate(_Record):
    """How long a sweep would take, from what trials of the same trainable took."""

    seconds_per_step: float
    """Of one place; the members of a pack share it."""
    past_trials: int
    """How many ended trials it rests on."""
    place_hours: float
    """With one place alone."""
    places: int | None
    """How many trials, or packs, train at once; null when no cluster has said what it offers."""
    hours: float | None
    """With so many places; null when they are not known."""
    gpu_hours: float


class BudgetPlan(_Record):
    """One limit of a budget, and what the whole sweep would use of it."""

    name: Literal["trials", "trial_steps", "hours", "gpu_hours"]
    limit: float
    planned: float | None
    """Null when it is not known."""
    missing: float | None
    """By how much the limit falls short: 0 when all would run."""


class DryRun(_Record):
    """What a spec would run."""

    trials: int
    num_assignments: int
    """Of which each is tried in `replicates` trials."""
    startup_trials: int | None = None
    """How many of them come before a model proposes the others, points to evaluate among them;
    null without a model."""
    assignments: tuple[Mapping[str, Any], ...]
    """The first ten."""
    groups: tuple[GroupPlan, ...]
    """The first hundred. Of a model-based search: about, in the proportion of the assignments
    that come before a model proposes."""
    num_groups: int
    rungs: tuple[RungPlan, ...]
    """About how many trials each keeps; exact for halving."""
    restarts: int
    trial_steps: int | None
    """Null when the spec names no max_t."""
    budget: tuple[BudgetPlan, ...] = ()
    """The limits that the spec names."""
    estimate: Estimate | None = None
    """Null when there are no trials to go by, or no max_t."""


TokenRole = Literal["code"]
"""What a token is good for beyond the usual: `code` uploads archives of code."""


class CodeLimits(_Record):
    """What an archive of a user's own code may be."""

    archive_bytes: int = 32 << 20
    unpacked_bytes: int = 256 << 20
    """Of all its files."""
    files: int = 5_000


class CodeRecord(_Record):
    """An archive of a user's own code."""

    code: str
    """Its address, `sha256:` and the hash of its bytes: what a spec's `code` is."""
    size: int
    """In bytes."""
    files: int
    unpacked: int
    """Bytes of all its files."""
    created_by: str
    created_at: datetime


class TokenRecord(_Record):
    """A bearer token, without its secret."""

    id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    roles: tuple[TokenRole, ...] = ()


class NewToken(TokenRecord):
    """A token just made: the only time that its secret is shown."""

    secret: str


class SessionRecord(_Record):
    """Who is signed in on the page."""

    name: str
    embedded: bool
    """Whether the service asks nobody for a token."""


class Problem(_Record):
    """A problem document (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    instance: str | None = None
    problems: tuple[Mapping[str, str], ...] = ()
    """Every bad field: its path and what is wrong with it."""
    column: int | None = None
    """Where in a filter, sort or projection the error is, from 1; there when it is known."""
