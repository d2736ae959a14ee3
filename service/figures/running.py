"""When and where trials trained, and for how long."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from service.figures.style import (
    SERIES,
    WITH_LEGEND,
    Look,
    axis,
    layout,
    log_axis,
    nothing,
    number,
    plain,
    spread,
)
from sweep.analysis import TrialSpan
from sweep.states import FINAL_TRIAL_STATES, TrialState

_MOST_NODES = 7
_MOST_MOMENTS = 500
_BINS = 30
_SHORTEST = timedelta(microseconds=1)
_UNITS = ((1.0, "seconds"), (60.0, "minutes"), (3600.0, "hours"), (86400.0, "days"))
_PLACES = {
    TrialState.COMPLETED: 0,
    TrialState.STOPPED: 1,
    TrialState.DIVERGED: 3,
    TrialState.FAILED: 5,
    TrialState.CANCELLED: 7,
}
"""Each state's place among the colours."""


def resources_figure(spans: Iterable[TrialSpan], *, now: datetime, look: Look) -> dict[str, Any]:
    """How many trials trained on each node, over time; nodes stacked."""
    title = "Trials running on each node"
    found = list(spans)
    if not found:
        return nothing(look, title, "No trial has begun yet.")
    begin = min(span.started_at for span in found)
    end = max(_end(span, now) for span in found)
    busiest = Counter(span.node for span in found).most_common()
    names = [node for node, _ in busiest[:_MOST_NODES]]
    if len(busiest) == _MOST_NODES + 1:
        names.append(busiest[-1][0])
    groups: dict[str, list[TrialSpan]] = {}
    for span in found:
        label = _node(span.node) if span.node in names else "other nodes"
        groups.setdefault(label, []).append(span)
    step = max((end - begin).total_seconds() / _MOST_MOMENTS, 1e-6)
    unit, unit_name = _unit((end - begin).total_seconds())
    moments = [begin.timestamp() + i * step for i in range(_MOST_MOMENTS + 1)]
    traces = []
    for i, (label, mine) in enumerate(sorted(groups.items(), key=_last_others)):
        colour = look.series[min(i, len(SERIES) - 1)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plain(label),
                "stackgroup": "nodes",
                "x": [(moment - begin.timestamp()) / unit for moment in moments],
                "y": _running(mine, moments, now),
                "line": {"width": 1, "color": colour, "shape": "hv"},
                "hovertemplate": f"{plain(label)}: %{{y}} trials<extra></extra>",
            }
        )
    changes = {
        **WITH_LEGEND,
        "xaxis": axis(look, f"{unit_name} since the first trial began", {"showgrid": False}),
        "yaxis": axis(look, "trials running", {"rangemode": "tozero"}),
        "hovermode": "x unified",
    }
    count = f"{len(busiest)} node{'s' if len(busiest) > 1 else ''}"
    subtitle = f"{count}, from {begin:%Y-%m-%d %H:%M} UTC"
    return {"data": traces, "layout": layout(look, title, subtitle=subtitle, changes=changes)}


def duration_figure(spans: Iterable[TrialSpan], *, look: Look) -> dict[str, Any]:
    """How long trials took, from their first start to their end, by how they ended."""
    title = "How long trials took"
    by_state: dict[TrialState, list[float]] = {}
    for span in spans:
        if span.ended_at is not None and span.state in FINAL_TRIAL_STATES:
            seconds = (span.ended_at - span.started_at).total_seconds()
            by_state.setdefault(span.state, []).append(max(seconds, 0.0))
    every = sorted(value for values in by_state.values() for value in values)
    if not every:
        return nothing(look, title, "No trial has ended yet.")
    unit, unit_name = _unit(every[len(every) // 2])
    log = spread(every, ratio=100)
    edges = _edges([value / unit for value in every], log=log)
    texts = [f"{number(a)} – {number(b)}" for a, b in itertools.pairwise(edges)]
    centres = [math.sqrt(a * b) if log else (a + b) / 2 for a, b in itertools.pairwise(edges)]
    traces = [
        {
            "type": "bar",
            "name": state.value,
            "x": centres,
            "y": _counted([value / unit for value in by_state[state]], edges),
            "width": [(b - a) * 0.94 for a, b in itertools.pairwise(edges)],
            "text": texts,
            "textposition": "none",
            "marker": {"color": look.series[_PLACES[state]], "line": {"width": 0}},
            "hovertemplate": f"%{{text}} {unit_name}: %{{y:,}} {state.value}<extra></extra>",
        }
        for state in _PLACES
        if state in by_state
    ]
    median = every[len(every) // 2] / unit
    changes = {
        **WITH_LEGEND,
        "barmode": "stack",
        "xaxis": axis(look, unit_name, {**(log_axis(edges) if log else {}), "showgrid": False}),
        "yaxis": axis(look, "trials"),
    }
    subtitle = f"{len(every):,} trials; half took {number(median)} {unit_name} or less"
    return {"data": traces, "layout": layout(look, title, subtitle=subtitle, changes=changes)}


def _end(span: TrialSpan, now: datetime) -> datetime:
    """A trial that waits to go on has no end, and counts as running until it has one."""
    return max(span.ended_at or now, span.started_at + _SHORTEST)


def _node(node: str | None) -> str:
    return node or "unknown node"


def _last_others(item: tuple[str, list[TrialSpan]]) -> tuple[bool, str]:
    return item[0] == "other nodes", item[0]


def _unit(seconds: float) -> tuple[float, str]:
    """The largest unit of which there are two."""
    return next((unit for unit in reversed(_UNITS) if seconds >= 2 * unit[0]), _UNITS[0])


def _running(spans: Sequence[TrialSpan], moments: Sequence[float], now: datetime) -> list[int]:
    """The most trials that ran at once between each moment and the next."""
    events = [(span.started_at.timestamp(), 1) for span in spans]
    events += [(_end(span, now).timestamp(), -1) for span in spans]
    events.sort()
    counts, running, place = [], 0, 0
    for until in [*moments[1:], math.inf]:
        most = running
        while place < len(events) and events[place][0] < until:
            running += events[place][1]
            most = max(most, running)
            place += 1
        counts.append(most)
    return counts


def _edges(values: Sequence[float], *, log: bool) -> list[float]:
    """The borders of the bins over ascending values."""
    low, high = values[0], values[-1]
    if log:
        ratio = (high / low) ** (1 / _BINS)
        return [low * ratio**i for i in range(_BINS)] + [high]
    width = (high - low) / _BINS or max(abs(low), 1.0) / _BINS
    return [low + width * i for i in range(_BINS + 1)]


def _counted(values: Iterable[float], edges: Sequence[float]) -> list[int]:
    from bisect import bisect_right

    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(max(bisect_right(edges, value) - 1, 0), len(counts) - 1)] += 1
    return counts
