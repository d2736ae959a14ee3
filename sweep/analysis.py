"""What the service answers about many trials at once: pivots, groups, curves, comparisons.

A *label* is the value of a field that trials were grouped by: text, a number, true or
false, null, or a mapping where a parameter has parts.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sweep.states import SweepState, TrialState

Aggregate = Literal["max", "min", "mean", "median", "count", "share"]
Replicates = Literal["each", "mean"]
Mode = Literal["min", "max"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Interval(_Record):
    """A mean and its 95% interval by Student's t; no interval for a single value."""

    mean: float
    low: float | None = None
    high: float | None = None


class Cell(_Record):
    """One cell of a pivot."""

    value: float
    count: int
    """The values that it was made of: trials, or assignments where replicates were averaged."""
    low: float | None = None
    high: float | None = None
    """The 95% interval of a mean; null for the other aggregates and for a single value."""


class Pivot(_Record):
    """A metric over two fields; a cell with nothing to show is null."""

    row_field: str
    column_field: str
    metric: str
    mode: Mode | None = None
    """Which way the metric is better; null where nothing tells."""
    aggregate: Aggregate
    replicates: Replicates = "each"
    threshold: float | None = None
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]
    cells: tuple[tuple[Cell | None, ...], ...]


class BestTrial(_Record):
    """A trial and its value of the metric that was asked for."""

    trial: str
    index: int
    value: float


class Group(_Record):
    """The trials that agree in some fields."""

    labels: Mapping[str, Any]
    """The value of each field that was grouped by."""
    parameters: Mapping[str, Any] | None = None
    """Those of the assignment, where trials were grouped by it."""
    trials: int
    states: Mapping[TrialState, int]
    """How many of them are in each state; states with none are left out."""
    count: int
    """How many have a value of the metric."""
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    """The 95% interval of the mean; null for a single value."""
    median: float | None = None
    best: BestTrial | None = None


class Groups(_Record):
    """A sweep's trials by the values of some fields."""

    by: tuple[str, ...]
    metric: str
    mode: Mode
    total: int
    """How many groups there are, of which the items may be some."""
    items: tuple[Group, ...]


class ParetoPoint(_Record):
    """A trial and its values of two metrics."""

    trial: str
    index: int
    x: float
    y: float


class ParetoFront(_Record):
    """The trials that no other one beats in both metrics, by `x`."""

    x: str
    y: str
    x_mode: Mode
    y_mode: Mode
    trials: int
    """How many trials have both values."""
    items: tuple[ParetoPoint, ...]


class ParameterImportance(_Record):
    """How much a model of the metric loses when it no longer knows a parameter."""

    parameter: str
    importance: float
    std: float


class Importance(_Record):
    """Which parameters the metric depends on, the most important first."""

    metric: str
    method: str
    trials: int
    """How many trials the model learned from."""
    score: float | None = None
    """R² of the model on trials that it was not shown: near 0, importances mean little."""
    note: str | None = None
    """Why there are none, or what to keep in mind."""
    items: tuple[ParameterImportance, ...]


class RungSavings(_Record):
    """What early stopping did at one rung."""

    step: int
    reached: int
    stopped: int
    continued: int


class Savings(_Record):
    """What early stopping spared."""

    rule: str
    trained: int
    """Steps that the trials which began have trained."""
    without: int
    """Steps that they would have trained had none been stopped early."""
    saved: int
    stopped: int
    """Trials that were stopped early."""
    rungs: tuple[RungSavings, ...]


class Curve(_Record):
    """A trial's reports of one metric, thinned out; each bucket keeps its least and greatest."""

    trial: str
    index: int
    state: TrialState
    parameters: Mapping[str, Any] = {}
    best: bool = False
    """Whether it is the best of the trials shown, by the sweep's own metric."""
    reports: int
    """How many reports it has, before thinning."""
    steps: tuple[int, ...]
    values: tuple[float, ...]


class Curves(_Record):
    """The curves of several trials, and the steps at which trials are compared."""

    metric: str
    rungs: tuple[int, ...]
    points: int
    """How many points there are in all."""
    items: tuple[Curve, ...]


class ComparedGroup(_Record):
    """One sweep's trials with one value of the field compared by."""

    label: Any
    count: int
    best: float | None = None
    mean: float | None = None


class ComparedSweep(_Record):
    """One of the sweeps that are compared."""

    id: str
    name: str
    state: SweepState
    mode: Mode
    trials: int
    count: int
    """How many trials have a value of the metric."""
    best: float | None = None
    best_trial: str | None = None
    mean: float | None = None
    groups: tuple[ComparedGroup, ...] = ()


class SpecDifference(_Record):
    """A field of the spec in which the sweeps differ; null where one lacks it."""

    path: str
    values: tuple[Any, ...]
    """One for each sweep, in their order."""


class MatchedPair(_Record):
    """One assignment in two sweeps, each the mean of its replicates."""

    parameters: Mapping[str, Any]
    base: float
    other: float
    difference: float


class Matched(_Record):
    """A sweep against the first one, assignment by assignment."""

    sweep: str
    base: str
    assignments: int
    """Assignments that both have, with values."""
    difference: Interval | None = None
    """The mean of other minus base over the assignments; null when there are none."""
    pairs: tuple[MatchedPair, ...]
    """The thousand with the largest differences, the largest first."""


class Comparison(_Record):
    """Sweeps side by side."""

    metric: str
    by: str | None = None
    sweeps: tuple[ComparedSweep, ...]
    spec: tuple[SpecDifference, ...]
    matched: tuple[Matched, ...]


class TrialSpan(_Record):
    """When and where a trial trained."""

    node: str | None
    state: TrialState
    started_at: datetime
    ended_at: datetime | None = None


class Figure(_Record):
    """A figure as plotly's JavaScript takes it."""

    data: tuple[Mapping[str, Any], ...]
    layout: Mapping[str, Any]
