"""Parallel coordinates: a line for each trial through its parameters to its metric."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.analysis.sampling import sampled
from service.figures.style import (
    SCALE,
    Look,
    colour_bar,
    distinct_labels,
    layout,
    log_ticks,
    nothing,
    number,
    plain,
    shortened,
    spread,
    thinned,
)
from service.store.analysis import label_key
from sweep.analysis import Mode
from sweep.space import lookup

Line = tuple[str, Mapping[str, Any], float]
"""A trial's id, parameters and value."""

_MOST_LINES = 2_000
_BEST_LINES = 100
"""Shown in any case, of the most."""
_MOST_AXES = 12
_MOST_TICKS = 25
_MOST_CHARS = 18


def parallel_figure(
    lines: Sequence[Line],
    *,
    names: Sequence[str],
    metric: str,
    look: Look,
    mode: Mode | None = "max",
) -> dict[str, Any]:
    """An axis for each of the named parameters that varies, the metric last; it colours.

    The best lines are those that stand out most from the theme's background, drawn last. Of
    very many trials the best and a sample of the others are drawn.
    """
    title = f"Parameters and {metric}"
    if not lines:
        return nothing(look, title, "No trial that matches has a value of this metric yet.")
    total = len(lines)
    lines = sorted(lines, key=lambda line: line[2], reverse=mode == "min")
    lines = [*sampled(lines[:-_BEST_LINES], _MOST_LINES - _BEST_LINES), *lines[-_BEST_LINES:]]
    axes = [_axis(name, [lookup(parameters, name) for _, parameters, _ in lines]) for name in names]
    varying = [axis for axis in axes if axis is not None]
    values = [value for _, _, value in lines]
    low, high = min(values), max(values)
    trace = {
        "type": "parcoords",
        "dimensions": [*varying[:_MOST_AXES], {"label": plain(metric), "values": values}],
        "customdata": [trial for trial, _, _ in lines],
        "line": {
            "color": values,
            "colorscale": SCALE,
            "reversescale": (look.theme == "light") != (mode == "min"),
            "cmin": low,
            "cmax": high if high > low else low + 1,
            "showscale": True,
            "colorbar": colour_bar(look, metric),
        },
        "labelfont": {"color": look.ink, "size": 13},
        "tickfont": {"color": look.ink, "size": 12},
        "rangefont": {"color": "rgba(0,0,0,0)", "size": 1},
        "unselected": {"line": {"color": look.line, "opacity": 0.25}},
    }
    subtitle = f"{total:,} trials" + (
        f", {len(lines):,} of them shown" if len(lines) < total else ""
    )
    if len(varying) > _MOST_AXES:
        subtitle += f"; the first {_MOST_AXES} of {len(varying)} parameters that vary"
    margin = {"l": 150, "r": 40, "t": 124, "b": 28}
    return {
        "data": [trace],
        "layout": layout(look, title, subtitle=subtitle, changes={"margin": margin}),
    }


def _axis(name: str, values: Sequence[Any]) -> dict[str, Any] | None:
    """None for a parameter that is the same everywhere."""
    if len({label_key(value) for value in values}) < 2:
        return None
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return _number_axis(name, [float(value) for value in values])
    return _text_axis(name, values)


def _number_axis(name: str, values: Sequence[float]) -> dict[str, Any]:
    made: dict[str, Any] = {"label": plain(name), "values": list(values)}
    distinct = sorted(set(values))
    logarithmic = distinct[0] > 0 and spread(distinct)
    ticks: Sequence[float] = distinct if len(distinct) <= 8 else ()
    if logarithmic:
        made["values"] = [math.log10(value) for value in values]
        ticks = ticks or log_ticks(distinct[0], distinct[-1])
    if ticks:
        made["tickvals"] = [math.log10(tick) if logarithmic else tick for tick in ticks]
        made["ticktext"] = [number(tick) for tick in ticks]
    return made


def _text_axis(name: str, values: Sequence[Any]) -> dict[str, Any]:
    unique = {label_key(value): value for value in values}
    keys = sorted(unique, key=lambda key: (unique[key] is None, key))
    places = {key: place for place, key in enumerate(keys)}
    ticked = list(thinned(keys, _MOST_TICKS))
    return {
        "label": plain(name),
        "values": [places[label_key(value)] for value in values],
        "tickvals": [places[key] for key in ticked],
        "ticktext": distinct_labels([unique[key] for key in ticked], _cut),
        "range": [-0.4, len(keys) - 0.6],
    }


def _cut(text: str) -> str:
    """Not escaped: of all texts in plotly, these ticks alone are not read as HTML."""
    return shortened(text, _MOST_CHARS)
