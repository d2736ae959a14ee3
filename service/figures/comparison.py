"""Sweeps side by side."""

from typing import Any

from service.analysis.labels import shown
from service.figures.style import (
    SERIES,
    WITH_LEGEND,
    Look,
    axis,
    distinct_labels,
    layout,
    nothing,
    number,
    plain,
)
from service.store.analysis import label_key
from sweep.analysis import Comparison, Interval, Matched

_ROOM = 90
"""Characters that fit side by side under an axis."""


def comparison_figure(found: Comparison, *, look: Look) -> dict[str, Any]:
    """With `by`, each sweep's best by its values; else matched assignments one by one."""
    if found.by is not None:
        return _by_label(found, look)
    if any(other.pairs for other in found.matched):
        return _pairs(found, look)
    return _overall(found, look)


def _by_label(found: Comparison, look: Look) -> dict[str, Any]:
    field = (found.by or "").removeprefix("parameters.")
    labels = {label_key(g.label): g.label for sweep in found.sweeps for g in sweep.groups}
    texts = distinct_labels(list(labels.values()))
    traces = []
    for i, sweep in enumerate(found.sweeps):
        best = {label_key(group.label): group.best for group in sweep.groups}
        traces.append(
            {
                "type": "bar",
                "name": f"{plain(sweep.name)} ({sweep.id})",
                "x": texts,
                "y": [best.get(key) for key in labels],
                "marker": {"color": look.series[i % len(SERIES)]},
                "hovertemplate": "%{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
            }
        )
    turned = sum(map(len, texts)) > _ROOM
    changes = {
        **WITH_LEGEND,
        "barmode": "group",
        "bargap": 0.25,
        "xaxis": axis(
            look,
            field,
            {
                "type": "category",
                "showgrid": False,
                "ticks": "",
                "tickangle": -35 if turned else 0,
            },
        ),
        "yaxis": axis(look, found.metric),
    }
    title = f"{found.metric} by {field}"
    return {"data": traces, "layout": layout(look, title, changes=changes)}


def _pairs(found: Comparison, look: Look) -> dict[str, Any]:
    names = {sweep.id: sweep.name for sweep in found.sweeps}
    traces: list[dict[str, Any]] = []
    ends: list[float] = []
    for i, other in enumerate(found.matched):
        ends += [value for pair in other.pairs for value in (pair.base, pair.other)]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{plain(names[other.sweep])} ({other.sweep})",
                "x": [pair.base for pair in other.pairs],
                "y": [pair.other for pair in other.pairs],
                "text": [plain(shown(dict(pair.parameters))) for pair in other.pairs],
                "marker": {"color": look.series[i % len(SERIES)], "size": 8, "opacity": 0.75},
                "hovertemplate": "%{text}<br>%{x:.4g} → %{y:.4g}<extra></extra>",
            }
        )
    low, high = min(ends), max(ends)
    equal = {
        "type": "line",
        **{"x0": low, "y0": low, "x1": high, "y1": high},
        "layer": "below",
        "line": {"color": look.soft, "width": 1, "dash": "dot"},
    }
    base = found.sweeps[0]
    first = found.matched[0].sweep
    others = f"{names[first]} ({first})" if len(found.matched) == 1 else "the other sweep"
    changes = {
        **WITH_LEGEND,
        "shapes": [equal],
        "xaxis": axis(look, f"{base.name} ({base.id}): {found.metric}"),
        "yaxis": axis(look, f"{others}: {found.metric}"),
    }
    subtitle = "; ".join(_difference(other) for other in found.matched if other.difference)
    title = "The same assignments in both sweeps" if len(traces) == 1 else "The same assignments"
    return {"data": traces, "layout": layout(look, title, subtitle=subtitle, changes=changes)}


def _difference(other: Matched) -> str:
    found: Interval = other.difference or Interval(mean=0)
    text = f"{other.sweep}: {found.mean:+.3g}"
    if found.low is not None and found.high is not None:
        text += f" (95%: {found.low:+.3g} to {found.high:+.3g})"
    return f"{text} over {number(other.assignments)} assignments"


def _overall(found: Comparison, look: Look) -> dict[str, Any]:
    title = found.metric
    if all(sweep.best is None for sweep in found.sweeps):
        return nothing(look, title, "None of these sweeps has a value of this metric yet.")
    trace = {
        "type": "bar",
        "x": [f"{plain(sweep.name)} ({sweep.id})" for sweep in found.sweeps],
        "y": [sweep.best for sweep in found.sweeps],
        "customdata": [sweep.best_trial for sweep in found.sweeps],
        "marker": {"color": [look.series[i % len(SERIES)] for i in range(len(found.sweeps))]},
        "width": [0.5] * len(found.sweeps),
        "hovertemplate": "%{y:.4g} by %{customdata}<extra></extra>",
    }
    changes = {
        "xaxis": axis(look, "", {"type": "category", "showgrid": False, "ticks": ""}),
        "yaxis": axis(look, found.metric),
    }
    subtitle = "they have no assignment in common"
    return {"data": [trace], "layout": layout(look, title, subtitle=subtitle, changes=changes)}
