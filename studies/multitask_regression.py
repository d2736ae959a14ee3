"""One network for many one-dimensional tasks: claims and figures."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from studies import path_of
from studies.drawing import COLOURS, Line, draw_lines, mean_curve, panels
from studies.statistics import Mean, change_of_difference, difference_of, mean_of
from sweep.study import Claim, Figure, Finding, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from sweep.study.results import Results

_SOURCE = "ICLR 2020, section 6 and figure 3"
_MODELS = {"mlp": "conditional MLP", "multihead": "multi-head MLP", "mi": "multiplicative"}
_OTHERS = ("mlp", "multihead")


_TRIED = (
    "Half as many steps, too. At a constant rate the error of one repeat goes up and down by more "
    "than the models differ, and repeats have different tasks, so that 20 of them leave a wide "
    "interval."
)


def _last(results: "Results", model: str, tasks: int) -> list[float]:
    trials = results.trials
    if trials.empty:
        return []
    part = trials[(trials["model"] == model) & (trials["tasks"] == tasks)]
    return list(part["last.log_mse"].dropna())


def _gap(results: "Results", other: str, tasks: int) -> Mean | None:
    """By how much the other model's log MSE is above the multiplicative one's."""
    ours, theirs = _last(results, "mi", tasks), _last(results, other, tasks)
    return None if min(len(ours), len(theirs)) < 2 else difference_of(theirs, ours)


def _all_tasks(results: "Results") -> list[int]:
    return [] if results.trials.empty else sorted(results.trials["tasks"].unique())


def _learns_better(tasks: int) -> "Callable[[Results], Finding | None]":
    def rule(results: "Results") -> Finding | None:
        gaps = {other: _gap(results, other, tasks) for other in _OTHERS}
        found = {other: gap for other, gap in gaps.items() if gap is not None}
        if len(found) < len(_OTHERS):
            return None
        text = "; ".join(f"{_MODELS[other]} above by {gap}" for other, gap in found.items())
        return Finding(all(gap.low > 0 for gap in found.values()), text)

    return rule


def _grows(results: "Results") -> Finding | None:
    counts = _all_tasks(results)
    if len(counts) < 2:
        return None
    parts, holds = [], True
    for other in _OTHERS:
        pairs = [(_last(results, other, t), _last(results, "mi", t)) for t in counts]
        if min(len(sample) for pair in pairs for sample in pair) < 2:
            return None
        grown = change_of_difference(pairs[0], pairs[-1])
        holds &= grown.low > 0
        shown = ", ".join(f"{difference_of(*pair).value:.2f}" for pair in pairs)
        parts.append(f"over {_MODELS[other]} {shown}, grown by {grown}")
    return Finding(holds, f"gap at T = {', '.join(map(str, counts))}: {'; '.join(parts)}")


def _task_id_does_not_help(results: "Results") -> Finding | None:
    pairs = {
        tasks: (_last(results, "mlp", tasks), _last(results, "multihead", tasks))
        for tasks in _all_tasks(results)
    }
    if not pairs or min(len(sample) for pair in pairs.values() for sample in pair) < 2:
        return None
    gaps = {tasks: difference_of(*pair) for tasks, pair in pairs.items()}
    text = "; ".join(f"T = {tasks}: {gap}" for tasks, gap in gaps.items())
    return Finding(
        all(gap.low <= 0 <= gap.high for gap in gaps.values()),
        f"conditional above multi-head MLP by {text}",
    )


def _draw_curves(results: "Results") -> "Drawing | None":
    counts = _all_tasks(results)
    if not counts:
        return None
    curves = results.curves("log_mse")
    figure, axes = panels(len(counts))
    for one, tasks in zip(axes, counts, strict=True):
        part = curves[curves["tasks"] == tasks]
        lines = [
            mean_curve(part[part["model"] == model], label, COLOURS[i])
            for i, (model, label) in enumerate(_MODELS.items())
        ]
        draw_lines(one, lines, x="steps", y="ln MSE", title=f"{tasks} tasks")
    return figure


def _draw_gap(results: "Results") -> "Drawing | None":
    counts = _all_tasks(results)
    if not counts:
        return None
    lines = []
    for other in _OTHERS:
        gaps = [(tasks, _gap(results, other, tasks)) for tasks in counts]
        kept = [(tasks, gap) for tasks, gap in gaps if gap is not None]
        lines.append(
            Line(
                f"{_MODELS[other]} − multiplicative",
                [tasks for tasks, _ in kept],
                [gap.value for _, gap in kept],
                [gap.low for _, gap in kept],
                [gap.high for _, gap in kept],
                marker="o",
            )
        )
    figure, (axes,) = panels(1, width=6)
    draw_lines(axes, lines, x="tasks", y="difference of ln MSE at the end")
    axes.axhline(0, color="#888888", linewidth=0.8)
    return figure


def _final(results: "Results") -> Finding | None:
    """The mean log MSE of the multiplicative model is the lowest at every T."""
    counts = _all_tasks(results)
    rows = [(t, {m: _last(results, m, t) for m in _MODELS}) for t in counts]
    if not rows or any(not values for _, row in rows for values in row.values()):
        return None
    means = [(t, {m: mean_of(values) for m, values in row.items()}) for t, row in rows]
    text = "; ".join(
        f"T = {t}: " + ", ".join(f"{_MODELS[m]} {mean}" for m, mean in row.items())
        for t, row in means
    )
    return Finding(all(min(row, key=lambda m: row[m].value) == "mi" for _, row in means), text)


STUDY = Study(
    name="multitask-regression",
    title="One network for many one-dimensional tasks",
    source="S. M. Jayakumar et al., Multiplicative Interactions and Where to Find Them (ICLR "
    "2020), section 6, figure 3 and appendix D",
    about=(
        "T tasks, half of them a·x + b, half a·sin(10x) + b, a and b uniform in [0, 1) and drawn "
        "anew for each repeat; x uniform in [-1, 1) (the paper does not say). Models as in "
        "appendix D. Adam at 0.003, mean squared error, 50 fresh points of each task a step. The "
        "repeats of one model and T train as one pack."
    ),
    specs={
        "quick": (path_of("multitask-regression-quick"),),
        "full": (path_of("multitask-regression"),),
    },
    labels={"quick": "20 repeats of the published 60."},
    claims=(
        Claim(
            statement="The multiplicative model reaches the lowest error at every T",
            source=_SOURCE,
            published="a plot",
            rule=_final,
            rule_text="its mean ln MSE at the end is the lowest at every T",
        ),
        *(
            Claim(
                statement=f"It learns {tasks} tasks better than both others",
                source=_SOURCE,
                published="a plot",
                rule=_learns_better(tasks),
                rule_text="the 95% interval of the difference of mean ln MSE lies above 0",
                tried=_TRIED,
            )
            for tasks in (20, 40, 60)
        ),
        Claim(
            statement="The gain grows with the number of tasks",
            source=_SOURCE,
            published="'more pronounced as we increase the number of tasks'",
            rule=_grows,
            tried=_TRIED,
            rule_text="against both others the 95% interval of the change of the difference of "
            "mean ln MSE, from the smallest T to the largest, lies above 0",
        ),
        Claim(
            statement="Neither several heads nor the task's id help the MLP to do any better",
            source=_SOURCE,
            published="'neither is able to use task information to do any better'",
            rule=_task_id_does_not_help,
            rule_text="the 95% interval of the difference between the two holds 0 at every T",
        ),
    ),
    figures=(
        Figure(
            "curves",
            "Learning curves",
            "Mean of ln MSE over repeats; the band is the standard error.",
            _draw_curves,
        ),
        Figure("gap", "Gap against the number of tasks", "With 95% intervals.", _draw_gap),
    ),
)
