"""Questions about many trials, as a request asks them: each is answered here once.

The routes of `service.api.analysis` answer what is found as it is, those of
`service.api.figures` draw it.
"""

from typing import Annotated

from fastapi import Depends, Query

from service.analysis.comparison import compare
from service.analysis.curves import MAX_POINTS, MAX_TRIALS, CurvesQuestion, curves
from service.analysis.groups import MAX_GROUPS, GroupsQuestion, groups
from service.analysis.importance import importance
from service.analysis.pareto import ParetoQuestion, Point, pareto
from service.analysis.pivot import PivotQuestion, pivot
from service.analysis.savings import savings
from service.api.context import In, User
from service.api.queries import TrialFilter, TrialSort
from service.store.analysis import Which
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
AxisText = Annotated[
    str,
    Query(
        min_length=1,
        max_length=300,
        description="A metric's name, or best, last.NAME, min.NAME or max.NAME; or step, of which "
        "fewer are better.",
    ),
]
ModeText = Annotated[
    Mode | None,
    Query(description="Which way the metric is better, where the sweep's spec does not say."),
]
CurvePoints = Annotated[
    int, Query(ge=4, le=MAX_POINTS, description="Points of all curves together, at most.")
]


def which_trials(context: In, filter: TrialFilter) -> Which:
    """The trials that pass the request's filter, as of now."""
    return Which(filter, now=context.clock())


Trials = Annotated[Which, Depends(which_trials)]


def find_pivot(
    context: In,
    user: User,
    sweep_id: str,
    which: Trials,
    rows: FieldText,
    columns: FieldText,
    metric: MetricText = None,
    aggregate: Annotated[Aggregate, Query(description="What a cell shows of its trials.")] = "max",
    threshold: Annotated[
        float | None,
        Query(allow_inf_nan=False, description="For share: the value that trials should reach."),
    ] = None,
    mode: ModeText = None,
    replicates: Annotated[
        Replicates,
        Query(description="Each trial counts, or the mean of an assignment's replicates."),
    ] = "each",
) -> Pivot:
    """A metric over two fields."""
    question = PivotQuestion(
        rows=rows,
        columns=columns,
        metric=metric,
        aggregate=aggregate,
        threshold=threshold,
        mode=mode,
        replicates=replicates,
        which=which,
    )
    return pivot(context.store, context.store.get_sweep(sweep_id), question)


def find_groups(
    context: In,
    user: User,
    sweep_id: str,
    which: Trials,
    by: Annotated[
        str, Query(min_length=1, max_length=1_000, description="Fields with commas between.")
    ],
    metric: MetricText = None,
    mode: ModeText = None,
    sort: Annotated[
        str | None,
        Query(
            max_length=300,
            description="mean, median, best, count or a field of `by`, `-` before it for "
            "descending; groups without a value come last.",
        ),
    ] = None,
    limit: Annotated[
        int | None, Query(ge=1, le=MAX_GROUPS, description="So many at most; all when not given.")
    ] = None,
    offset: Annotated[int, Query(ge=0, description="Leave out so many first.")] = 0,
) -> Groups:
    """Trials by the values of some fields."""
    question = GroupsQuestion(
        by=by, metric=metric, mode=mode, which=which, sort=sort, limit=limit, offset=offset
    )
    return groups(context.store, context.store.get_sweep(sweep_id), question)


def find_pareto(
    context: In,
    user: User,
    sweep_id: str,
    which: Trials,
    x: AxisText,
    y: MetricText = None,
    x_mode: ModeText = None,
    y_mode: ModeText = None,
) -> tuple[ParetoFront, list[Point]]:
    """The front of two metrics, and every point."""
    question = ParetoQuestion(x=x, y=y, x_mode=x_mode, y_mode=y_mode, which=which)
    return pareto(context.store, context.store.get_sweep(sweep_id), question)


def find_importance(
    context: In, user: User, sweep_id: str, which: Trials, metric: MetricText = None
) -> Importance:
    """Which parameters a metric depends on."""
    sweep = context.store.get_sweep(sweep_id)
    return importance(context.store, sweep, metric=metric, which=which)


def find_savings(context: In, user: User, sweep_id: str) -> Savings:
    """What early stopping spared."""
    return savings(context.store, context.store.get_sweep(sweep_id))


def find_curves(
    context: In,
    user: User,
    sweep_id: str,
    which: Trials,
    sort: TrialSort,
    metric: MetricText = None,
    trials: Annotated[int, Query(ge=1, le=MAX_TRIALS, description="Curves at most.")] = 50,
    points: CurvePoints = 20_000,
) -> Curves:
    """Reports of many trials, thinned out."""
    question = CurvesQuestion(
        metric=metric,
        which=which,
        sort=sort,
        trials=trials,
        points=points,
    )
    return curves(context.store, context.store.get_sweep(sweep_id), question)


def find_comparison(
    context: In,
    user: User,
    which: Trials,
    sweeps: Annotated[
        str, Query(max_length=1_000, description="Ids of two to eight sweeps, commas between.")
    ],
    metric: MetricText = None,
    mode: ModeText = None,
    by: Annotated[str | None, Query(max_length=300, description="A field.")] = None,
) -> Comparison:
    """Sweeps side by side."""
    return compare(context.store, sweeps.split(","), metric=metric, mode=mode, by=by, which=which)


FoundPivot = Annotated[Pivot, Depends(find_pivot)]
FoundGroups = Annotated[Groups, Depends(find_groups)]
FoundPareto = Annotated[tuple[ParetoFront, list[Point]], Depends(find_pareto)]
FoundImportance = Annotated[Importance, Depends(find_importance)]
FoundSavings = Annotated[Savings, Depends(find_savings)]
FoundCurves = Annotated[Curves, Depends(find_curves)]
FoundComparison = Annotated[Comparison, Depends(find_comparison)]
