"""The trials that no other one beats in two metrics."""

from collections.abc import Iterable
from dataclasses import dataclass

from service.analysis.naming import NamedMetric, has_value, metric_named
from service.query.ast import Field
from service.store.analysis import ALL_TRIALS, INDEX, TrialQuestion, Which
from service.store.interface import Store
from sweep.analysis import Mode, ParetoFront, ParetoPoint
from sweep.records import SweepRecord
from sweep.rows import trial_id

_STEP = "step"

Point = tuple[int, float, float]
"""A trial's index and its two values."""


@dataclass(frozen=True)
class ParetoQuestion:
    """Two metrics, or one and `step`, and which way each is better."""

    x: str
    y: str | None = None
    x_mode: Mode | None = None
    y_mode: Mode | None = None
    which: Which = ALL_TRIALS


def front(points: Iterable[Point], *, x_mode: Mode, y_mode: Mode) -> list[Point]:
    """The points that none is at least as good as in both and better in one; by x, then index."""
    x_sign = -1.0 if x_mode == "max" else 1.0
    y_sign = -1.0 if y_mode == "max" else 1.0
    kept: list[Point] = []
    least = float("inf")
    last: tuple[float, float] | None = None
    for index, x, y in sorted(points, key=lambda p: (x_sign * p[1], y_sign * p[2], p[0])):
        if y_sign * y < least or last == (x, y):
            least, last = y_sign * y, (x, y)
            kept.append((index, x, y))
    return sorted(kept, key=lambda p: (p[1], p[2], p[0]))


def _read(
    store: Store, sweep: SweepRecord, pair: tuple[NamedMetric, NamedMetric], which: Which
) -> list[Point]:
    """The trials that have both values."""
    x, y = pair
    question = TrialQuestion(
        fields=(INDEX, x.field, y.field), which=has_value(x, has_value(y, which))
    )
    return [(row[0], row[1], row[2]) for row in store.read_trials(sweep.id, question)]


def _named(
    store: Store, sweep: SweepRecord, text: str | None, *, parameter: str, mode: Mode | None
) -> NamedMetric:
    """A metric, or the steps that a trial took: fewer are better unless said otherwise."""
    if text == _STEP and sweep.spec.metric.name != _STEP:
        return NamedMetric("steps", _STEP, Field("column", (_STEP,)), mode or "min")
    return metric_named(store, sweep, text, parameter=parameter, mode=mode)


def pareto(
    store: Store, sweep: SweepRecord, question: ParetoQuestion
) -> tuple[ParetoFront, list[Point]]:
    """The front, and every point.

    Raises:
        ParameterError: naming the parameter that does not fit.
    """
    x = _named(store, sweep, question.x, parameter="x", mode=question.x_mode)
    y = _named(store, sweep, question.y, parameter="y", mode=question.y_mode)
    x_mode, y_mode = x.need_mode("x_mode"), y.need_mode("y_mode")
    points = _read(store, sweep, (x, y), question.which)
    items = tuple(
        ParetoPoint(trial=trial_id(sweep.id, index), index=index, x=a, y=b)
        for index, a, b in front(points, x_mode=x_mode, y_mode=y_mode)
    )
    found = ParetoFront(
        x=x.text, y=y.text, x_mode=x_mode, y_mode=y_mode, trials=len(points), items=items
    )
    return found, points
