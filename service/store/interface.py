"""The store: the one place where sweeps, trials and reports are kept.

Every method is one transaction: it happens whole or not at all, and its events
(the audit) are written in the same transaction. Methods are safe to call from
several threads and processes at once. What they return are frozen records, copies
that later writes do not change. A transition names the states that it may start
from (see `sweep.states`); one that is not legal from the present state changes
nothing and says so. Times and ids are passed in; the store reads no clock.

`contract tests` in tests/ hold every implementation to this text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from service.query.ast import Filter, Named, SortKey
from service.store.analysis import AnalysisStore
from service.store.code import CodeStore
from sweep.editing import Edited
from sweep.estimating import PastTraining
from sweep.live import Position
from sweep.records import (
    EventRecord,
    LogPage,
    Page,
    ReportRecord,
    RungRecord,
    SweepRecord,
    TokenRecord,
    TokenRole,
    TrialRecord,
)
from sweep.space import PlannedTrial
from sweep.spec import SweepSpec
from sweep.states import SweepState, WantedState
from sweep.wire import Ack, Batch, Heartbeat, PastReportPage, ResultPage, RungPage, TaskPage


@dataclass(frozen=True)
class NewSweep:
    """A sweep to be stored as queued."""

    id: str
    spec: SweepSpec
    created_by: str
    created_at: datetime


@dataclass(frozen=True)
class RowQuery:
    """Which rows, in which order, from where on."""

    filter: Filter | None = None
    sort: tuple[SortKey, ...] = ()
    """Nulls come last."""
    limit: int = 100
    cursor: str | None = None
    now: datetime | None = None
    """What `now` in the filter is, and where the durations of what has not ended go to."""


@dataclass(frozen=True)
class TrialQuery(RowQuery):
    """Which trials of a sweep. Ties, and all when no sort is given, go by index ascending."""


@dataclass(frozen=True)
class SweepQuery(RowQuery):
    """Which sweeps. Ties, and all when no sort is given, go by age, the newest first."""


EventOrder = Literal["oldest", "newest"]
"""Which events come first."""


@dataclass(frozen=True)
class LogQuery:
    """Which part of a trial's log."""

    stream: Literal["stdout", "stderr"] | None = None
    """Both when None."""
    tail: int | None = None
    """So many lines from the end of it; the cursor is not used then."""
    limit: int = 1000
    """Pieces at most; a page ends after about 256 KiB of text too."""
    cursor: str | None = None


@dataclass(frozen=True)
class DriverIdentity:
    """The sweep and epoch that a driver's token is good for."""

    sweep_id: str
    epoch: int


@dataclass(frozen=True)
class SweepOnDuty:
    """A sweep that is not final, as the dispatcher sees it."""

    id: str
    state: SweepState
    wanted: WantedState
    priority: int
    created_at: datetime
    epoch: int
    """The last driver's epoch; 0 when there was none."""
    lease_expires_at: datetime | None
    """None when the last driver has ended or there was none."""
    driver_ended_at: datetime | None
    """When the last driver ended; None while it holds its lease or when there was none."""
    fruitless_drivers: int
    """Drivers in a row, up to the last, that ended or expired without sending one message."""
    weight: float = 1
    places: int | None = None
    """How many works it may train at once, as was decided last; None: any number."""
    cluster: Mapping[str, float] = field(default_factory=dict)
    """What the cluster offers, as its last driver saw it; empty when it has not said yet."""
    need: Mapping[str, float] = field(default_factory=dict)
    """What one of its works takes of that."""
    wanted_places: int = 0
    """How many works it could train at once."""


@dataclass(frozen=True)
class SweepChanges:
    """What changed of a sweep's trials past a position."""

    trials: tuple[tuple[Position, TrialRecord], ...]
    """In the order of their positions."""
    reached: Position
    """All that changed up to here is told."""
    complete: bool
    """Whether that is all that changed so far."""


@dataclass(frozen=True)
class ListChanges:
    """Which sweeps changed."""

    sweeps: tuple[SweepRecord, ...]
    versions: Mapping[str, int]
    """Of every sweep that is not final, by id."""
    last_event: int
    """The id of the last event of the audit."""


class Store(AnalysisStore, CodeStore, Protocol):
    """Keeps everything. See this module's text for what holds of every method."""

    def close(self) -> None:
        """Let go of connections and files."""
        ...

    def check(self) -> None:
        """Raise `ServiceUnavailable` unless the store answers and its schema is current."""
        ...

    # Sweeps

    def create_sweep(self, sweep: NewSweep, trials: Iterable[PlannedTrial]) -> SweepRecord:
        """Store a sweep as queued and its trials as pending. Event: sweep.created.

        A trial's id is `{sweep id}-{index}`; its max_t is the early-stopping rule's.
        An error that `trials` raises while it is consumed leaves nothing stored. Raises
        `SpecError` when the spec names code that is not there.
        """
        ...

    def get_sweep(self, sweep_id: str) -> SweepRecord:
        """Raises `NotFound`."""
        ...

    def list_sweeps(self, query: SweepQuery) -> Page[SweepRecord]:
        """Those that match; a cursor is opaque, and a bad one raises `QueryError`."""
        ...

    def project_sweeps(self, query: SweepQuery, fields: Sequence[Named]) -> Page[Mapping[str, Any]]:
        """As `list_sweeps`, but only those fields, under their names."""
        ...

    def count_sweeps(self, query: SweepQuery) -> int:
        """How many match, on all pages."""
        ...

    def cancel_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
        """Cancel a sweep. Event: sweep.cancel_asked, or sweep.cancelled when at once.

        Queued or paused: cancelled at once, its trials with it (reason 'cancelled').
        Running: `wanted` becomes cancel and its driver does it. Asking again changes
        nothing. Raises `Conflict` when the sweep is completed or failed, `NotFound`.
        """
        ...

    def pause_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
        """Pause a sweep. Event: sweep.pause_asked, or sweep.paused when at once.

        Queued: paused at once. Running: `wanted` becomes pause and its driver does it.
        Asking again changes nothing. Raises `Conflict` when it has ended or is being
        cancelled, `NotFound`.
        """
        ...

    def resume_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
        """Let a paused sweep go on, or take a pause back. Event: sweep.resumed.

        Paused: queued. Asking again changes nothing. Raises as `pause_sweep`.
        """
        ...

    def retry_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
        """Have failed trials tried again, with all their tries. Event: sweep.retried.

        Of a failed sweep, also the trials that were cancelled because it failed. An ended
        sweep is queued again. Raises `Conflict` when no trial failed or the sweep is
        cancelled, `NotFound`.
        """
        ...

    def edit_sweep(
        self,
        sweep_id: str,
        change: Callable[[SweepRecord], Edited],
        *,
        actor: str,
        now: datetime,
    ) -> SweepRecord:
        """Write what `change` makes of the sweep as it is now. Event: sweep.edited.

        An ended sweep can only get trials, which queues it again. Raises `Conflict` when
        it has ended otherwise, `NotFound`, and what `change` raises.
        """
        ...

    def delete_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> None:
        """Delete a final sweep and all of it but its events. Event: sweep.deleted.

        Raises `Conflict` when it is not final, `NotFound`.
        """
        ...

    # Trials

    def list_trials(self, sweep_id: str, query: TrialQuery) -> Page[TrialRecord]:
        """Raises `NotFound` for the sweep, `QueryError` for a bad cursor."""
        ...

    def project_trials(
        self, sweep_id: str, query: TrialQuery, fields: Sequence[Named]
    ) -> Page[Mapping[str, Any]]:
        """As `list_trials`, but only those fields, under their names."""
        ...

    def count_trials(self, sweep_id: str, query: TrialQuery) -> int:
        """How many match, on all pages. Raises `NotFound`."""
        ...

    def stream_trials(self, sweep_id: str, query: TrialQuery) -> Iterator[TrialRecord]:
        """All trials that match, in constant memory; `limit` and `cursor` are ignored."""
        ...

    def stream_fields(
        self, sweep_id: str, query: TrialQuery, fields: Sequence[Named]
    ) -> Iterator[tuple[Any, ...]]:
        """As `stream_trials`, but only the values of those fields, in their order.

        A last metric that was not finite is that number, not null.
        """
        ...

    def metric_names(self, sweep_id: str) -> Sequence[str]:
        """The metrics that its trials have reported, in order. Raises `NotFound`."""
        ...

    def past_training(self, trainable: str) -> PastTraining:
        """What ended trials of a trainable took, in its newest sweeps."""
        ...

    def text_examples(
        self, sweep_id: str | None, fields: Sequence[Named], *, limit: int
    ) -> Mapping[str, Sequence[str]]:
        """Some texts that each field has among a sweep's trials, or among all sweeps."""
        ...

    def get_trial(self, trial_id: str) -> TrialRecord:
        """Raises `NotFound`."""
        ...

    def list_reports(
        self, trial_id: str, *, limit: int = 1000, cursor: str | None = None
    ) -> Page[ReportRecord]:
        """By step, ascending. Raises `NotFound`, `QueryError`."""
        ...

    def list_logs(self, trial_id: str, query: LogQuery) -> LogPage:
        """What was printed while a trial trained, attempt after attempt, in order.

        A trial's log is the log of the works that it trained in, each once. `end_cursor` goes
        on after the page, also when nothing is there yet. Raises `NotFound`, `QueryError`.
        """
        ...

    def list_rungs(
        self, sweep_id: str, *, limit: int = 1000, cursor: str | None = None
    ) -> Page[RungRecord]:
        """In the order in which they were decided. Raises `NotFound`, `QueryError`."""
        ...

    def list_events(
        self,
        sweep_id: str | None = None,
        *,
        kind: str | None = None,
        trial_id: str | None = None,
        order: EventOrder = "oldest",
        limit: int = 1000,
        cursor: str | None = None,
    ) -> Page[EventRecord]:
        """All sweeps' when no id is given, all kinds' and trials' without one.

        Works for a deleted sweep too.
        """
        ...

    def changes(
        self, sweep_id: str, *, after: Position | None, upto: Position | None, limit: int
    ) -> SweepChanges | None:
        """What changed after a position, and no later than another; None: nothing did.

        At most `limit` trials, those whose last change came first. Without `after` no
        trials, only the position up to which all has changed so far. Raises `NotFound`.
        """
        ...

    def list_changes(self, versions: Mapping[str, int], *, after_event: int | None) -> ListChanges:
        """Which sweeps changed since they had these versions, or the audit's events after one.

        A sweep that is not among `versions` changed, too, unless it is final. Without
        `after_event` no sweeps are answered, only where things stand.
        """
        ...

    def note_event(
        self, sweep_id: str, *, kind: str, actor: str, now: datetime, detail: Mapping[str, Any]
    ) -> None:
        """Write an event about something outside the store; of a deleted sweep too."""
        ...

    # Drivers

    def on_duty(self) -> Sequence[SweepOnDuty]:
        """Every sweep that is queued or running, and paused ones with a live driver."""
        ...

    def set_places(self, places: Mapping[str, int | None]) -> None:
        """Say how many works each of these sweeps may train at once, if it is running."""
        ...

    def start_driver(
        self,
        sweep_id: str,
        *,
        after_epoch: int,
        token_hash: str,
        now: datetime,
        lease: timedelta,
    ) -> int | None:
        """Take the lease for a new driver: a compare-and-set on the last epoch.

        Succeeds when the sweep is queued or running, wanted is run (or the sweep is
        running), its last epoch is `after_epoch`, and that driver has ended or its lease has
        expired by `now`. The sweep becomes running (`started_at` once); its trials stay as they
        are, for the driver to move. Event: driver.started. Returns the new epoch
        (after_epoch + 1), or None when it lost.
        """
        ...

    def end_driver(self, sweep_id: str, epoch: int, *, reason: str, now: datetime) -> bool:
        """Record that a driver is gone. Event: driver.ended. False when it was already."""
        ...

    def withdraw_driver(self, sweep_id: str, epoch: int, *, reason: str, now: datetime) -> bool:
        """As `end_driver`, for a driver that the cluster failed: it was not fruitless."""
        ...

    def finish_abandoned(
        self, sweep_id: str, *, epoch: int, state: SweepState, reason: str, now: datetime
    ) -> bool:
        """End a sweep that has no live driver, as cancelled or failed, or set it aside.

        A compare-and-set on the epoch, as in `start_driver`. Trials that are not final
        become cancelled with the same reason. Event: sweep.cancelled or sweep.failed.
        State paused: trials that were running wait again; when the sweep was resumed
        meanwhile it is queued. Event: sweep.paused or sweep.queued.
        """
        ...

    def identify_driver(self, token_hash: str) -> DriverIdentity | None:
        """Whose token that is; also of an earlier epoch, whose calls are then fenced."""
        ...

    def heartbeat(
        self, driver: DriverIdentity, beat: Heartbeat, *, now: datetime, lease: timedelta
    ) -> Ack:
        """Extend the lease (also an expired one that no successor took); keep the signs.

        Answers at most 1,000 trials that the driver does not know, in order, and then those
        of the next edit that it has not seen. `wanted` is cancel when the sweep was ended by
        other means. Raises `Fenced` when a higher epoch exists or this driver has ended.
        """
        ...

    def apply_batch(
        self, driver: DriverIdentity, batch: Batch, *, now: datetime, lease: timedelta
    ) -> Ack:
        """Apply a driver's messages in order, all or none, and extend its lease.

        Idempotent: the same batch again changes nothing. `started` with an attempt not
        above the recorded one changes nothing; a new one drops reports past
        `from_step` and recomputes the trial's summary. Messages of an older attempt
        than the recorded one are ignored. `reports` insert the rows that are not there
        and update last, minimum, maximum and best. `moved` is a compare-and-set by
        `sweep.states`; an illegal one is ignored. A move to a final state sets
        ended_at. `restart` adds a trial with origin restart, the parent's parameters,
        group, assignment, replicate and seed, and the next free index, once for each
        parent. `finished` moves the sweep, ends the driver, and cancels trials left over.
        Events: trial.failed, trial.retried (a failed move to pending),
        trial.restarted, trial.exploited, sweep.completed|failed|cancelled. `log` keeps what
        was printed, up to about 2 MiB a work.

        Raises:
            Fenced: as `heartbeat`.
            NotFound: for a trial index that the sweep lacks.
        """
        ...

    def tasks(self, sweep_id: str, *, after: int, limit: int) -> TaskPage:
        """The sweep's trials with index > after, for its driver."""
        ...

    def rung_entries(self, sweep_id: str, *, after: int, limit: int) -> RungPage:
        """The sweep's rung decisions past position `after` (0 at first), for its driver."""
        ...

    def search_results(self, sweep_id: str, *, after: int, limit: int) -> ResultPage:
        """How far the trials of its search with index > after are, for its driver."""
        ...

    def search_history(self, sweep_id: str, *, after: int, limit: int) -> ResultPage:
        """The trials that its search starts from, past position `after` (-1 at first).

        Those of the sweeps that its warm start names which had ended with a value before
        it was created; so the answer never changes, unless such a sweep is deleted.
        """
        ...

    def past_reports(
        self, sweep_id: str, *, metric: str, after: tuple[int, int], limit: int
    ) -> PastReportPage:
        """The finite reports of a metric past a trial's index and a step, for its driver.

        By index, then by step. Begin after (0, 0).
        """
        ...

    # Tokens

    def create_token(
        self,
        token_id: str,
        *,
        name: str,
        token_hash: str,
        now: datetime,
        roles: Sequence[TokenRole] = (),
    ) -> TokenRecord:
        """Raises `Conflict` when a live token has the name. Event: token.created."""
        ...

    def list_tokens(self) -> Sequence[TokenRecord]:
        """By time of creation, the revoked ones too."""
        ...

    def revoke_token(self, token_id: str, *, now: datetime) -> TokenRecord:
        """By id or name. Raises `NotFound`. Event: token.revoked."""
        ...

    def live_token_hashes(self) -> Sequence[tuple[TokenRecord, str]]:
        """Every token that is not revoked, with its hash, for a constant-time compare."""
        ...

    def touch_token(self, token_id: str, *, now: datetime) -> None:
        """Record its last use."""
        ...
