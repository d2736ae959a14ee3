"""What a driver's batch changes: a pure function shared by every store.

A store hands in the rows of the trials that the batch names and takes out the
changes, to be written in one transaction.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sweep.errors import NotFound
from sweep.records import Origin
from sweep.rows import TrialRow, planned_row, trial_id
from sweep.searches import ModelSearch
from sweep.space import replicated
from sweep.spec import SweepSpec
from sweep.states import FINAL_TRIAL_STATES, TRIAL_TRANSITIONS, TrialState
from sweep.wire import (
    EXPLOITED,
    Batch,
    CheckpointSaved,
    Exploited,
    LogWritten,
    Message,
    NodeExcluded,
    Proposed,
    ReportRow,
    Reports,
    RestartAsked,
    RungDecided,
    RungEntry,
    SweepFinished,
    TrialMoved,
    TrialStarted,
)

ReportsUpTo = Callable[[int, int], Iterable[ReportRow]]
"""The stored reports of a trial (by index) with steps up to one, ascending."""


@dataclass(frozen=True)
class NewEvent:
    """An entry for the audit."""

    kind: str
    trial: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Changes:
    """What is to be written."""

    rows: dict[int, TrialRow]
    """Every trial that the batch names, as it is afterwards."""
    touched: set[int] = field(default_factory=set)
    """Those of them that the batch changed."""
    reassigned: set[int] = field(default_factory=set)
    """Those of them whose parameters it changed."""
    dropped: dict[int, int] = field(default_factory=dict)
    """Trials whose stored reports past a step go."""
    reports: list[tuple[int, ReportRow]] = field(default_factory=list)
    rungs: list[RungEntry] = field(default_factory=list)
    logs: list[LogWritten] = field(default_factory=list)
    added: list[TrialRow] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)
    """Nodes on which no trial is started any more, by Ray's id, and why."""
    finished: SweepFinished | None = None
    fruitful: bool = False
    """Whether the batch shows that its driver achieved something."""

    @property
    def seen(self) -> bool:
        """Whether anything changes that a reader of the sweep or its trials may see."""
        return bool(self.touched or self.added or self.rungs or self.excluded or self.finished)


def trials_named(batch: Batch) -> set[int]:
    """The indexes of the trials that a batch is about."""
    named: set[int] = set()
    for message in batch.messages:
        if isinstance(message, TrialStarted | Reports | TrialMoved | CheckpointSaved | Exploited):
            named.add(message.trial)
        elif isinstance(message, RestartAsked):
            named.add(message.parent)
        elif isinstance(message, RungDecided):
            named.update(entry.trial for entry in message.entries)
        elif isinstance(message, NodeExcluded):
            named.update(message.forgiven)
    return named


def apply(
    batch: Batch,
    rows: dict[int, TrialRow],
    *,
    spec: SweepSpec,
    next_index: int,
    restarted: frozenset[int],
    reports_up_to: ReportsUpTo,
    excluded: Collection[str] = (),
    next_assignment: int = 0,
) -> Changes:
    """Work out what a batch changes.

    Args:
        batch: the messages, in order.
        rows: the trials that the batch names; changed in place.
        spec: the sweep's.
        next_index: the lowest index that no trial has.
        restarted: the trials that have been restarted already.
        reports_up_to: reads stored reports.
        excluded: the nodes that are excluded already, by Ray's id.
        next_assignment: the lowest that the search has not proposed.

    Raises:
        NotFound: for a trial that is not among the rows, or a proposal that is not the next.
    """
    missing = trials_named(batch) - rows.keys()
    if missing:
        raise NotFound(f"this sweep has no trial with index {min(missing)}")
    applier = _Applier(
        Changes(rows),
        spec,
        next_index=next_index,
        next_assignment=next_assignment,
        restarted=set(restarted),
        reports_up_to=reports_up_to,
        excluded=excluded,
    )
    for message in batch.messages:
        applier.take(message)
    return applier.changes


class _Applier:
    def __init__(
        self,
        changes: Changes,
        spec: SweepSpec,
        *,
        next_index: int,
        next_assignment: int,
        restarted: set[int],
        reports_up_to: ReportsUpTo,
        excluded: Collection[str],
    ) -> None:
        self.changes = changes
        self._spec = spec
        self._next_index = next_index
        self._next_assignment = next_assignment
        self._restarted = restarted
        self._stored_up_to = reports_up_to
        self._excluded = set(excluded)

    def take(self, message: Message) -> None:
        match message:
            case TrialStarted():
                self._started(message)
            case Reports():
                self._reports(message)
            case TrialMoved():
                self._moved(message)
            case CheckpointSaved():
                self._checkpoint(message)
            case RungDecided():
                self.changes.rungs += message.entries
            case RestartAsked():
                self._restart(message)
            case Proposed():
                self._propose(message)
            case Exploited():
                self._exploited(message)
            case NodeExcluded():
                self._exclude(message)
            case LogWritten():
                self.changes.logs.append(message)
            case SweepFinished():
                self.changes.finished = message
                self.changes.fruitful = True

    def _started(self, message: TrialStarted) -> None:
        row = self.changes.rows[message.trial]
        legal = TrialState.RUNNING in TRIAL_TRANSITIONS[row.state]
        if message.attempt <= row.attempts or not legal:
            return
        self.changes.fruitful = True
        self.changes.touched.add(row.index)
        row.attempts, row.state, row.reason = message.attempt, TrialState.RUNNING, None
        row.node, row.pack = message.node, message.pack
        row.works = [*row.works, work_of(message)]
        row.started_at = row.started_at or message.time
        if (row.step or 0) > message.from_step:
            self._drop_after(row, message.from_step)
        if row.checkpoint_step > message.from_step:
            row.checkpoint, row.checkpoint_step, row.best_checkpoint = None, 0, None

    def _drop_after(self, row: TrialRow, step: int) -> None:
        changes = self.changes
        stored_to = min(step, changes.dropped.get(row.index, step))
        kept = list(self._stored_up_to(row.index, stored_to)) if step > 0 else []
        fresh = [r for i, r in changes.reports if i == row.index and r.step <= step]
        changes.reports = [(i, r) for i, r in changes.reports if i != row.index or r.step <= step]
        changes.dropped[row.index] = stored_to
        row.clear_summary()
        self._summarise(row, sorted([*kept, *fresh], key=lambda r: r.step))

    def _reports(self, message: Reports) -> None:
        row = self.changes.rows[message.trial]
        if message.attempt != row.attempts:
            return
        step, fresh = row.step or 0, []
        for report in message.rows:
            if report.step > step:
                step = report.step
                fresh.append(report)
        if fresh:
            self.changes.touched.add(row.index)
            self._summarise(row, fresh)
            self.changes.reports += [(row.index, report) for report in fresh]

    def _summarise(self, row: TrialRow, reports: Sequence[ReportRow]) -> None:
        row.add_reports(reports, metric=self._spec.metric, rung_metric=self._spec.rung_metric)

    def _checkpoint(self, message: CheckpointSaved) -> None:
        row = self.changes.rows[message.trial]
        given_up = row.reason == EXPLOITED  # sent again after the trial took another's state
        if message.attempt == row.attempts and not given_up:
            self.changes.touched.add(row.index)
            row.checkpoint, row.checkpoint_step = message.uri, message.step
            row.best_checkpoint = message.best

    def _moved(self, message: TrialMoved) -> None:
        row = self.changes.rows[message.trial]
        if message.attempt != row.attempts or message.state not in TRIAL_TRANSITIONS[row.state]:
            return
        self.changes.touched.add(row.index)
        row.state, row.reason = message.state, message.reason
        if message.error is not None:
            row.error = message.error
        row.failures += message.failed
        if message.state in FINAL_TRIAL_STATES:
            row.ended_at = message.time
        if message.failed:
            kind = "trial.failed" if message.state is TrialState.FAILED else "trial.retried"
            detail = {"attempt": message.attempt, "reason": message.reason}
            self.changes.events.append(NewEvent(kind, row.index, detail))

    def _restart(self, message: RestartAsked) -> None:
        if message.parent in self._restarted:
            return
        self._restarted.add(message.parent)
        parent = self.changes.rows[message.parent]
        self.changes.added.append(
            TrialRow(
                index=self._next_index,
                parameters=parent.parameters,
                group=parent.group,
                assignment=parent.assignment,
                replicate=parent.replicate,
                seed=parent.seed,
                max_t=message.max_t,
                origin=Origin.RESTART,
                parent=parent.index,
                created_at=parent.ended_at or parent.created_at,
            )
        )
        detail = {"parent": message.parent, "max_t": message.max_t}
        self.changes.events.append(NewEvent("trial.restarted", self._next_index, detail))
        self._next_index += 1

    def _propose(self, message: Proposed) -> None:
        search, told = self._spec.search, message.assignment
        if told < self._next_assignment:
            return
        fits = isinstance(search, ModelSearch) and told < search.num_trials
        if not fits or told > self._next_assignment:
            raise NotFound(
                f"assignment {told} cannot be proposed: the next is {self._next_assignment}, and "
                f"the search is of type {search.type}"
            )
        for trial in replicated(self._spec, told, message.parameters):
            row = planned_row(trial, self._spec, message.time)
            self.changes.added.append(replace(row, index=self._next_index))
            self._next_index += 1
        self._next_assignment += 1

    def _exploited(self, message: Exploited) -> None:
        row = self.changes.rows[message.trial]
        legal = TrialState.PENDING in TRIAL_TRANSITIONS[row.state]
        if message.attempt != row.attempts or row.state in FINAL_TRIAL_STATES or not legal:
            return
        detail = {
            "donor": message.donor,
            "step": message.step,
            "from_step": message.checkpoint_step,
            "value": message.value,
            "donor_value": message.donor_value,
            "old": dict(row.parameters),
            "parameters": dict(message.parameters),
        }
        self.changes.events.append(NewEvent("trial.exploited", row.index, detail))
        self.changes.touched.add(row.index)
        self.changes.reassigned.add(row.index)
        row.parameters = message.parameters
        row.state, row.reason = TrialState.PENDING, EXPLOITED
        row.checkpoint, row.checkpoint_step = message.checkpoint, message.checkpoint_step
        row.best_checkpoint = None

    def _exclude(self, message: NodeExcluded) -> None:
        if message.node in self._excluded:
            return
        self._excluded.add(message.node)
        self.changes.excluded[message.node] = message.reason
        for index in message.forgiven:
            row = self.changes.rows[index]
            row.failures = max(0, row.failures - 1)
            self.changes.touched.add(index)
        detail = {"node": message.node, "reason": message.reason}
        self.changes.events.append(NewEvent("node.excluded", detail=detail))


def work_of(message: TrialStarted) -> dict[str, Any]:
    """The work that an attempt trains in, as a trial's row keeps it."""
    return {
        "name": message.pack or f"{message.trial}-{message.attempt}",
        "packed": message.pack is not None,
        "attempt": message.attempt,
        "node": message.node,
    }


def event_trial(sweep_id: str, event: NewEvent) -> str | None:
    """The public id of the trial that an event is about."""
    return None if event.trial is None else trial_id(sweep_id, event.trial)
