"""What all figures share: colours, fonts, axes, texts."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from typing import Any, Literal

from service.analysis.labels import distinct_shown
from service.store.analysis import Label

Theme = Literal["light", "dark"]
Axis = dict[str, Any]
Trace = dict[str, Any]

SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D00", "#7F7F7F")
"""Okabe and Ito's colours, told apart with any colour vision; their yellow and black, which
one of the themes swallows, are an ochre and a grey here."""

_ON_DARK = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#B8963A", "#9A9A9A")

SCALE = "Viridis"

_MAX_TEXT = 60


@dataclass(frozen=True)
class Look:
    """How a figure is shown; without a size it fills its place on the page."""

    theme: Theme = "light"
    width: int | None = None
    height: int | None = None

    @property
    def ink(self) -> str:
        """Text."""
        return "#1c2430" if self.theme == "light" else "#e6eaf0"

    @property
    def soft(self) -> str:
        """Text and lines that stand back."""
        return "#586374" if self.theme == "light" else "#a7b1c0"

    @property
    def line(self) -> str:
        """Grid lines."""
        return "#e3e8ef" if self.theme == "light" else "#2b3440"

    @property
    def paper(self) -> str:
        """The page behind the figure."""
        return "#ffffff" if self.theme == "light" else "#12161c"

    @property
    def series(self) -> tuple[str, ...]:
        """Colours of series, those first that stand out most."""
        return SERIES if self.theme == "light" else _ON_DARK

    @property
    def accent(self) -> str:
        """What is to be seen first."""
        return "#D55E00" if self.theme == "light" else "#FF8A3D"


def plain(text: object) -> str:
    """A text that plotly shows as it is, cut where it is very long."""
    cut = shortened(str(text), _MAX_TEXT)
    return escape(cut, quote=False).replace("%{", "%&#123;")  # else read as a template's field


def shortened(text: str, most: int) -> str:
    """A text of so many characters at most, cut where it is longer."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def distinct_labels(labels: Sequence[Label], write: Callable[[str], str] = plain) -> list[str]:
    """Labels as texts that all differ, in their order, each as `write` shows it."""
    return plain_distinct(distinct_shown(labels), write)


def plain_distinct(texts: Sequence[str], write: Callable[[str], str] = plain) -> list[str]:
    """Texts as `write` shows them, in their order; those that are the same then get a number.

    Plotly takes two categories of the same name for one.
    """
    cut = [write(text) for text in texts]
    counts = Counter(cut)
    taken = set(cut)
    made = []
    for text in cut:
        if counts[text] > 1:
            numbered = (f"{text} ({place})" for place in count(1))
            text = next(one for one in numbered if one not in taken)
            taken.add(text)
        made.append(text)
    return made


def number(value: float) -> str:
    """A number as people read it: three or four digits that count."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def amount(value: float) -> str:
    """A large count, short: 12.3M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{value:,.0f}"


def axis(look: Look, title: str, changes: Mapping[str, Any] | None = None) -> Axis:
    """An axis with its title, its grid standing back.

    Exponents are plain text: raised ones are made by a style that the page's policy refuses.
    """
    return {
        "title": {
            "text": plain(title),
            "font": {"size": 13, "color": look.soft},
            "standoff": 12,
        },
        "automargin": True,
        "exponentformat": "e",
        "gridcolor": look.line,
        "linecolor": look.line,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": look.line,
        "tickfont": {"size": 12},
        **(changes or {}),
    }


def log_axis(values: Iterable[float]) -> dict[str, Any]:
    """A logarithmic axis with a number at each power of ten, where there are several."""
    found = [value for value in values if value > 0]
    decades = math.log10(max(found) / min(found)) if found else 0
    every = {"dtick": max(1, round(decades / 6))} if decades > 1 else {}
    return {"type": "log", "tickformat": "~g", **every}


WITH_LEGEND: Mapping[str, Any] = {
    "showlegend": True,
    "margin": {"l": 16, "r": 24, "t": 112, "b": 16},
}
"""Changes to a layout: a legend in a row of its own under title and subtitle."""


def capital(text: str) -> str:
    """A text with a capital at its start."""
    return text[:1].upper() + text[1:]


def layout(
    look: Look, title: str, *, subtitle: str = "", changes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A layout: a title at the left, room for it, no background of its own."""
    heading: dict[str, Any] = {
        "text": plain(capital(title)),
        "font": {"size": 17, "color": look.ink, "weight": 600},
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 16},
    }
    if subtitle:
        heading["subtitle"] = {"text": subtitle, "font": {"size": 13, "color": look.soft}}
    made: dict[str, Any] = {
        "title": heading,
        "font": {"family": "inherit", "color": look.ink, "size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": list(look.series),
        "margin": {"l": 16, "r": 24, "t": 84 if subtitle else 60, "b": 16},
        "hoverlabel": {
            "bgcolor": look.paper,
            "bordercolor": look.soft,
            "font": {"color": look.ink, "size": 13},
            "align": "left",
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.01,
            "yanchor": "bottom",
            "itemsizing": "constant",
            "font": {"size": 12},
            "bgcolor": "rgba(0,0,0,0)",
        },
        "autosize": look.width is None,
    }
    if look.width is not None:
        made["width"] = look.width
    if look.height is not None:
        made["height"] = look.height
    return {**made, **(changes or {})}


def nothing(look: Look, title: str, reason: str) -> dict[str, Any]:
    """A figure that says why there is nothing to see."""
    note = {
        "text": "<br>".join(_wrapped(reason)),
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "font": {"size": 15, "color": look.soft},
    }
    hidden = {"visible": False}
    made = layout(
        look, title, changes={"annotations": [note], "xaxis": hidden, "yaxis": dict(hidden)}
    )
    return {"data": [], "layout": made}


def colour_bar(look: Look, title: str) -> dict[str, Any]:
    """The bar that explains a colour scale."""
    return {
        "title": {"text": plain(title), "side": "right", "font": {"size": 12}},
        "thickness": 12,
        "outlinewidth": 0,
        "tickfont": {"color": look.ink, "size": 12},
        "len": 0.9,
    }


def log_ticks(low: float, high: float) -> list[float]:
    """The powers of ten from one positive value to another; the ends too when there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / 8))
    powers = [10.0**e for e in range(first, last + 1, every)]
    inside = [value for value in powers if low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9)]
    return inside if len(inside) > 1 else [low, high]


def spread(values: Iterable[float], *, ratio: float = 30) -> bool:
    """Whether values are all above zero and the greatest is so many times the least, or more."""
    found = list(values)
    return bool(found) and min(found) > 0 and max(found) / min(found) >= ratio


def thinned(items: Sequence[Any], most: int) -> Sequence[Any]:
    """Evenly spaced items, at most that many."""
    if len(items) <= most:
        return items
    return [items[i * len(items) // most] for i in range(most)]


def _wrapped(text: str, width: int = 60) -> list[str]:
    import textwrap

    return [escape(line, quote=False) for line in textwrap.wrap(text, width)]
