"""A scale of colours for a parameter that has too many numbers to name each."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.figures.style import SCALE, Look, Trace, colour_bar, log_ticks, number, spread

_STOPS = (
    *((68, 1, 84), (72, 40, 120), (62, 73, 137), (49, 104, 142), (38, 130, 142)),
    *((31, 158, 137), (53, 183, 121), (110, 206, 88), (181, 222, 43), (253, 231, 37)),
)
"""Viridis, evenly spaced: red, green and blue, as plotly's scale of that name has them."""


@dataclass(frozen=True)
class NumberScale:
    """The colours from a least to a greatest number; logarithmic where they spread far."""

    low: float
    high: float
    log: bool

    @classmethod
    def over(cls, values: Iterable[Any], *, least: int) -> "NumberScale | None":
        """The scale over at least so many different numbers, beside values that are absent."""
        there = {value for value in values if value is not None}
        numbers = [v for v in there if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) < max(2, least) or len(numbers) < len(there):
            return None
        return cls(min(numbers), max(numbers), spread(numbers))

    def colour(self, value: float) -> str:
        """The colour of a number between the ends."""
        low, high = self._place(self.low), self._place(self.high)
        at = (self._place(value) - low) / (high - low) * (len(_STOPS) - 1)
        first = min(int(at), len(_STOPS) - 2)
        share = at - first
        parts = (
            round(a + (b - a) * share)
            for a, b in zip(_STOPS[first], _STOPS[first + 1], strict=True)
        )
        return f"rgb({', '.join(map(str, parts))})"

    def bar(self, look: Look, title: str) -> Trace:
        """A trace without points that shows what the colours stand for."""
        ends = [self._place(self.low), self._place(self.high)]
        bar = colour_bar(look, title)
        if self.log:
            ticks = log_ticks(self.low, self.high)
            bar["tickvals"] = [math.log10(tick) for tick in ticks]
            bar["ticktext"] = [number(tick) for tick in ticks]
        return {
            "type": "scatter",
            "mode": "markers",
            "x": [None],
            "y": [None],
            "hoverinfo": "skip",
            "showlegend": False,
            "marker": {
                "color": [ends[0]],
                "cmin": ends[0],
                "cmax": ends[1],
                "colorscale": SCALE,
                "showscale": True,
                "colorbar": bar,
            },
        }

    def _place(self, value: float) -> float:
        return math.log10(value) if self.log else value
