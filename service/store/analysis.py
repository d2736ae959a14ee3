"""What the store tells about many trials at once: the analysis part of `Store`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Protocol

from service.query.ast import All, Field, Filter, SortKey
from sweep.analysis import Mode, TrialSpan
from sweep.states import TrialState

Label = Any
"""A field's value: a scalar, or a mapping or list where a parameter has parts."""

ALL_PARAMETERS = Field("parameter", ())
"""Every parameter of a trial, as one mapping."""

INDEX = Field("column", ("index",))


def label_key(label: Label) -> str:
    """A text that is the same for labels that are equal: 1 and 1.0, but not 1 and true."""
    return json.dumps(_plain(label), sort_keys=True)


def _plain(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


@dataclass(frozen=True)
class Which:
    """Which trials are meant."""

    filter: Filter | None = None
    """All of them when None."""
    now: datetime | None = None
    """The time that `now` and the durations of what has not ended go by; unknown when None."""

    def that(self, condition: Filter) -> "Which":
        """Those of them for which a condition holds too."""
        both = condition if self.filter is None else All((condition, self.filter))
        return replace(self, filter=both)


ALL_TRIALS = Which()


@dataclass(frozen=True)
class Grouping:
    """Trials by the values of some fields, and a number of each that is looked at."""

    by: tuple[Field, ...]
    value: Field
    which: Which = ALL_TRIALS
    unit: Literal["trial", "assignment"] = "trial"
    """What counts as one: a trial, or the mean of an assignment's replicates in a group."""
    limit: int = 100_000
    """Groups at most; more are cut off in no order, so ask for one more than you take."""


@dataclass(frozen=True)
class Reach:
    """A value that trials may reach, from below (mode max) or from above (mode min)."""

    threshold: float
    mode: Mode


@dataclass(frozen=True)
class GroupSummary:
    """What one group's trials, or assignments, are like."""

    labels: tuple[Label, ...]
    units: int
    reported: int
    """Those that reported at least once."""
    valued: int
    """Those that have a value."""
    lowest: float | None
    highest: float | None
    reached: int
    """Those whose value is at the threshold or past it; 0 when none was asked for."""


@dataclass(frozen=True)
class TrialQuestion:
    """Some fields of a sweep's trials."""

    fields: tuple[Field, ...]
    which: Which = ALL_TRIALS
    sort: tuple[SortKey, ...] = ()
    """Ties, and everything when empty, go by index ascending. Nulls come last."""
    limit: int | None = None


@dataclass(frozen=True)
class StepTotals:
    """Steps over all trials of a sweep that began."""

    trained: int
    without: int
    """Had those that were stopped early gone on to their `max_t`."""
    stopped: int


class AnalysisStore(Protocol):
    """Reads of many trials at once. Each raises `NotFound` for the sweep."""

    def summarise(
        self, sweep_id: str, grouping: Grouping, reach: Reach | None = None
    ) -> Sequence[GroupSummary]:
        """Every group once, in no order. Numbers that are equal are one label: 1 and 1.0."""
        ...

    def group_values(
        self, sweep_id: str, grouping: Grouping
    ) -> Sequence[tuple[tuple[Label, ...], list[float]]]:
        """The values of each group, in no order; a group without any has an empty list."""
        ...

    def group_states(
        self, sweep_id: str, grouping: Grouping
    ) -> Sequence[tuple[tuple[Label, ...], TrialState, int]]:
        """How many trials each group has in each state; states with none are left out."""
        ...

    def group_best(
        self, sweep_id: str, grouping: Grouping, mode: Mode
    ) -> Sequence[tuple[tuple[Label, ...], int, float]]:
        """The index and value of each group's best trial; of equal ones the first by index."""
        ...

    def read_trials(self, sweep_id: str, question: TrialQuestion) -> Iterator[tuple[Label, ...]]:
        """The fields' values of each trial, in constant memory."""
        ...

    def stream_points(
        self, sweep_id: str, metric: str, indexes: Sequence[int]
    ) -> Iterator[tuple[int, int, float]]:
        """Index, step and value of the finite reports of those trials, in constant memory.

        Trial by trial in the order of index, ascending by step.
        """
        ...

    def rung_counts(self, sweep_id: str) -> Sequence[tuple[int, str, int]]:
        """How many trials went on (`continue`) and were stopped (`stop`) at each rung's step."""
        ...

    def step_totals(self, sweep_id: str) -> StepTotals:
        """Steps trained, and what they would have been without early stopping."""
        ...

    def trial_spans(self, sweep_id: str, which: Which = ALL_TRIALS) -> Iterator[TrialSpan]:
        """When and where each trial that began trained, in constant memory."""
        ...
