"""How many parameters simple functions take: claims and figures."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from studies import path_of
from studies.drawing import COLOURS, Line, draw_lines, panels
from studies.statistics import growth_of
from sweep.study import Claim, Figure, Finding, Study

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure as Drawing

    from sweep.study.results import Results

_ENOUGH = 0.1
"""The error at which a function counts as represented."""
_SOURCE = "ICLR 2020, section 3 and figure 2"
_TITLES = {"sum": "summation x + z", "gating": "gating σ(x) ⊙ z", "dot": "dot product xᵀz"}
_MODELS = {"mlp": "MLP", "mi": "multiplicative"}


def needed(results: "Results") -> "pandas.DataFrame":
    """The smallest network of each model that reaches the error, by target and d.

    Returns:
        target, model, dimension, `needed` (its parameters) and `used` (those left after
        pruning); no row where no size was enough. Each size counts with its best learning
        rate and its best replicate.
    """
    trials = results.trials
    if trials.empty:
        return trials
    trials = trials[trials["last.loss"].notna()]
    by = ["target", "model", "dimension"]
    best = trials.loc[trials.groupby([*by, "size"])["last.loss"].idxmin()]
    reached = best[best["last.loss"] <= _ENOUGH].sort_values("last.parameters")
    smallest = reached.drop_duplicates(by).sort_values(by)
    named = {"last.parameters": "needed", "last.parameters_used": "used"}
    return smallest.rename(columns=named)[[*by, *named.values()]].reset_index(drop=True)


def _points(
    found: "pandas.DataFrame", target: str, model: str, count: str = "needed"
) -> "tuple[list[float], list[float]]":
    if found.empty:
        return [], []
    part = found[(found["target"] == target) & (found["model"] == model)]
    return list(part["dimension"]), list(part[count])


def _grows(
    target: str, model: str, *, exponentially: bool
) -> "Callable[[Results], Finding | None]":
    def rule(results: "Results") -> Finding | None:
        d, y = _points(needed(results), target, model)
        if len(d) < 4:
            return None
        growth = growth_of(d, y)
        text = f"{_range(d, y)}{_missed(results, target, model, d)}; {growth}"
        return Finding(growth.is_exponential is exponentially, text)

    return rule


def _range(d: list[float], y: list[float]) -> str:
    return f"{y[0]:,.0f} parameters at d = {d[0]:g}, {y[-1]:,.0f} at d = {d[-1]:g}"


def _missed(results: "Results", target: str, model: str, reached: list[float]) -> str:
    """The dimensions at which no size was enough, which no fit can know of."""
    trials = results.trials
    ran = trials[(trials["target"] == target) & (trials["model"] == model)]["dimension"].unique()
    missed = ", ".join(f"{d:g}" for d in sorted(set(ran) - set(reached)))
    return f", no size enough at d = {missed}" if missed else ""


def _sum_is_easier(results: "Results") -> Finding | None:
    found = needed(results)
    (d, mlp), (other, mi) = _points(found, "sum", "mlp"), _points(found, "sum", "mi")
    largest = max(set(d) & set(other), default=None)
    if largest is None:
        return None
    ours, theirs = mlp[d.index(largest)], mi[other.index(largest)]
    text = f"at d = {largest:g}: MLP {ours:,.0f} parameters, multiplicative {theirs:,.0f}"
    return Finding(ours < theirs, text)


def _pruning_shrinks(results: "Results") -> Finding | None:
    parts = []
    holds = True
    for target in ("sum", "dot"):
        d, all_of = _points(needed(results), target, "mi")
        _, used = _points(needed(results), target, "mi", "used")
        if not d:
            return None
        holds &= used[-1] < 0.5 * all_of[-1]
        parts.append(f"{target}: {used[-1]:,.0f} of {all_of[-1]:,.0f} at d = {d[-1]:g}")
    return Finding(holds, "; ".join(parts))


def _mlp_uses_all(results: "Results") -> Finding | None:
    d, all_of = _points(needed(results), "dot", "mlp")
    _, used = _points(needed(results), "dot", "mlp", "used")
    if not d:
        return None
    share = min(u / a for u, a in zip(used, all_of, strict=True))
    return Finding(
        share > 0.9, f"of an MLP's weights on dot products {share:.0%} or more at every d"
    )


def _draw_needed(results: "Results") -> "Drawing | None":
    found = needed(results)
    if found.empty:
        return None
    figure, axes = panels(3)
    for one, (target, title) in zip(axes, _TITLES.items(), strict=True):
        lines = []
        for i, (model, label) in enumerate(_MODELS.items()):
            d, y = _points(found, target, model)
            lines.append(Line(label, d, y, marker="o", colour=COLOURS[i]))
            d, y = _points(found, target, model, "used")
            lines.append(Line(f"{label}, pruned", d, y, style=":", colour=COLOURS[i]))
        draw_lines(one, lines, x="d", y="parameters for MSE ≤ 0.1", title=title, log="y")
    return figure


def _draw_error(results: "Results") -> "Drawing | None":
    trials = results.trials
    if trials.empty:
        return None
    part = trials[(trials["target"] == "dot") & trials["last.loss"].notna()]
    best = part.groupby(["model", "dimension", "size"])["last.loss"].min().reset_index()
    figure, axes = panels(2)
    for one, (model, label) in zip(axes, _MODELS.items(), strict=True):
        rows = best[best["model"] == model]
        lines = [
            Line(f"d = {d:g}", list(r["size"]), list(r["last.loss"].clip(lower=1e-8)), marker=".")
            for d, r in rows.groupby("dimension")
        ]
        x, title = "size of the hidden layer", f"{label}: dot product"
        draw_lines(one, lines, x=x, y="MSE", title=title, log="xy")
        one.axhline(_ENOUGH, color="#888888", linewidth=0.8)
    return figure


STUDY = Study(
    name="expressivity",
    title="How many parameters a sum, a gate and a dot product take",
    source="S. M. Jayakumar et al., Multiplicative Interactions and Where to Find Them (ICLR "
    "2020), section 3, figure 2 and appendix C",
    about=(
        "Two d-vectors x and z from a standard Gaussian; targets x + z, σ(x) ⊙ z and xᵀz. Models: "
        "linear(size), relu, linear against M(size), linear. Adam, mean squared error over the "
        "label's elements, fresh batches of 100, 6,000 steps; a size counts with its best "
        "learning rate, by the error on 10,000 other pairs. Shown is the smallest network whose "
        "error is at most 0.1, before and after dropping weights below 0.001. Sizes go on past "
        "the published 200 for the MLP on dot products, which would not be reached otherwise."
    ),
    specs={"quick": (path_of("expressivity-quick"),), "full": (path_of("expressivity"),)},
    labels={"quick": "d up to 8, fewer sizes, learning rates 0.1 and 0.001 only, one seed."},
    claims=(
        *(
            Claim(
                statement=f"An MLP needs exponentially many parameters for {name}",
                source=_SOURCE,
                published="'seems to grow exponentially' (a plot)",
                rule=_grows(target, "mlp", exponentially=True),
                rule_text="of the fits a·exp(b·d) and a + b·d² to the logarithm of the parameters "
                "needed, the first has the smaller residual",
                tried=tried,
            )
            for target, name, tried in (
                (
                    "gating",
                    "gating",
                    "The error is the mean over the label's d elements, as the mean squared error "
                    "is usually taken; each element then is a function of two numbers, and d of "
                    "them need d times the hidden units of one.",
                ),
                ("dot", "the dot product", ""),
            )
        ),
        *(
            Claim(
                statement=f"A multiplicative model needs quadratically many for {name}",
                source=_SOURCE,
                published="'the growth … is quadratic' (a plot)",
                rule=_grows(target, "mi", exponentially=False),
                rule_text="of the same two fits the second has the smaller residual",
                tried=tried,
            )
            for target, name, tried in (
                (
                    "gating",
                    "gating",
                    "M with `size` outputs has d·d·size weights in W alone and d outputs need a "
                    "size near d, so that without pruning the growth is towards cubic.",
                ),
                ("dot", "the dot product", ""),
            )
        ),
        Claim(
            statement="Summation is easier for the MLP",
            source=_SOURCE,
            published="'trivially easier'",
            rule=_sum_is_easier,
            rule_text="at the largest d that both reach, the MLP needs fewer parameters",
        ),
        Claim(
            statement="Pruning makes the multiplicative models of sum and dot product compact",
            source="ICLR 2020, figure 2 (dotted lines)",
            published="a plot",
            rule=_pruning_shrinks,
            rule_text="at the largest d fewer than half of the weights are 0.001 or more",
            tried="Counted are the weights of the smallest network that reaches the error, after "
            "6,000 steps at its best rate. A dot product takes one unit and sheds the rest; of a "
            "sum's weights most stay above 0.001.",
        ),
        Claim(
            statement="An MLP uses all its parameters",
            source="ICLR 2020, figure 2 (dotted lines)",
            published="'all parameters are actually used'",
            rule=_mlp_uses_all,
            rule_text="more than 90% of its weights are 0.001 or more at every d, on dot products",
        ),
    ),
    figures=(
        Figure(
            "parameters",
            "Parameters against dimension",
            "The smallest network that reaches a mean squared error of 0.1; dotted: without "
            "weights below 0.001. A point is missing where no size was enough.",
            _draw_needed,
        ),
        Figure("error", "Error against size", "On dot products; best rate.", _draw_error),
    ),
)
