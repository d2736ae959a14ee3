"""A sweep's trials in memory, where there is no service to keep them in SQL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from sweep.applying import Changes, apply, trials_named
from sweep.records import Origin, TrialRecord
from sweep.rows import TrialRow, to_record, to_result, to_task
from sweep.spec import SweepSpec
from sweep.states import FINAL_TRIAL_STATES, TrialState
from sweep.wire import Batch, Known, Message, ReportRow, SearchResult, SweepFinished, TrialTask


class Ledger:
    """The trials of a sweep, changed by its driver's messages as SQL would be.

    Args:
        sweep_id: the sweep's name in what is written down.
        spec: the sweep's.
        rows: its trials by index.
    """

    def __init__(self, sweep_id: str, spec: SweepSpec, rows: Mapping[int, TrialRow]) -> None:
        self.spec = spec
        self._sweep_id = sweep_id
        self.rows = dict(rows)
        self.steps = 0
        """The trial-steps that were reported."""
        self.exploits = 0
        """How often a trial went on from another's state."""
        self.reason: str | None = None
        """Why the sweep ended as it did, once it has."""
        self._reports: dict[int, list[ReportRow]] = {}
        """Those of trials that may still go on from an earlier state."""
        self._next_index = max(self.rows) + 1
        self._next_assignment = max(row.assignment for row in self.rows.values()) + 1
        self._restarted: set[int] = set()
        self._added: list[TrialRow] = []

    def take(self, messages: Sequence[Message]) -> None:
        """Take messages in."""
        batch = Batch.model_construct(messages=tuple(messages), known=Known(trials=0))
        named = trials_named(batch)
        before = sum(self.rows[index].step or 0 for index in named)
        changes = apply(
            batch,
            {index: self.rows[index] for index in named},
            spec=self.spec,
            next_index=self._next_index,
            restarted=frozenset(self._restarted),
            reports_up_to=self._reports_up_to,
            next_assignment=self._next_assignment,
        )
        self.steps += sum(self.rows[index].step or 0 for index in named) - before
        self._write(changes)

    def _write(self, changes: Changes) -> None:
        for index, step in changes.dropped.items():
            self._reports[index] = self._reports_up_to(index, step)
        for index, report in changes.reports:
            self._reports.setdefault(index, []).append(report)
        for index, row in changes.rows.items():
            if row.state in FINAL_TRIAL_STATES:
                self._let_go(index)
        for row in changes.added:
            self.rows[row.index] = row
            self._next_index = row.index + 1
            self._restarted.add(row.parent if row.parent is not None else -1)
            if row.origin is Origin.SEARCH:
                self._next_assignment = row.assignment + 1
        self._added += changes.added
        self.exploits += len(changes.reassigned)
        if changes.finished is not None:
            self._finish(changes.finished)

    def _finish(self, end: SweepFinished) -> None:
        """Cancel what the sweep's end leaves, as SQL would."""
        self.reason = end.reason
        for index, row in self.rows.items():
            if row.state not in FINAL_TRIAL_STATES:
                reason = end.reason or "sweep ended"
                self.rows[index] = replace(
                    row, state=TrialState.CANCELLED, reason=reason, ended_at=end.time
                )

    def _reports_up_to(self, index: int, step: int) -> list[ReportRow]:
        return [report for report in self._reports.get(index, ()) if report.step <= step]

    def _let_go(self, index: int) -> None:
        """A trial has ended: nothing goes on from its earlier states."""
        self._reports.pop(index, None)

    def tasks(self) -> list[TrialTask]:
        """Every trial, as a driver that begins now reads it."""
        return [to_task(self.rows[index], self._sweep_id) for index in sorted(self.rows)]

    def added(self) -> tuple[TrialTask, ...]:
        """The trials that were added since the last call."""
        added, self._added = self._added, []
        return tuple(to_task(row, self._sweep_id) for row in added)

    def results(self, after: int) -> list[SearchResult]:
        """How far the trials of the search past an index are, in its order."""
        newest_first = takewhile(lambda row: row.index > after, reversed(self.rows.values()))
        found = [row for row in newest_first if row.origin is Origin.SEARCH]
        return [to_result(row, self.spec) for row in reversed(found)]

    def records(self) -> Iterator[TrialRecord]:
        """Every trial."""
        return (to_record(row, self._sweep_id) for row in self.rows.values())
