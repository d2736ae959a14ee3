"""Figures of what the analysis finds, as plotly's JSON or as PNG."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from service.analysis.comparison import compare
from service.analysis.curves import CurvesQuestion, curves
from service.analysis.importance import importance
from service.analysis.labels import swept
from service.analysis.naming import field_named, has_value, metric_named
from service.analysis.pareto import ParetoQuestion, pareto
from service.analysis.pivot import PivotQuestion, pivot
from service.analysis.savings import savings
from service.api.analysis import (
    AggregateText,
    CurvePoints,
    CurveTrials,
    FieldText,
    MetricText,
    ModeText,
    ReplicatesText,
    SweepIds,
    Threshold,
    read_filter,
)
from service.api.context import In, User, problems
from service.api.queries import FilterText, SortText
from service.figures.comparison import comparison_figure
from service.figures.curves import Log, curves_figure
from service.figures.parallel import parallel_figure
from service.figures.picture import draw
from service.figures.pivot import pivot_figure
from service.figures.running import duration_figure, resources_figure
from service.figures.style import Look, Theme
from service.figures.summary import importance_figure, pareto_figure, savings_figure
from service.query.ast import Compare
from service.query.parse import parse_sort
from service.store.analysis import ALL_PARAMETERS, INDEX, TrialQuestion
from sweep.analysis import Figure
from sweep.errors import ParameterError
from sweep.rows import trial_id

router = APIRouter(prefix="/v1", tags=["figures"])

_OK: dict[int | str, dict[str, Any]] = {
    200: {"model": Figure, "content": {"image/png": {"schema": {"type": "string"}}}}
}
_SIDE = Query(ge=200, le=4_000, description="In pixels; JSON fills its place when not given.")


class Shown:
    """How a figure is asked for; what all kinds share."""

    def __init__(
        self,
        format: Annotated[Literal["json", "png"], Query(description="Plotly's, or PNG.")] = "json",
        theme: Annotated[Theme, Query(description="Of the page that shows it.")] = "light",
        width: Annotated[int | None, _SIDE] = None,
        height: Annotated[int | None, _SIDE] = None,
    ) -> None:
        self._format = format
        self.look = Look(theme, width, height)

    def answer(self, figure: dict[str, Any]) -> Response:
        """The figure as was asked for."""
        if self._format == "png":
            return Response(draw(figure, self.look), media_type="image/png")
        return JSONResponse(figure)


As = Annotated[Shown, Depends()]
LogText = Annotated[Log, Query(description="Which axes are logarithmic.")]
ColourBy = Annotated[
    str | None, Query(max_length=300, description="A parameter that colours the curves.")
]


@router.get(
    "/sweeps/{sweep_id}/figures/curves",
    operation_id="curves_figure",
    responses={**_OK, **problems(404, 422)},
    response_class=Response,
)
def get_curves_figure(
    context: In,
    user: User,
    shown: As,
    sweep_id: str,
    metric: MetricText = None,
    filter: FilterText = None,
    sort: SortText = None,
    trials: CurveTrials = 50,
    points: CurvePoints = 20_000,
    log: LogText = "none",
    colour_by: ColourBy = None,
) -> Response:
    """Learning curves, with rungs, stopped trials and the best one marked."""
    if colour_by is not None and field_named(colour_by, "colour_by").source != "parameter":
        raise ParameterError(f"{colour_by!r} is no parameter: such as parameters.task", "colour_by")
    question = CurvesQuestion(
        metric=metric,
        filter=read_filter(filter),
        sort=parse_sort(sort) if sort else (),
        trials=trials,
        points=points,
    )
    found = curves(context.store, context.store.get_sweep(sweep_id), question)
    return shown.answer(curves_figure(found, look=shown.look, log=log, colour_by=colour_by))


@router.get(
    "/trials/{trial_id}/figures/curves",
    operation_id="trial_curves_figure",
    responses={**_OK, **problems(404, 422)},
    response_class=Response,
)
def get_trial_curves_figure(
    context: In,
    user: User,
    shown: As,
    trial_id: str,
    metric: MetricText = None,
    points: CurvePoints = 5_000,
    log: LogText = "none",
) -> Response:
    """One trial's learning curve."""
    trial = context.store.get_trial(trial_id)
    only = Compare(INDEX, "==", trial.index)
    question = CurvesQuestion(metric=metric, filter=only, trials=1, points=points)
    found = curves(context.store, context.store.get_sweep(trial.sweep_id), question)
    return shown.answer(curves_figure(found, look=shown.look, log=log))


@router.get(
    "/sweeps/{sweep_id}/figures/pivot",
    operation_id="pivot_figure",
    responses={**_OK, **problems(404, 422)},
    response_class=Response,
)
def get_pivot_figure(
    context: In,
    user: User,
    shown: As,
    sweep_id: str,
    rows: FieldText,
    columns: FieldText,
    metric: MetricText = None,
    aggregate: AggregateText = "max",
    threshold: Threshold = None,
    mode: ModeText = None,
    replicates: ReplicatesText = "each",
    filter: FilterText = None,
) -> Response:
    """A pivot as a heatmap."""
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
    found = pivot(context.store, context.store.get_sweep(sweep_id), question)
    return shown.answer(pivot_figure(found, look=shown.look))


@router.get(
    "/sweeps/{sweep_id}/figures/importance",
    operation_id="importance_figure",
    responses={**_OK, **problems(404, 422)},
    response_class=Response,
)
def get_importance_figure(
    context: In,
    user: User,
    shown: As,
    sweep_id: str,
    metric: MetricText = None,
    filter: FilterText = None,
) -> Response:
    """Which parameters a metric depends on, as bars."""
    sweep = context.store.get_sweep(sweep_id)
    found = importance(context.store, sweep, metric=metric, filter=read_filter(filter))
    return shown.answer(importance_figure(found, look=shown.look))


@router.get(
    "/sweeps/{sweep_id}/figures/parallel",
    operation_id="parallel_figure",
    responses={**_OK, **problems(404, 422)},
    response_class=Response,
)
def get_parallel_figure(
    context: In,
    user: User,
    shown: As,
    sweep_id: str,
    metric: MetricText = None,
    filter: FilterText = None,
) -> Response:
    """Parallel coordinates: parameters, and the metric that colours the lines."""
    sweep = context.store.get_sweep(sweep_id)
    named = metric_named(context.store, sweep, metric)
    question = TrialQuestion(
        fields=(INDEX, ALL_PARAMETERS, named.field), filter=has_value(named, read_filter(filter))
    )
    lines = [
        (trial_id(sweep.id, row[0]), row[1], row[2])
        for row in context.store.read_trials(sweep.id, question)
    ]
    return shown.answer(
        parallel_figure(
            lines, names=swept(sweep.spec), metric=named.text, mode=named.mode, look=shown.look
        )
    )


@router.get(
    "/sweeps/{sweep_id}/figures/savings",
    operation_id="savings_figure",
    responses={**_OK, **problems(404, 422)},
    response_class=Response,
)
def get_savings_figure(context: In, user: User, shown: As, sweep_id: str) -> Response:
    """What early stopping did at each rung."""
    found = savings(context.store, context.store.get_sweep(sweep_id))
    return shown.answer(savings_figure(found, look=shown.look))


@router.get(
    "/sweeps/{sweep_id}/figures/pareto",
    operation_id="pareto_figure",
    responses={**_OK, **problems(404, 422)},
    response_class=Response,
)
def get_pareto_figure(
    context: In,
    user: User,
    shown: As,
    sweep_id: str,
    x: FieldText,
    y: MetricText = None,
    x_mode: ModeText = None,
    y_mode: ModeText = None,
    filter: FilterText = None,
) -> Response:
    """The front of two metrics over all trials."""
    question = ParetoQuestion(x=x, y=y, x_mode=x_mode, y_mode=y_mode, filter=read_filter(filter))
    found, points = pareto(context.store, context.store.get_sweep(sweep_id), question)
    return shown.answer(pareto_figure(found, points, sweep_id=sweep_id, look=shown.look))


@router.get(
    "/sweeps/{sweep_id}/figures/resources",
    operation_id="resources_figure",
    responses={**_OK, **problems(404, 422)},
    response_class=Response,
)
def get_resources_figure(
    context: In, user: User, shown: As, sweep_id: str, filter: FilterText = None
) -> Response:
    """How many trials trained on each node, over time."""
    spans = context.store.trial_spans(sweep_id, read_filter(filter))
    return shown.answer(resources_figure(spans, now=context.clock(), look=shown.look))


@router.get(
    "/sweeps/{sweep_id}/figures/duration",
    operation_id="duration_figure",
    responses={**_OK, **problems(404, 422)},
    response_class=Response,
)
def get_duration_figure(
    context: In, user: User, shown: As, sweep_id: str, filter: FilterText = None
) -> Response:
    """How long trials took."""
    spans = context.store.trial_spans(sweep_id, read_filter(filter))
    return shown.answer(duration_figure(spans, look=shown.look))


@router.get(
    "/compare/figure",
    operation_id="comparison_figure",
    responses={**_OK, **problems(404, 422)},
    response_class=Response,
)
def get_comparison_figure(
    context: In,
    user: User,
    shown: As,
    sweeps: SweepIds,
    metric: MetricText = None,
    by: Annotated[str | None, Query(max_length=300, description="A field.")] = None,
    filter: FilterText = None,
) -> Response:
    """Sweeps side by side: by the values of a field, or assignment by assignment."""
    found = compare(
        context.store, sweeps.split(","), metric=metric, by=by, filter=read_filter(filter)
    )
    return shown.answer(comparison_figure(found, look=shown.look))
