"""A pivot as a heatmap, every cell with its value."""

import math
from collections.abc import Callable
from typing import Any

from service.figures.style import (
    SCALE,
    Look,
    axis,
    colour_bar,
    distinct_labels,
    layout,
    nothing,
    number,
    plain,
)
from sweep.analysis import Cell, Pivot

_MOST_TEXTS = 1_500
_ROW_HEIGHT = 30
_LEAST_HEIGHT = 360
_LONG = 8
_TURNS_LIGHT = 0.43
"""Where on the scale black is easier to read than white."""


def pivot_figure(found: Pivot, *, look: Look) -> dict[str, Any]:
    """Rows downwards as they stand in the pivot; better values are lighter."""
    title = pivot_title(found)
    values = [cell.value for row in found.cells for cell in row if cell is not None]
    if not values:
        return nothing(look, title, "No trial that matches has a value of this metric yet.")
    rows = distinct_labels(found.rows)
    columns = distinct_labels(found.columns)
    trace = {
        "type": "heatmap",
        "z": [[None if cell is None else cell.value for cell in row] for row in found.cells],
        "x": columns,
        "y": rows,
        "customdata": [[_hover(cell) for cell in row] for row in found.cells],
        "colorscale": SCALE,
        "reversescale": _is_reversed(found),
        "xgap": 2,
        "ygap": 2,
        "hoverongaps": False,
        "hovertemplate": f"{plain(_short(found.row_field))}: %{{y}}<br>"
        f"{plain(_short(found.column_field))}: %{{x}}<br>%{{customdata}}<extra></extra>",
        "colorbar": {
            **colour_bar(look, _value_name(found)),
            "tickformat": ".0%" if found.aggregate == "share" else "",
        },
        "zmin": _range(found)[0],
        "zmax": _range(found)[1],
    }
    wide = max(map(len, columns)) * len(columns) > 90 and max(map(len, columns)) > _LONG
    changes: dict[str, Any] = {
        "xaxis": axis(
            look,
            _short(found.column_field),
            {"type": "category", "showgrid": False, "ticks": "", "tickangle": -40 if wide else 0},
        ),
        "yaxis": axis(
            look,
            _short(found.row_field),
            {"type": "category", "showgrid": False, "ticks": "", "autorange": "reversed"},
        ),
    }
    if look.height is None:
        changes["height"] = max(_LEAST_HEIGHT, 150 + _ROW_HEIGHT * len(rows))
    traces = [trace]
    if len(rows) * len(columns) <= _MOST_TEXTS:
        traces.append(_texts(found, rows, columns))
    return {
        "data": traces,
        "layout": layout(look, title, subtitle=_subtitle(found), changes=changes),
    }


def pivot_title(found: Pivot) -> str:
    """What the pivot shows, by what."""
    by = f"by {_short(found.row_field)} and {_short(found.column_field)}"
    if found.aggregate == "count":
        return f"Trials {by}"
    if found.aggregate == "share":
        return f"Share of trials with {found.metric} at {number(found.threshold or 0)} or better"
    if found.aggregate == found.mode and found.metric.startswith("best "):
        return f"{found.metric} {by}"
    names = {"max": "Highest", "min": "Lowest", "mean": "Mean", "median": "Median"}
    return f"{names[found.aggregate]} {found.metric} {by}"


def _subtitle(found: Pivot) -> str:
    if found.aggregate == "count":
        return ""
    unit = "assignments, replicates averaged" if found.replicates == "mean" else "trials"
    total = sum(cell.count for row in found.cells for cell in row if cell is not None)
    better = "; lighter is better" if found.mode or found.aggregate == "share" else ""
    return f"{total:,} {unit}{better}"


def _value_name(found: Pivot) -> str:
    return {"count": "trials", "share": "share"}.get(found.aggregate, found.metric)


def _short(field: str) -> str:
    return field.removeprefix("parameters.")


def _is_reversed(found: Pivot) -> bool:
    return found.mode == "min" and found.aggregate not in ("count", "share")


def _range(found: Pivot) -> tuple[float, float]:
    if found.aggregate == "share":
        return 0.0, 1.0
    values = [cell.value for row in found.cells for cell in row if cell is not None]
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _texts(found: Pivot, rows: list[str], columns: list[str]) -> dict[str, Any]:
    """The cells' values, black on light cells and white on dark ones."""
    low, high = _range(found)
    write = _writer(found, low, high)
    filled = [
        (columns[j], rows[i], cell.value)
        for i, row in enumerate(found.cells)
        for j, cell in enumerate(row)
        if cell is not None
    ]
    places = [(value - low) / (high - low) for _, _, value in filled]
    if _is_reversed(found):
        places = [1 - place for place in places]
    light = [place > _TURNS_LIGHT for place in places]
    return {
        "type": "scatter",
        "mode": "text",
        "x": [x for x, _, _ in filled],
        "y": [y for _, y, _ in filled],
        "text": [write(value) for _, _, value in filled],
        "textfont": {
            "size": 12 if len(columns) <= 14 else 10,
            "color": ["#000000" if one else "#ffffff" for one in light],
        },
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _writer(found: Pivot, low: float, high: float) -> Callable[[float], str]:
    """How values are written: all with as many digits as tell them apart."""
    if found.aggregate == "share":
        return lambda value: f"{value:.0%}"
    largest = max(abs(low), abs(high))
    if found.aggregate == "count" or not 1e-2 < largest < 1e4:
        return number
    digits = 2 - math.floor(math.log10(largest))
    return lambda value: f"{value:.{max(0, min(digits, 4))}f}"


def _hover(cell: Cell | None) -> str:
    if cell is None:
        return ""
    shown = f"<b>{cell.value:.5g}</b>"
    if cell.low is not None and cell.high is not None:
        shown += f" (95%: {cell.low:.4g} to {cell.high:.4g})"
    return f"{shown}, n = {cell.count:,}"
