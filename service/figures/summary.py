"""Importances, what early stopping spared, and the front of two metrics."""

from collections.abc import Sequence
from typing import Any

from service.analysis.sampling import sampled
from service.figures.style import (
    SERIES,
    WITH_LEGEND,
    Look,
    amount,
    axis,
    layout,
    log_axis,
    nothing,
    plain,
    plain_distinct,
    spread,
)
from sweep.analysis import Importance, ParetoFront, Savings
from sweep.rows import trial_id

_MOST_PARAMETERS = 30
_MOST_POINTS = 5_000


def importance_figure(found: Importance, *, look: Look) -> dict[str, Any]:
    """A bar for each parameter, the most important on top."""
    title = f"What {found.metric} depends on"
    if not found.items:
        return nothing(look, title, f"No importances: {found.note}.")
    items = found.items[:_MOST_PARAMETERS]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [item.importance for item in items],
        "y": plain_distinct([item.parameter for item in items]),
        "error_x": {
            "type": "data",
            "array": [item.std for item in items],
            "color": look.soft,
            "thickness": 1.5,
            "width": 4,
        },
        "marker": {"color": look.series[0]},
        "width": [min(0.7, 0.18 * max(len(items), 2))] * len(items),
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }
    score = "" if found.score is None else f", R² on held-out trials {found.score:.2f}"
    changes = {
        "xaxis": axis(look, "fall of R² when the parameter is shuffled", {"rangemode": "tozero"}),
        "yaxis": axis(look, "", {"autorange": "reversed", "showgrid": False, "ticks": ""}),
    }
    subtitle = f"random forest over {found.trials:,} trials{score}"
    return {"data": [trace], "layout": layout(look, title, subtitle=subtitle, changes=changes)}


def savings_figure(found: Savings, *, look: Look) -> dict[str, Any]:
    """At each rung the trials that went on and those that were stopped."""
    if found.rule == "none":
        return nothing(look, "Early stopping", "This sweep has no early stopping.")
    reached = [rung for rung in found.rungs if rung.reached]
    if not reached:
        return nothing(look, "Early stopping", "No trial has reached a rung yet.")
    steps = [f"{rung.step:,}" for rung in found.rungs]
    parts = (
        ("went on", [rung.continued for rung in found.rungs], look.series[0]),
        ("stopped", [rung.stopped for rung in found.rungs], look.series[1]),
    )
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": steps,
            "y": counts,
            "text": [f"{count:,}" if count else "" for count in counts],
            "textposition": "inside",
            "insidetextanchor": "middle",
            "textangle": 0,
            "textfont": {"color": "#ffffff" if colour == SERIES[0] else "#000000"},
            "marker": {"color": colour},
            "hovertemplate": f"rung %{{x}}: %{{y:,}} {name}<extra></extra>",
        }
        for name, counts, colour in parts
    ]
    share = found.saved / found.without if found.without else 0.0
    subtitle = (
        f"{amount(found.trained)} steps trained instead of {amount(found.without)}; "
        f"{found.stopped:,} trials stopped early"
    )
    changes = {
        **WITH_LEGEND,
        "barmode": "stack",
        "bargap": 0.35,
        "uniformtext": {"mode": "hide", "minsize": 11},
        "xaxis": axis(look, "rung (step)", {"type": "category", "showgrid": False, "ticks": ""}),
        "yaxis": axis(look, "trials that reached it"),
    }
    title = f"Early stopping spared {share:.0%} of the training"
    return {"data": traces, "layout": layout(look, title, subtitle=subtitle, changes=changes)}


def pareto_figure(
    found: ParetoFront, points: Sequence[tuple[int, float, float]], *, sweep_id: str, look: Look
) -> dict[str, Any]:
    """The front as a line over all trials, thinned out where they are many."""
    title = f"{found.y} against {found.x}"
    if not found.items:
        return nothing(look, title, "No trial that matches has both metrics yet.")
    on_front = {item.index for item in found.items}
    others = sampled([p for p in points if p[0] not in on_front], _MOST_POINTS)
    hover = "trial %{text}<br>" + f"{plain(found.x)}: %{{x:.4g}}<br>{plain(found.y)}: %{{y:.4g}}"
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "other trials",
            "x": [p[1] for p in others],
            "y": [p[2] for p in others],
            "text": [str(p[0]) for p in others],
            "customdata": [trial_id(sweep_id, p[0]) for p in others],
            "marker": {"color": look.soft, "size": 6, "opacity": 0.35},
            "hovertemplate": f"{hover}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"front ({len(found.items)})",
            "x": [item.x for item in found.items],
            "y": [item.y for item in found.items],
            "text": [str(item.index) for item in found.items],
            "customdata": [item.trial for item in found.items],
            "line": {"color": look.accent, "width": 2, "shape": _steps(found)},
            "marker": {"color": look.accent, "size": 9},
            "hovertemplate": f"{hover}<extra></extra>",
        },
    ]
    changes = {
        **WITH_LEGEND,
        "xaxis": axis(look, f"{found.x} ({_better(found.x_mode)})", _scale(p[1] for p in points)),
        "yaxis": axis(look, f"{found.y} ({_better(found.y_mode)})", _scale(p[2] for p in points)),
    }
    shown = len(others) + len(found.items)
    subtitle = f"{found.trials:,} trials" + (
        f", {shown:,} of them shown" if shown < found.trials else ""
    )
    return {"data": traces, "layout": layout(look, title, subtitle=subtitle, changes=changes)}


def _better(mode: str) -> str:
    return "higher is better" if mode == "max" else "lower is better"


def _steps(found: ParetoFront) -> str:
    """The corner between two points of the front lies where both are beaten."""
    return "hv" if found.x_mode == "min" else "vh"


def _scale(values: Any) -> dict[str, Any]:
    found = list(values)
    return log_axis(found) if spread(found, ratio=1_000) else {}
