"""Multiplicative networks and their additive twins: claims and figures."""

from typing import TYPE_CHECKING

from studies import path_of
from studies.drawing import COLOURS, Line, draw_lines, panels
from studies.statistics import difference_of, mean_of
from sweep.study import Claim, Figure, Finding, Study

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure as Drawing

    from sweep.study.results import Results

_SOURCE = "Multiplicative neural networks"
_EQUAL = 1e-8
"""Below what two trainings in float64 could differ by if they were not the same."""
_STEPS = 1_000
"""Steps for which curves are compared: Adam makes rounding grow as training goes on."""
_TWINS = ["nonlinearity", "depth", "width", "lr", "seed"]
_FORMS = ["multiplicative", "additive"]
_NONLINEARITIES = {
    "relu1": "max(x, 1), additive: ReLU",
    "tanh": "tanh, additive: a flipped softplus",
    "sigmoid": "sigmoid, additive: a flipped sigmoid",
    "relu": "ReLU, additive: the identity",
}


def twins(results: "Results", metric: str = "last.loss") -> "pandas.DataFrame":
    """A metric of the multiplicative and the additive form, side by side."""
    trials = results.trials
    if trials.empty:
        return trials
    return _pairs(trials, _TWINS, metric)


def _pairs(rows: "pandas.DataFrame", index: list[str], values: str) -> "pandas.DataFrame":
    both = rows.pivot_table(index=index, columns="form", values=values)
    return both.reindex(columns=_FORMS).dropna()


def _same_outputs(results: "Results") -> Finding | None:
    if results.trials.empty:
        return None
    gaps = results.trials["max.output_gap"].dropna()
    if gaps.empty:
        return None
    text = f"largest difference of outputs {gaps.max():.1e} over {len(gaps)} trainings"
    return Finding(bool(gaps.max() < _EQUAL), text)


def _same_curves(results: "Results") -> Finding | None:
    if twins(results).empty:
        return None
    curves = results.curves("loss")
    curves = curves[curves["at"] <= _STEPS]
    both = _pairs(curves, [*_TWINS, "at"], "value")
    if both.empty:
        return None
    gap = (both["multiplicative"] - both["additive"]).abs().max()
    pairs = both.index.droplevel("at").nunique()
    text = f"largest difference of losses {gap:.1e}, at {len(both):,} steps of {pairs} pairs"
    return Finding(bool(gap < _EQUAL), text)


def _same_accuracy(results: "Results") -> Finding | None:
    both = twins(results, "last.accuracy")
    if both.empty:
        return None
    gap = (both["multiplicative"] - both["additive"]).abs().max()
    means = ", ".join(f"{form} {mean_of(both[form])}" for form in both.columns)
    return Finding(bool(gap == 0), f"{means}; largest difference {gap:.1e}")


def _relu_is_linear(results: "Results") -> Finding | None:
    """With ReLU depth adds no power: no better than one layer less."""
    trials = results.trials
    if trials.empty:
        return None
    part = trials[trials["form"] == "multiplicative"]
    deepest = part[part["depth"] == part["depth"].max()]
    useful = deepest[deepest["nonlinearity"] == "relu1"]["last.accuracy"].dropna()
    linear = deepest[deepest["nonlinearity"] == "relu"]["last.accuracy"].dropna()
    if min(len(useful), len(linear)) < 2:
        return None
    gap = difference_of(list(useful), list(linear))
    text = (
        f"at depth {part['depth'].max()}: max(x, 1) {mean_of(useful)}, ReLU {mean_of(linear)}, "
        f"difference {gap}"
    )
    return Finding(gap.low > 0, text)


def _draw_curves(results: "Results") -> "Drawing | None":
    if twins(results).empty:
        return None
    curves = results.curves("loss")
    depth = curves["depth"].max()
    figure, axes = panels(len(_NONLINEARITIES), width=3.4)
    for one, (name, title) in zip(axes, _NONLINEARITIES.items(), strict=True):
        part = curves[(curves["nonlinearity"] == name) & (curves["depth"] == depth)]
        lines = []
        for form, style, colour in (
            ("multiplicative", "-", COLOURS[0]),
            ("additive", "--", "#f0a020"),
        ):
            mean = part[part["form"] == form].groupby("at")["value"].mean()
            lines.append(Line(form, list(mean.index), list(mean), style=style, colour=colour))
        draw_lines(one, lines, x="steps", y="loss on held-out digits", title=title)
    return figure


def _draw_functions(results: "Results") -> "Drawing":
    """The nonlinearities themselves; they depend on no result."""
    import numpy as np

    x = np.linspace(-4, 4, 400)
    e = np.exp(x)
    pairs = {
        "relu1": (np.maximum(e, 1), np.maximum(x, 0)),
        "tanh": (np.tanh(e), np.log(np.tanh(e))),
        "sigmoid": (1 / (1 + np.exp(-e)), -np.log1p(np.exp(-e))),
        "relu": (e, x),
    }
    figure, axes = panels(len(pairs), width=3.4)
    for one, (name, (positive, converted)) in zip(axes, pairs.items(), strict=True):
        lines = [
            Line("multiplicative s(x), x > 0", list(e), list(positive)),
            Line("additive ln s(exp x)", list(x), list(converted)),
        ]
        draw_lines(one, lines, x="x", y="", title=_NONLINEARITIES[name].split(", additive")[0])
        one.set_xlim(-4, 4)
        one.set_ylim(-4, 4)
    return figure


STUDY = Study(
    name="multiplicative",
    title="Multiplicative networks and their additive twins",
    source=_SOURCE,
    about=(
        "A multiplicative network with product layers e^b ∏ x^w and a nonlinearity s equals the "
        "additive network with the same weights, the nonlinearity ln ∘ s ∘ exp, inputs ln x and "
        "outputs exp. Both classify scikit-learn's digits: the multiplicative one takes "
        "exponentiated pixels and gives the logarithm of its outputs. Trained in float64 with "
        "Adam from the same first weights on the same batches. MNIST trains from its IDX files "
        "where a folder is given."
    ),
    specs={"quick": (path_of("multiplicative-quick"),), "full": (path_of("multiplicative"),)},
    labels={
        "quick": "scikit-learn's digits (1,797 images of 8 x 8) as a stand-in for MNIST; three "
        "seeds, 1,000 steps.",
        "full": "scikit-learn's digits (1,797 images of 8 x 8) as a stand-in for MNIST.",
    },
    claims=(
        Claim(
            statement="Both networks give the same outputs from the same weights",
            source=_SOURCE,
            published="an identity",
            rule=_same_outputs,
            rule_text="the largest difference over all trainings, evaluations and held-out images "
            "is below 1e-8",
        ),
        Claim(
            statement="Losses and gradients are the same, so they train alike",
            source=_SOURCE,
            published="an identity",
            rule=_same_curves,
            rule_text="the largest difference between the two losses at any evaluation of the "
            "first 1,000 steps is below 1e-8; gradients that differed would lead the two apart",
        ),
        Claim(
            statement="Multiplicative networks are just as effective",
            source=_SOURCE,
            published="no figure",
            rule=_same_accuracy,
            rule_text="each pair ends with the same accuracy",
        ),
        Claim(
            statement="With ReLU a multiplicative network is basically linear; max(x, 1) is useful",
            source=_SOURCE,
            published="an identity",
            rule=_relu_is_linear,
            tried="Depths 1 to 4. These digits are nearly separable by a linear network, so that a "
            "network that is one loses nothing; that ReLU becomes the identity is an identity, and "
            "tested as such.",
            rule_text="at the greatest depth the interval of the difference in accuracy, max(x, 1) "
            "over ReLU, lies above 0",
        ),
    ),
    figures=(
        Figure(
            "curves",
            "Learning curves of both forms",
            "Means over seeds at the greatest depth; the dashed line lies on the other.",
            _draw_curves,
        ),
        Figure(
            "nonlinearities",
            "The four nonlinearities and what they become",
            "Closed forms; no training is involved.",
            _draw_functions,
        ),
    ),
)
