"""A pivot as a heatmap, every cell with its value."""

from typing import Any

from service.analysis.labels import distinct_shown
from service.figures.style import SCALE, Look, axis, colour_bar, layout, nothing, number, plain
from sweep.analysis import Cell, Pivot

_MOST_TEXTS = 1_500
_ROW_HEIGHT = 30
_LEAST_HEIGHT = 360
_LONG = 8


def pivot_figure(found: Pivot, *, look: Look) -> dict[str, Any]:
    """Rows downwards as they stand in the pivot; higher values are lighter."""
    title = pivot_title(found)
    values = [cell.value for row in found.cells for cell in row if cell is not None]
    if not values:
        return nothing(look, title, "No trial that matches has a value of this metric yet.")
    rows = [plain(text) for text in distinct_shown(found.rows)]
    columns = [plain(text) for text in distinct_shown(found.columns)]
    few = len(rows) * len(columns) <= _MOST_TEXTS
    trace = {
        "type": "heatmap",
        "z": [[None if cell is None else cell.value for cell in row] for row in found.cells],
        "x": columns,
        "y": rows,
        "text": [[_text(cell) for cell in row] for row in found.cells],
        "customdata": [[_hover(cell) for cell in row] for row in found.cells],
        "colorscale": SCALE,
        "xgap": 2,
        "ygap": 2,
        "hoverongaps": False,
        "hovertemplate": f"{plain(_short(found.row_field))}: %{{y}}<br>"
        f"{plain(_short(found.column_field))}: %{{x}}<br>%{{customdata}}<extra></extra>",
        "colorbar": colour_bar(look, _value_name(found)),
        "zmin": 0 if found.aggregate == "share" else min(values),
        "zmax": 1 if found.aggregate == "share" else max(values),
    }
    if few:
        trace["texttemplate"] = "%{text}"
        trace["textfont"] = {"size": 12 if len(columns) <= 14 else 10}
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
    return {
        "data": [trace],
        "layout": layout(look, title, subtitle=_subtitle(found), changes=changes),
    }


def pivot_title(found: Pivot) -> str:
    """What the pivot shows, by what."""
    by = f"by {_short(found.row_field)} and {_short(found.column_field)}"
    if found.aggregate == "count":
        return f"Trials {by}"
    if found.aggregate == "share":
        return f"Share of trials with {found.metric} at {number(found.threshold or 0)} or better"
    names = {"max": "Highest", "min": "Lowest", "mean": "Mean", "median": "Median"}
    return f"{names[found.aggregate]} {found.metric} {by}"


def _subtitle(found: Pivot) -> str:
    if found.aggregate == "count":
        return ""
    unit = "assignments, replicates averaged" if found.replicates == "mean" else "trials"
    total = sum(cell.count for row in found.cells for cell in row if cell is not None)
    return f"{total:,} {unit}"


def _value_name(found: Pivot) -> str:
    return {"count": "trials", "share": "share"}.get(found.aggregate, found.metric)


def _short(field: str) -> str:
    return field.removeprefix("parameters.")


def _text(cell: Cell | None) -> str:
    return "" if cell is None else number(cell.value)


def _hover(cell: Cell | None) -> str:
    if cell is None:
        return ""
    shown = f"<b>{cell.value:.5g}</b>"
    if cell.low is not None and cell.high is not None:
        shown += f" (95%: {cell.low:.4g} to {cell.high:.4g})"
    return f"{shown}, n = {cell.count:,}"
