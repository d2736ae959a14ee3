"""A trial as the store holds it, and what reports do to its summary. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sweep.metric import Metric
from sweep.records import BestValue, Nonfinite, Origin, TrialRecord
from sweep.space import PlannedTrial
from sweep.spec import SweepSpec
from sweep.states import TrialState
from sweep.wire import ReportRow, SearchResult, TrialTask


@dataclass
class TrialRow:
    """Everything that the store holds of one trial, reports apart."""

    index: int
    parameters: Mapping[str, Any]
    group: str
    assignment: int
    replicate: int
    seed: int
    created_at: datetime
    state: TrialState = TrialState.PENDING
    reason: str | None = None
    error: str | None = None
    max_t: int | None = None
    origin: Origin = Origin.SEARCH
    parent: int | None = None
    pack: str | None = None
    attempts: int = 0
    failures: int = 0
    node: str | None = None
    step: int | None = None
    reports: int = 0
    last: dict[str, float | None] = field(default_factory=dict)
    nonfinite: dict[str, Nonfinite] = field(default_factory=dict)
    minimum: dict[str, float] = field(default_factory=dict)
    maximum: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    best_step: int | None = None
    best_metrics: dict[str, float | None] = field(default_factory=dict)
    rung_value: float | None = None
    checkpoint: str | None = None
    checkpoint_step: int = 0
    best_checkpoint: str | None = None
    works: list[dict[str, Any]] = field(default_factory=list)
    """The works that it trained in, for their logs: name, packed, attempt, node."""
    edit: int = 0
    """Which of the sweep's edits had it tried again; 0: none."""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def clear_summary(self) -> None:
        """Forget every report."""
        self.step, self.reports = None, 0
        self.last, self.nonfinite, self.minimum, self.maximum = {}, {}, {}, {}
        self.best = self.best_step = self.rung_value = None
        self.best_metrics = {}

    def add_reports(
        self, reports: Sequence[ReportRow], *, metric: Metric, rung_metric: Metric
    ) -> None:
        """Take reports, with ascending steps above the last, into the summary."""
        self.last, self.nonfinite = dict(self.last), dict(self.nonfinite)
        self.minimum, self.maximum = dict(self.minimum), dict(self.maximum)
        self.reports += len(reports)
        best: ReportRow | None = None
        for report in reports:
            self._add_values(report)
            value = report.values.get(metric.name)
            if value is not None and (self.best is None or metric.is_better(value, self.best)):
                self.best, best = value, report
            watched = report.values.get(rung_metric.name)
            if watched is not None:
                self.rung_value = watched
        if reports:
            self.step = reports[-1].step
        if best is not None:
            self.best_step, self.best_metrics = best.step, dict(best.values)

    def _add_values(self, report: ReportRow) -> None:
        minimum, maximum, values = self.minimum, self.maximum, report.values
        self.last.update(values)
        if self.nonfinite:
            self.nonfinite = {k: v for k, v in self.nonfinite.items() if k not in values}
        if report.nonfinite:
            self.nonfinite = {**self.nonfinite, **report.nonfinite}
        for name, value in values.items():
            if value is None:
                continue
            if name not in minimum:
                minimum[name] = maximum[name] = value
            elif value < minimum[name]:
                minimum[name] = value
            elif value > maximum[name]:
                maximum[name] = value


def planned_row(
    trial: PlannedTrial, spec: SweepSpec, created_at: datetime, *, added: bool = False
) -> TrialRow:
    """A trial as it is first stored: of the search, or added by a user."""
    return TrialRow(
        index=trial.index,
        parameters=trial.parameters,
        group=trial.group,
        assignment=trial.assignment,
        replicate=trial.replicate,
        seed=trial.seed,
        max_t=spec.early_stopping.max_t,
        origin=Origin.USER if added else Origin.SEARCH,
        created_at=created_at,
    )


def trial_id(sweep_id: str, index: int) -> str:
    """The public id of a trial."""
    return f"{sweep_id}-{index}"


def split_trial_id(text: str) -> tuple[str, int] | None:
    """The sweep's id and the index in a trial's public id; None when it is none."""
    sweep_id, dash, index = text.rpartition("-")
    plain = text.isascii() and "\x00" not in text
    if not plain or not dash or not sweep_id or not index.isdigit() or len(index) > 9:
        return None
    return sweep_id, int(index)


def to_record(row: TrialRow, sweep_id: str) -> TrialRecord:
    """The trial as the service answers it."""
    best = None
    if row.best is not None and row.best_step is not None:
        best = BestValue(value=row.best, step=row.best_step, metrics=row.best_metrics)
    return TrialRecord(
        id=trial_id(sweep_id, row.index),
        sweep_id=sweep_id,
        index=row.index,
        state=row.state,
        reason=row.reason,
        error=row.error,
        parameters=row.parameters,
        metrics=row.last,
        nonfinite=row.nonfinite,
        minimum=row.minimum,
        maximum=row.maximum,
        best=best,
        step=row.step,
        reports=row.reports,
        group=row.group,
        assignment=row.assignment,
        replicate=row.replicate,
        seed=row.seed,
        max_t=row.max_t,
        origin=row.origin,
        parent=None if row.parent is None else trial_id(sweep_id, row.parent),
        pack=row.pack,
        attempts=row.attempts,
        node=row.node,
        checkpoint=row.checkpoint,
        best_checkpoint=row.best_checkpoint,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def to_task(row: TrialRow, sweep_id: str) -> TrialTask:
    """The trial as its driver needs it."""
    return TrialTask(
        index=row.index,
        id=trial_id(sweep_id, row.index),
        parameters=row.parameters,
        seed=row.seed,
        group=row.group,
        state=row.state,
        reason=row.reason,
        attempts=row.attempts,
        failures=row.failures,
        max_t=row.max_t,
        origin=row.origin,
        assignment=row.assignment,
        replicate=row.replicate,
        parent=row.parent,
        checkpoint=row.checkpoint,
        checkpoint_step=row.checkpoint_step,
        rung_value=row.rung_value,
    )


def to_result(row: TrialRow, spec: SweepSpec) -> SearchResult:
    """How far the trial is, as a model-based search needs it."""
    return SearchResult(
        index=row.index,
        assignment=row.assignment,
        parameters=row.parameters,
        state=row.state,
        best=row.best,
        step=row.step,
        last=watched(row.last, spec),
    )


def watched(last: Mapping[str, float | None], spec: SweepSpec) -> dict[str, float | None]:
    """Of a trial's last values, those that a model-based search optimises."""
    names = (objective.name for objective in spec.objectives)
    return {name: last[name] for name in names if name in last}
