"""Learning curves: rungs, trials that were stopped, the best one."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from service.analysis.labels import leaves, shown
from service.figures.scale import NumberScale
from service.figures.style import (
    SERIES,
    WITH_LEGEND,
    Look,
    Trace,
    axis,
    layout,
    log_axis,
    nothing,
    number,
    plain,
)
from sweep.analysis import Curve, Curves
from sweep.plain import find
from sweep.states import TrialState

Path = tuple[str, ...]
"""A parameter's name, nested."""
Log = Literal["none", "x", "y", "xy"]

_FEW = 8
_LABELLED_RUNGS = 8
_ENDS = ((TrialState.STOPPED, "stopped early", "x"), (TrialState.DIVERGED, "diverged", "cross"))


def curves_figure(
    found: Curves, *, look: Look, log: Log = "none", colour_by: Path | None = None
) -> dict[str, Any]:
    """A line for each trial; `colour_by` names a parameter that colours them."""
    title = f"{found.metric} while training"
    if not found.items:
        return nothing(look, title, "No trial that matches has reported this metric yet.")
    ordered = sorted(found.items, key=lambda curve: curve.best)
    scale = _scale(ordered, colour_by)
    colours = _colours(ordered, look, colour_by, scale=scale)
    traces = [_line(curve, colours, look, colour_by) for curve in ordered]
    if colour_by is not None and scale is not None:
        traces.append(scale.bar(look, ".".join(colour_by)))
    else:
        traces += _legend(colours, look, colour_by)
    traces += _ends(ordered, look)
    count = len(found.items)
    subtitle = f"{count} trial{'s' if count > 1 else ''}, {found.points:,} points shown"
    if colour_by is not None:
        subtitle += f", coloured by {plain('.'.join(colour_by))}"
    steps = [step for curve in ordered for step in (curve.steps[0], curve.steps[-1])]
    values = [value for curve in ordered for value in curve.values]
    across = {**(log_axis(steps) if log in ("x", "xy") else {}), "tickformat": ","}
    changes = {
        **WITH_LEGEND,
        "xaxis": axis(look, "step", across),
        "yaxis": axis(look, found.metric, log_axis(values) if log in ("y", "xy") else None),
        "shapes": [_rung_line(step, look) for step in found.rungs],
        "annotations": _rung_labels(found.rungs, look, log=log in ("x", "xy")),
        "hovermode": "closest",
    }
    return {"data": traces, "layout": layout(look, title, subtitle=subtitle, changes=changes)}


def _key(curve: Curve, colour_by: Path | None) -> str:
    if colour_by is None:
        return curve.trial
    return shown(find(curve.parameters, colour_by))


def _scale(curves: Sequence[Curve], colour_by: Path | None) -> NumberScale | None:
    """For a parameter with more numbers than there are colours to name them by."""
    if colour_by is None:
        return None
    return NumberScale.over((find(c.parameters, colour_by) for c in curves), least=len(SERIES) + 1)


def _colours(
    ordered: Sequence[Curve], look: Look, colour_by: Path | None, *, scale: NumberScale | None
) -> dict[str, str]:
    """A colour for each trial or value; one for all when they are too many to tell apart."""
    keys = list(dict.fromkeys(_key(c, colour_by) for c in sorted(ordered, key=lambda c: c.index)))
    if colour_by is not None and scale is not None:
        values = {_key(curve, colour_by): find(curve.parameters, colour_by) for curve in ordered}
        return {k: look.soft if v is None else scale.colour(v) for k, v in values.items()}
    if colour_by is None and len(keys) > _FEW:
        return dict.fromkeys(keys, look.series[0])
    return {key: look.series[min(i, len(SERIES) - 1)] for i, key in enumerate(keys)}


def _line(curve: Curve, colours: dict[str, str], look: Look, colour_by: Path | None) -> Trace:
    many = len(colours) > _FEW or colour_by is not None
    colour = colours[_key(curve, colour_by)]
    emphasised = curve.best and (many or len(colours) > 1)
    line = {"width": 3.5 if emphasised else 1.6, "color": colour}
    if emphasised:
        line["color"] = look.accent if colour_by is None else look.ink
    label = f"trial {curve.index}"
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(curve.steps) == 1 else "lines",
        "x": list(curve.steps),
        "y": list(curve.values),
        "name": f"best: {label}" if emphasised else label,
        "line": line,
        "opacity": 1.0 if emphasised or not many else 0.45,
        "showlegend": emphasised or not many,
        "customdata": [curve.trial] * len(curve.steps),
        "hovertemplate": f"{_about(curve)}<br>step %{{x:,}}: %{{y:.4g}}<extra></extra>",
    }


def _about(curve: Curve) -> str:
    head = f"<b>trial {curve.index}</b> {curve.state}"
    lines = [f"{plain(k)}: {plain(shown(v))}" for k, v in leaves(curve.parameters).items()]
    return "<br>".join([head, *lines[:8]])


def _legend(colours: dict[str, str], look: Look, colour_by: Path | None) -> list[Trace]:
    """An entry for each value that colours stand for; lines of trials have none then."""
    if colour_by is None:
        return []
    names = list(colours)
    kept = names[: len(SERIES) - 1]
    if len(names) > len(SERIES):
        named = [*((n, colours[n]) for n in kept), ("others", look.series[-1])]
    else:
        named = list(colours.items())
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [None],
            "y": [None],
            "name": plain(name),
            "line": {"color": colour, "width": 3},
        }
        for name, colour in named
    ]


def _ends(ordered: Sequence[Curve], look: Look) -> list[Trace]:
    traces: list[Trace] = []
    for state, name, symbol in _ENDS:
        ended = [curve for curve in ordered if curve.state is state]
        if ended:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [curve.steps[-1] for curve in ended],
                    "y": [curve.values[-1] for curve in ended],
                    "name": f"{name} ({len(ended)})",
                    "marker": {
                        "symbol": f"{symbol}-thin",
                        "size": 8,
                        "line": {"width": 1.8, "color": look.ink},
                        "color": look.ink,
                    },
                    "customdata": [curve.trial for curve in ended],
                    "text": [f"trial {curve.index}" for curve in ended],
                    "hovertemplate": f"%{{text}} {name} at step %{{x:,}}<extra></extra>",
                }
            )
    return traces


def _rung_line(step: int, look: Look) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": step,
        "x1": step,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "layer": "below",
        "line": {"color": look.soft, "width": 1, "dash": "dot"},
        "opacity": 0.6,
    }


def _rung_labels(steps: Sequence[int], look: Look, *, log: bool) -> list[dict[str, Any]]:
    if not 0 < len(steps) <= _LABELLED_RUNGS:
        return []
    kept = steps if log else [step for step in steps if step >= steps[-1] / 12]
    return [
        {
            "x": math.log10(step) if log else step,
            "y": 0,
            "yref": "paper",
            "yanchor": "bottom",
            "xanchor": "left",
            "xshift": 2,
            "text": f"rung {number(step)}",
            "showarrow": False,
            "font": {"size": 11, "color": look.soft},
        }
        for step in kept
    ]
