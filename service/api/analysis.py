"""Questions about many trials at once."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.analysis.comparison import compare
from service.analysis.curves import MAX_POINTS, MAX_TRIALS, CurvesQuestion, curves
from service.analysis.groups import groups
from service.analysis.importance import importance
from service.analysis.pareto import ParetoQuestion, pareto
from service.analysis.pivot import PivotQuestion, pivot
from service.analysis.savings import savings
from service.api.context import In, User, problems
from service.api.queries import FilterText, SortText
from service.query.ast import Filter
from service.query.parse import parse_filter, parse_sort
from sweep.analysis import (
    Aggregate,
    Comparison,
    Curves,
    Groups,
    Importance,
    Mode,
    ParetoFront,
    Pivot,
    Replicates,
    Savings,
)

router = APIRouter(prefix="/v1", tags=["analysis"])

FieldText = Annotated[
    str, Query(min_length=1, max_length=300, description="A field, such as parameters.task.")
]
MetricText = Annotated[
    str | None,
    Query(
        max_length=300,
        description="A metric's name, or best, last.NAME, min.NAME or max.NAME; the sweep's own "
        "metric, at its best, when not given.",
    ),
]
ModeText = Annotated[
    Mode | None,
    Query(description="Which way the metric is better, where the sweep's spec does not say."),
]
AggregateText = Annotated[Aggregate, Query(description="What a cell shows of its trials.")]
Threshold = Annotated[
    float | None,
    Query(allow_inf_nan=False, description="For share: the value that trials should reach."),
]
ReplicatesText = Annotated[
    Replicates,
    Query(description="Each trial counts, or the mean of an assignment's replicates."),
]
CurveTrials = Annotated[int, Query(ge=1, le=MAX_TRIALS, description="Curves at most.")]
CurvePoints = Annotated[
    int, Query(ge=4, le=MAX_POINTS, description="Points of all curves together, at most.")
]
SweepIds = Annotated[
    str, Query(max_length=1_000, description="Ids of two to eight sweeps, commas between.")
]


def read_filter(text: str | None) -> Filter | None:
    """A filter when one is given."""
    return parse_filter(text) if text else None


@router.get("/sweeps/{sweep_id}/pivot", operation_id="pivot", responses=problems(404, 422))
def get_pivot(
    context: In,
    user: User,
    sweep_id: str,
    rows: FieldText,
    columns: FieldText,
    metric: MetricText = None,
    aggregate: AggregateText = "max",
    threshold: Threshold = None,
    mode: ModeText = None,
    replicates: ReplicatesText = "each",
    filter: FilterText = None,
) -> Pivot:
    """A metric over two fields, such as task x network."""
    question = PivotQuestion(
        rows=rows,
        columns=columns,
        metric=metric,
        aggregate=aggregate,
        threshold=threshold,
        mode=mode,
        replicates=replicates,
        filter=read_filter(filter),
    )
    return pivot(context.store, context.store.get_sweep(sweep_id), question)


@router.get("/sweeps/{sweep_id}/groups", operation_id="groups", responses=problems(404, 422))
def get_groups(
    context: In,
    user: User,
    sweep_id: str,
    by: Annotated[
        str, Query(min_length=1, max_length=1_000, description="Fields with commas between.")
    ],
    metric: MetricText = None,
    mode: ModeText = None,
    filter: FilterText = None,
) -> Groups:
    """Trials by the values of some fields: states, mean, median and the best of each."""
    sweep = context.store.get_sweep(sweep_id)
    return groups(context.store, sweep, by=by, metric=metric, mode=mode, filter=read_filter(filter))


@router.get("/sweeps/{sweep_id}/pareto", operation_id="pareto", responses=problems(404, 422))
def get_pareto(
    context: In,
    user: User,
    sweep_id: str,
    x: FieldText,
    y: MetricText = None,
    x_mode: ModeText = None,
    y_mode: ModeText = None,
    filter: FilterText = None,
) -> ParetoFront:
    """The trials that no other one beats in two metrics."""
    question = ParetoQuestion(x=x, y=y, x_mode=x_mode, y_mode=y_mode, filter=read_filter(filter))
    return pareto(context.store, context.store.get_sweep(sweep_id), question)[0]


@router.get(
    "/sweeps/{sweep_id}/importance", operation_id="importance", responses=problems(404, 422)
)
def get_importance(
    context: In, user: User, sweep_id: str, metric: MetricText = None, filter: FilterText = None
) -> Importance:
    """Which parameters a metric depends on."""
    sweep = context.store.get_sweep(sweep_id)
    return importance(context.store, sweep, metric=metric, filter=read_filter(filter))


@router.get("/sweeps/{sweep_id}/savings", operation_id="savings", responses=problems(404))
def get_savings(context: In, user: User, sweep_id: str) -> Savings:
    """What early stopping spared, and what it did at each rung."""
    return savings(context.store, context.store.get_sweep(sweep_id))


@router.get("/sweeps/{sweep_id}/curves", operation_id="curves", responses=problems(404, 422))
def get_curves(
    context: In,
    user: User,
    sweep_id: str,
    metric: MetricText = None,
    filter: FilterText = None,
    sort: SortText = None,
    trials: CurveTrials = 50,
    points: CurvePoints = 20_000,
) -> Curves:
    """Reports of many trials, thinned out so that every bucket keeps its extremes."""
    question = CurvesQuestion(
        metric=metric,
        filter=read_filter(filter),
        sort=parse_sort(sort) if sort else (),
        trials=trials,
        points=points,
    )
    return curves(context.store, context.store.get_sweep(sweep_id), question)


@router.get("/compare", operation_id="compare", responses=problems(404, 422))
def get_comparison(
    context: In,
    user: User,
    sweeps: SweepIds,
    metric: MetricText = None,
    by: Annotated[str | None, Query(max_length=300, description="A field.")] = None,
    filter: FilterText = None,
) -> Comparison:
    """Sweeps side by side: results, differing spec fields, matched assignments."""
    return compare(
        context.store, sweeps.split(","), metric=metric, by=by, filter=read_filter(filter)
    )
