"""How the studies draw: figures of one size and one set of colours, with no global state.

matplotlib's `Figure` is used by itself, without pyplot, so that drawing leaves nothing
behind. It is imported when something is drawn, never with this module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0b6e99", "#c2491d", "#3f7d3a", "#7a4fa3", "#8a6d00", "#b0306a", "#4a5568")
"""Told apart by people with any colour vision, and dark enough on white."""


@dataclass(frozen=True)
class Line:
    """One line: where, how high, and the band around it."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    style: str = "-"
    marker: str = ""
    colour: str | None = None


def panels(count: int, *, width: float = 4.2, height: float = 3.4) -> "tuple[Figure, list[Axes]]":
    """A figure with some axes side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(width * count, 5.6), height), layout="constrained")
    axes = [figure.add_subplot(1, count, i + 1) for i in range(count)]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(visible=True, color="#e6e8ee", linewidth=0.8)
        one.set_axisbelow(True)
    return figure, axes


def draw_lines(
    axes: "Axes",
    lines: Sequence[Line],
    *,
    x: str,
    y: str,
    title: str = "",
    log: Literal["", "y", "xy"] = "",
) -> None:
    """Draw lines with their bands and name the axes; those of `log` in logarithms."""
    for i, line in enumerate(lines):
        colour = line.colour or COLOURS[i % len(COLOURS)]
        axes.plot(
            line.x,
            line.y,
            line.style,
            marker=line.marker or None,
            markersize=4,
            linewidth=1.6,
            color=colour,
            label=line.label,
        )
        if line.low is not None and line.high is not None:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.18, linewidth=0)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title, fontsize=11)
    if any(len(line.x) for line in lines):  # without points a logarithm has no limits
        axes.set(**{f"{axis}scale": "log" for axis in log})
    if lines:
        axes.legend(fontsize=8, frameon=False)


def mean_curve(curves: "pandas.DataFrame", label: str, colour: str) -> Line:
    """The mean of some trials' curves at each step, the band its standard error.

    Args:
        curves: with `at` and `value`, a row a report.
        label: of the line.
        colour: of the line.
    """
    found = curves.groupby("at")["value"].agg(["mean", "sem"]).reset_index()
    low, high = found["mean"] - found["sem"], found["mean"] + found["sem"]
    return Line(label, list(found["at"]), list(found["mean"]), list(low), list(high), colour=colour)


def draw_heatmap(
    values: Mapping[str, Mapping[str, float]], *, title: str, low: float, high: float
) -> "Figure":
    """Rows by columns of numbers, each written into its cell; a missing one is left white."""
    rows = list(values)
    columns = list(dict.fromkeys(name for row in values.values() for name in row))
    figure, (axes,) = panels(
        1, width=1.6 + 0.62 * len(columns), height=1.4 + 0.3 * max(len(rows), 4)
    )
    table = [[values[row].get(column, float("nan")) for column in columns] for row in rows]
    image = axes.imshow(table, cmap="viridis", vmin=low, vmax=high, aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(len(columns)), columns, rotation=55, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    for i, row in enumerate(table):
        for j, value in enumerate(row):
            if value == value:
                ink = "white" if value < (low + high) / 2 else "black"
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=ink)
    axes.set_title(title, fontsize=11)
    figure.colorbar(image, ax=axes, shrink=0.8)
    return figure
