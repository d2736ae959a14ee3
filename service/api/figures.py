"""Figures of what the analysis finds, as plotly's JSON or as PNG."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from service.analysis.curves import CurvesQuestion, curves
from service.analysis.exploits import explored, histories
from service.analysis.labels import swept
from service.analysis.naming import field_named, has_value, metric_named
from service.api.answers import (
    CurvePoints,
    FoundComparison,
    FoundCurves,
    FoundImportance,
    FoundPareto,
    FoundPivot,
    FoundSavings,
    MetricText,
    Trials,
)
from service.api.context import In, User, problems
from service.figures.comparison import comparison_figure
from service.figures.curves import Log, curves_figure
from service.figures.exploits import exploits_figure
from service.figures.parallel import parallel_figure
from service.figures.picture import draw
from service.figures.pivot import pivot_figure
from service.figures.running import duration_figure, resources_figure
from service.figures.style import Look, Theme
from service.figures.summary import importance_figure, pareto_figure, savings_figure
from service.query.ast import Compare
from service.store.analysis import ALL_PARAMETERS, INDEX, TrialQuestion, Which
from sweep.analysis import Figure
from sweep.errors import ParameterError
from sweep.rows import trial_id

router = APIRouter(prefix="/v1", tags=["figures"])

_OK: dict[int | str, dict[str, Any]] = {
    200: {"model": Figure, "content": {"image/png": {"schema": {"type": "string"}}}}
}
_SIDE = Query(ge=200, le=4_000, description="In pixels; JSON fills its place when not given.")

Route = Callable[..., Response]


def _figure(path: str, operation_id: str) -> Callable[[Route], Route]:
    """A route that answers a figure."""
    return router.get(
        path,
        operation_id=operation_id,
        responses={**_OK, **problems(404, 422)},
        response_class=Response,
    )


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
ExploredText = Annotated[
    str | None,
    Query(max_length=300, description="One that the rule explores; its first when not given."),
]
LogText = Annotated[Log, Query(description="Which axes are logarithmic.")]


def colouring_parameter(
    user: User,
    colour_by: Annotated[
        str | None, Query(max_length=300, description="A parameter that colours the curves.")
    ] = None,
) -> tuple[str, ...] | None:
    """The path of the parameter that colours curves.

    Raises:
        ParameterError: when it is none.
    """
    if colour_by is None:
        return None
    field = field_named(colour_by, "colour_by")
    if field.source != "parameter":
        raise ParameterError(f"{colour_by!r} is no parameter: such as parameters.task", "colour_by")
    return field.path


@_figure("/sweeps/{sweep_id}/figures/curves", "curves_figure")
def get_curves_figure(
    shown: As,
    colour_by: Annotated[tuple[str, ...] | None, Depends(colouring_parameter)],
    found: FoundCurves,
    log: LogText = "none",
) -> Response:
    """Learning curves, with rungs, stopped trials and the best one marked."""
    return shown.answer(curves_figure(found, look=shown.look, log=log, colour_by=colour_by))


@_figure("/trials/{trial_id}/figures/curves", "trial_curves_figure")
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
    only = Which(Compare(INDEX, "==", trial.index))
    question = CurvesQuestion(metric=metric, which=only, trials=1, points=points)
    found = curves(context.store, context.store.get_sweep(trial.sweep_id), question)
    return shown.answer(curves_figure(found, look=shown.look, log=log))


@_figure("/sweeps/{sweep_id}/figures/pivot", "pivot_figure")
def get_pivot_figure(shown: As, found: FoundPivot) -> Response:
    """A pivot as a heatmap."""
    return shown.answer(pivot_figure(found, look=shown.look))


@_figure("/sweeps/{sweep_id}/figures/importance", "importance_figure")
def get_importance_figure(shown: As, found: FoundImportance) -> Response:
    """Which parameters a metric depends on, as bars."""
    return shown.answer(importance_figure(found, look=shown.look))


@_figure("/sweeps/{sweep_id}/figures/parallel", "parallel_figure")
def get_parallel_figure(
    context: In, user: User, shown: As, sweep_id: str, which: Trials, metric: MetricText = None
) -> Response:
    """Parallel coordinates: parameters, and the metric that colours the lines."""
    sweep = context.store.get_sweep(sweep_id)
    named = metric_named(context.store, sweep, metric)
    fields = (INDEX, ALL_PARAMETERS, named.field)
    question = TrialQuestion(fields=fields, which=has_value(named, which))
    lines = [
        (trial_id(sweep.id, row[0]), row[1], row[2])
        for row in context.store.read_trials(sweep.id, question)
    ]
    return shown.answer(
        parallel_figure(
            lines, names=swept(sweep.spec), metric=named.text, mode=named.mode, look=shown.look
        )
    )


@_figure("/sweeps/{sweep_id}/figures/savings", "savings_figure")
def get_savings_figure(shown: As, found: FoundSavings) -> Response:
    """What early stopping did at each rung."""
    return shown.answer(savings_figure(found, look=shown.look))


@_figure("/sweeps/{sweep_id}/figures/exploits", "exploits_figure")
def get_exploits_figure(
    context: In, user: User, shown: As, sweep_id: str, parameter: ExploredText = None
) -> Response:
    """A parameter over the steps of a population, and who went on from another's state."""
    sweep = context.store.get_sweep(sweep_id)
    name = explored(sweep, parameter)
    found = histories(context.store, sweep, name)
    return shown.answer(exploits_figure(found, parameter=name, look=shown.look))


@_figure("/sweeps/{sweep_id}/figures/pareto", "pareto_figure")
def get_pareto_figure(shown: As, sweep_id: str, found: FoundPareto) -> Response:
    """The front of two metrics over all trials."""
    front, points = found
    return shown.answer(pareto_figure(front, points, sweep_id=sweep_id, look=shown.look))


@_figure("/sweeps/{sweep_id}/figures/resources", "resources_figure")
def get_resources_figure(
    context: In, user: User, shown: As, sweep_id: str, which: Trials
) -> Response:
    """How many trials trained on each node, over time."""
    spans = context.store.trial_spans(sweep_id, which)
    return shown.answer(resources_figure(spans, now=context.clock(), look=shown.look))


@_figure("/sweeps/{sweep_id}/figures/duration", "duration_figure")
def get_duration_figure(
    context: In, user: User, shown: As, sweep_id: str, which: Trials
) -> Response:
    """How long trials took."""
    return shown.answer(
        duration_figure(context.store.trial_spans(sweep_id, which), look=shown.look)
    )


@_figure("/compare/figure", "comparison_figure")
def get_comparison_figure(shown: As, found: FoundComparison) -> Response:
    """Sweeps side by side: by the values of a field, or assignment by assignment."""
    return shown.answer(comparison_figure(found, look=shown.look))
