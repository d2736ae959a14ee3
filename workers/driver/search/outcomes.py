"""What came out of an assignment: its replicates' trials as one result."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any, Literal

from sweep.spec import SweepSpec
from sweep.states import FINAL_TRIAL_STATES, TrialState
from sweep.wire import SearchResult

Ending = Literal["complete", "stopped", "diverged", "failed"]

_WITH_VALUE = (TrialState.COMPLETED, TrialState.STOPPED)


@dataclass(frozen=True)
class Outcome:
    """How an assignment ended: with values, or as one that has none."""

    ending: Ending
    values: tuple[float, ...] = ()
    """The means over replicates; none of one that diverged or failed."""
    step: int = 0
    """How far all of its replicates came."""


@dataclass(frozen=True)
class Seen:
    """An assignment, and its outcome once all of its replicates have ended."""

    parameters: Mapping[str, Any]
    outcome: Outcome | None = None


def assignments(rows: Sequence[SearchResult], spec: SweepSpec) -> Iterator[Seen]:
    """The assignments that rows, in their order, are the replicates of."""
    for _, found in groupby(rows, key=lambda row: row.assignment):
        replicates = list(found)
        yield Seen(replicates[0].parameters, _outcome(replicates, spec))


def one_by_one(rows: Sequence[SearchResult], spec: SweepSpec) -> Iterator[Seen]:
    """Each row as an assignment of its own, those without a value left out."""
    for row in rows:
        outcome = _outcome([row], spec)
        if outcome is not None and outcome.values:
            yield Seen(row.parameters, outcome)


def _outcome(rows: Sequence[SearchResult], spec: SweepSpec) -> Outcome | None:
    if any(row.state not in FINAL_TRIAL_STATES for row in rows):
        return None
    if any(row.state is TrialState.DIVERGED for row in rows):
        return Outcome("diverged")
    found = [(row, values) for row in rows if (values := _values(row, spec)) is not None]
    if not found:
        return Outcome("failed")
    stopped = any(row.state is TrialState.STOPPED for row, _ in found)
    return Outcome(
        "stopped" if stopped else "complete",
        tuple(fmean(column) for column in zip(*(values for _, values in found), strict=True)),
        min(row.step or 0 for row, _ in found),
    )


def _values(row: SearchResult, spec: SweepSpec) -> tuple[float, ...] | None:
    """The best value, or the last ones of several objectives; None when one is missing."""
    if row.state not in _WITH_VALUE:
        return None
    values: tuple[float | None, ...] = (row.best,)
    if len(spec.objectives) > 1:
        values = tuple(row.last.get(objective.name) for objective in spec.objectives)
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else None
