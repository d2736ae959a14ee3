"""Multitask reinforcement learning: claims and figures."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from studies import path_of
from studies.drawing import COLOURS, Line, draw_lines, panels
from studies.statistics import Mean, mean_of
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


def by_level(results: "Results") -> "pandas.DataFrame":
    """The last score of each level: rows by (level, replicate), a column a kind of heads."""
    trials = results.trials
    if trials.empty:
        return trials
    names = [name for name in trials.columns if name.startswith("last.score_")]
    long = trials.melt(["heads", "replicate"], names, "level", "score").dropna()
    return long.pivot_table(index=["level", "replicate"], columns="heads", values="score")


def _gap(results: "Results", first: str, second: str) -> Mean | None:
    scores = by_level(results)
    if scores.empty or not {first, second} <= set(scores.columns):
        return None
    gaps = (scores[first] - scores[second]).dropna()
    return mean_of(gaps) if len(gaps) > 1 else None


def _beats(first: str, second: str) -> "Callable[[Results], Finding | None]":
    def rule(results: "Results") -> Finding | None:
        gap = _gap(results, first, second)
        if gap is None:
            return None
        scores = by_level(results).mean()
        text = f"{scores[first]:.1f} against {scores[second]:.1f}: above by {gap}"
        return Finding(gap.low > 0, text)

    return rule


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
    figure, axes = panels(len(drawn), width=4.6, height=4.2)
    for one, (heads, points) in zip(axes, drawn, strict=True):
        for i, (level, moments) in enumerate(points.items()):
            latest = max(t for _, _, t in moments) or 1
            colour = COLOURS[i % len(COLOURS)]
            one.scatter(
                [x for x, _, _ in moments],
                [y for _, y, _ in moments],
                s=22,
                color=[(colour, 0.3 + 0.7 * t / latest) for _, _, t in moments],
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
    scores = by_level(results)
    if scores.empty:
        return None
    heads = [name for name in _HEADS if name in scores.columns]
    means = scores[heads].groupby("level").mean()
    rows = [
        [level.removeprefix("last.score_").replace("_", "-"), *(f"{v:.1f}" for v in row)]
        for level, row in zip(means.index, means.to_numpy(), strict=True)
    ]
    rows.append(["**mean**", *(f"**{v:.1f}**" for v in means.mean())])
    return [row + ["–"] * (len(_HEADS) - len(heads)) for row in rows]


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
        "quick": "**MiniGrid in place of DMLab-30**: 5 small levels, 3 agents of each kind, and "
        "fewer than a ten-thousandth of the published 10 billion frames; one learning rate in "
        "place of population based training.",
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
                rule_text="the 95% interval of the mean difference of scores, paired by level and "
                "replicate, lies above 0",
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
            rule_text="paired as above, M with a learnt context lies above shared heads, and the "
            "interval of its difference to M with the task id reaches 0 or more",
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
