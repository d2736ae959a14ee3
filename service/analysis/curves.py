"""Reports of many trials at once, thinned out so that every extreme stays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from service.analysis.naming import metric_named
from service.query.ast import Compare, Field, SortKey
from service.store.analysis import ALL_PARAMETERS, ALL_TRIALS, INDEX, TrialQuestion, Which
from service.store.interface import Store
from sweep.analysis import Curve, Curves
from sweep.errors import ParameterError
from sweep.records import SweepRecord
from sweep.rows import trial_id
from sweep.rungs import stopping_steps
from sweep.states import TrialState

Point = tuple[int, float]
Chosen = tuple[int, str, int, Mapping[str, Any], float | None]
"""A trial that is shown: index, state, number of reports, parameters, best value."""

MAX_TRIALS = 1_000
MAX_POINTS = 200_000
LEAST_POINTS = 4
"""A thinned curve keeps its first and last point and one bucket's extremes at least."""


@dataclass(frozen=True)
class CurvesQuestion:
    """Which trials' reports of which metric, in how many points."""

    metric: str | None = None
    which: Which = ALL_TRIALS
    sort: tuple[SortKey, ...] = ()
    """The best by the sweep's own metric first when empty."""
    trials: int = 50
    points: int = 20_000


def curves(store: Store, sweep: SweepRecord, question: CurvesQuestion) -> Curves:
    """The curves of the first trials by the sort, with at most `points` points in all.

    Reports are read one after the other: memory grows with the points that are kept.

    Raises:
        ParameterError: naming the parameter that does not fit.
    """
    if question.points < LEAST_POINTS * question.trials:
        raise ParameterError(
            f"{question.points:,} are too few for {question.trials:,} trials: take "
            f"{LEAST_POINTS * question.trials:,} or more, or fewer trials",
            "points",
        )
    metric = metric_named(store, sweep, question.metric)
    chosen = _chosen(store, sweep, question)
    shares = share_points([row[2] for row in chosen], question.points)
    budgets = {row[0]: share for row, share in zip(chosen, shares, strict=True)}
    sizes = {row[0]: row[2] for row in chosen}
    found: dict[int, list[Point]] = {}
    stream = store.stream_points(sweep.id, metric.name, list(budgets))
    for index, points in groupby(stream, key=lambda point: point[0]):
        found[index] = thin(
            ((step, value) for _, step, value in points), sizes[index], budgets[index]
        )
    best = _best(found, chosen, sweep)
    items = tuple(
        Curve(
            trial=trial_id(sweep.id, index),
            index=index,
            state=TrialState(state),
            parameters=parameters,
            best=index == best,
            reports=reports,
            steps=tuple(step for step, _ in found[index]),
            values=tuple(value for _, value in found[index]),
        )
        for index, state, reports, parameters, _ in chosen
        if index in found
    )
    return Curves(
        metric=metric.name,
        rungs=stopping_steps(sweep.spec.early_stopping),
        points=sum(len(item.steps) for item in items),
        items=items,
    )


def share_points(sizes: Sequence[int], budget: int) -> list[int]:
    """How many points each curve may have: what short curves leave goes to long ones."""
    shares = [0] * len(sizes)
    order = sorted(range(len(sizes)), key=lambda i: sizes[i])
    for place, i in enumerate(order):
        shares[i] = min(sizes[i], budget // (len(order) - place))
        budget -= shares[i]
    return shares


def thin(points: Iterable[Point], size: int, budget: int) -> list[Point]:
    """At most `budget` of about `size` points: the first, the last, each bucket's extremes.

    All of them when `size` is within the budget. More points than `size` are there when a
    trial reports while it is read; they fall into the last bucket.
    """
    if size <= budget:
        kept = list(points)
        return kept if len(kept) <= budget else thin(kept, len(kept), budget)
    buckets = max(1, (budget - 2) // 2)
    stream = iter(points)
    first = next(stream, None)
    if first is None:
        return []
    found, last = [first], first
    bucket, low, high = -1, first, first
    for place, point in enumerate(stream):
        now = min(place * buckets // size, buckets - 1)
        if now != bucket:
            if bucket >= 0:
                found += _extremes(low, high)
            bucket, low, high = now, point, point
        elif point[1] < low[1]:
            low = point
        elif point[1] > high[1]:
            high = point
        last = point
    if bucket >= 0:
        found += _extremes(low, high)
    return found if found[-1] == last else [*found, last]


def _extremes(low: Point, high: Point) -> list[Point]:
    return [low] if low == high else sorted((low, high))


def _chosen(store: Store, sweep: SweepRecord, question: CurvesQuestion) -> list[Chosen]:
    best = Field("column", ("best",))
    best_first = (SortKey(best, descending=sweep.spec.metric.mode == "max"),)
    fields = (
        INDEX,
        Field("column", ("state",)),
        Field("column", ("reports",)),
        ALL_PARAMETERS,
        best,
    )
    reported = question.which.that(Compare(fields[2], ">", 0))
    asked = TrialQuestion(
        fields=fields, which=reported, sort=question.sort or best_first, limit=question.trials
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in store.read_trials(sweep.id, asked)]


def _best(
    found: Mapping[int, Sequence[Point]], chosen: Sequence[Chosen], sweep: SweepRecord
) -> int | None:
    """The trial that is best by the sweep's own metric; None when none has a value."""
    sign = -1 if sweep.spec.metric.mode == "max" else 1
    ranked = [(sign * row[4], row[0]) for row in chosen if row[4] is not None and row[0] in found]
    return min(ranked)[1] if ranked else None
