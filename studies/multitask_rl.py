"""Multitask reinforcement learning: claims and figures."""

import re
from collections.abc import Callable
from math import isnan
from typing import TYPE_CHECKING

from studies import path_of
from studies.comparing import above
from studies.drawing import COLOURS, Line, draw_lines, panels
from studies.statistics import Mean, difference_of
from sweep.study import Claim, Figure, Finding, Study, Table

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure as Drawing

    from sweep.study.results import Results

_SOURCE = "ICLR 2020, section 6.1 and figure 4"
_HEADS = {
    "shared": "shared",
    "multihead": "a head a level (task id)",
    "m_task": "M(h, c), c from the task id",
    "m_context": "M(h, c), learnt context",
}


_TRIED = (
    "In the quick size every kind of heads solves three of the five levels and leaves the same two "
    "behind: there is little for heads of their own to keep apart. Tried too, with one agent each: "
    "an entropy cost of 0.003, twice the learning rate with twice the environments, four updates "
    "an unroll; none was better over all levels. It takes more levels and more frames than two "
    "cores play in half an hour."
)


def agents(results: "Results") -> "pandas.DataFrame":
    """The agents that trained to the end; those that were stopped early on the way are none."""
    trials = results.trials
    return trials if trials.empty else trials[trials["state"] == "completed"]


def _scores(results: "Results", heads: str) -> list[float]:
    """Each agent's last score, its mean over levels.

    An agent is one sample: its levels share its weights, so they are not independent.
    """
    found = agents(results)
    return [] if found.empty else list(found[found["heads"] == heads]["last.score"].dropna())


def _gap(results: "Results", first: str, second: str) -> Mean | None:
    ours, theirs = _scores(results, first), _scores(results, second)
    return None if min(len(ours), len(theirs)) < 2 else difference_of(ours, theirs)


def _beats(first: str, second: str) -> "Callable[[Results], Finding | None]":
    return lambda results: above(_scores(results, first), _scores(results, second))


def _needs_no_id(results: "Results") -> Finding | None:
    over_shared = _gap(results, "m_context", "shared")
    against = _gap(results, "m_context", "m_task")
    if over_shared is None or against is None:
        return None
    text = f"above shared by {over_shared}; against M with the task id {against}"
    return Finding(over_shared.low > 0 and against.high >= 0, text)


def _draw_scores(results: "Results") -> "Drawing | None":
    if results.trials.empty:
        return None
    curves, frames = results.curves("score"), results.curves("frames")
    both = curves.merge(frames[["id", "at", "value"]], on=["id", "at"], suffixes=("", "_frames"))
    lines = []
    for i, (heads, label) in enumerate(_HEADS.items()):
        part = both[both["heads"] == heads].groupby("at")
        at = part["value"].agg(["mean", "sem"]).fillna(0)
        x = list(part["value_frames"].mean())
        low, high = at["mean"] - at["sem"], at["mean"] + at["sem"]
        lines.append(Line(label, x, list(at["mean"]), list(low), list(high), colour=COLOURS[i]))
    figure, (axes,) = panels(1, width=6.4)
    draw_lines(axes, lines, x="frames, all levels", y="share of the reachable return, %")
    return figure


def _draw_map(results: "Results") -> "Drawing | None":
    drawn = [
        (heads, points)
        for heads in ("m_task", "m_context")
        if (points := _map_points(results, heads))
    ]
    if not drawn:
        return None
    from matplotlib.colors import to_rgba

    figure, axes = panels(len(drawn), width=4.6, height=4.2)
    for one, (heads, points) in zip(axes, drawn, strict=True):
        for i, (level, moments) in enumerate(points.items()):
            latest = max(t for _, _, t in moments) or 1
            colour = COLOURS[i % len(COLOURS)]
            one.scatter(
                [x for x, _, _ in moments],
                [y for _, y, _ in moments],
                s=22,
                color=[to_rgba(colour, 0.3 + 0.7 * t / latest) for _, _, t in moments],
                label=level.replace("_", "-"),
            )
        one.set_title(_HEADS[heads], fontsize=11)
        one.set_xticks([])
        one.set_yticks([])
        one.legend(fontsize=7, frameon=False)
    return figure


def _map_points(results: "Results", heads: str) -> dict[str, list[tuple[float, float, float]]]:
    """The map of the first agent with these heads: (x, y, step of the episode) by level."""
    trials = results.trials
    if trials.empty or not (trials["heads"] == heads).any():
        return {}
    trial = trials[trials["heads"] == heads].iloc[0].dropna()
    points: dict[str, list[tuple[float, float, float]]] = {}
    for name in trial.index:
        if found := re.fullmatch(r"last\.tsne_(.+)_(\d+)_x", name):
            stem = name.removesuffix("_x")
            moment = (trial[name], trial[f"{stem}_y"], trial[f"{stem}_t"])
            points.setdefault(found.group(1), []).append(moment)
    return points


def _rows(results: "Results") -> "list[list[str]] | None":
    found = agents(results)
    if found.empty:
        return None
    names = [name for name in found.columns if name.startswith("last.score_")]
    means = found.groupby("heads")[[*names, "last.score"]].mean().reindex(_HEADS)
    rows = [[_level(name), *map(_share, means[name])] for name in names]
    curves = results.curves("score")
    over_training = curves.groupby("heads")["value"].mean().reindex(_HEADS)
    return [
        *rows,
        ["**mean**", *(f"**{_share(v)}**" for v in means["last.score"])],
        ["mean over levels and training", *map(_share, over_training)],
    ]


def _level(name: str) -> str:
    return name.removeprefix("last.score_").replace("_", "-")


def _share(score: float) -> str:
    return "–" if isnan(score) else f"{score:.1f}"


STUDY = Study(
    name="multitask-rl",
    title="One agent on many levels",
    source="S. M. Jayakumar et al., Multiplicative Interactions and Where to Find Them (ICLR "
    "2020), section 6.1, figure 4 and appendix E",
    about=(
        "An actor-critic with V-trace (IMPALA) learns several levels at once. What differs is how "
        "policy and value are read from the LSTM's state h: one linear layer for all levels; one a "
        "level, chosen by the level's number; a multiplicative layer M(h, c) whose context comes "
        "from that number; the same with a context learnt from h itself. Scores are shares of the "
        "return that a shortest solution reaches, not of a human's."
    ),
    specs={"quick": (path_of("multitask-rl-quick"),), "full": (path_of("multitask-rl"),)},
    labels={
        "quick": "**MiniGrid in place of DMLab-30**: 5 small levels, 3 agents of each kind, "
        "1.2 million frames of the published 10 billion; one learning rate in place of population "
        "based training.",
        "full": "**MiniGrid in place of DMLab-30**; rates drawn at random in place of population "
        "based training.",
    },
    claims=(
        *(
            Claim(
                statement=statement,
                source=_SOURCE,
                published=published,
                rule=_beats(first, second),
                tried=_TRIED,
                rule_text="the 95% interval of the difference of mean scores lies above 0; an "
                "agent's mean over levels is one sample",
            )
            for statement, first, second, published in (
                ("A head a level beats shared heads", "multihead", "shared", "a plot"),
                (
                    "Multiplicative heads with the task id beat a head a level",
                    "m_task",
                    "multihead",
                    "a plot; 73% at the end",
                ),
            )
        ),
        Claim(
            statement="A learnt context needs no task id",
            source=_SOURCE,
            published="'similar or greater performance gains'",
            rule=_needs_no_id,
            tried=_TRIED,
            rule_text="by the same interval M with a learnt context lies above shared heads, and "
            "that of its difference to M with the task id reaches 0 or more",
        ),
    ),
    figures=(
        Figure(
            "score",
            "Score against frames",
            "Mean over agents, the band is the standard error.",
            _draw_scores,
        ),
        Figure(
            "weights",
            "t-SNE of the generated weights",
            "One dot a moment of an episode, coloured by level, fainter at its beginning; the "
            "first agent of each kind.",
            _draw_map,
        ),
    ),
    tables=(Table("Last score by level", ("level", *_HEADS.values()), _rows),),
)
