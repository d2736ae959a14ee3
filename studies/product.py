"""A product learnt by ReLUs: claims and figures."""

import re
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from studies import path_of
from studies.drawing import COLOURS, Line, draw_lines, panels
from studies.statistics import mean_of
from sweep.study import Claim, Figure, Finding, Study

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure as Drawing

    from sweep.study.results import Results

_SOURCE = "When To Multiply Inside Your Neural Network?"
_SHOWN = {
    "relu": "80 ReLUs",
    "log_relu": "80 ReLUs on logarithms",
    "log_linear": "linear on logarithms",
    "multiply": "4 multiplicative units",
}


def at_best_rate(results: "Results") -> "pandas.DataFrame":
    """The trials of each network at the rate whose mean error is smallest.

    A rate at which a training diverged is none; nor is a network with no other rate here.
    """
    trials = results.trials
    if trials.empty:
        return trials
    by = ["network.type", "network.units"]
    trials = trials.reindex(columns=trials.columns.union(by)).fillna({"network.units": 0})
    means = trials.assign(error=trials["last.rmse"].fillna(inf))
    means = means.groupby([*by, "lr"])["error"].mean().reset_index()
    means = means[means["error"] < inf]
    best = means.loc[means.groupby(by)["error"].idxmin(), [*by, "lr"]]
    return trials.merge(best, on=[*by, "lr"])


def _of(results: "Results", kind: str, units: int | None = None) -> "pandas.DataFrame":
    trials = at_best_rate(results)
    if trials.empty:
        return trials
    trials = trials[trials["network.type"] == kind]
    return trials if units is None else trials[trials["network.units"] == units]


def _eighty_relus(results: "Results") -> Finding | None:
    trials = _of(results, "relu", 80)
    if trials.empty:
        return None
    rmse = mean_of(trials["last.rmse"])
    return Finding(rmse.value <= 0.006, f"RMSE {rmse}")


def _explodes(results: "Results") -> Finding | None:
    trials = _of(results, "relu", 80)
    if trials.empty:
        return None
    inside, outside = mean_of(trials["last.rmse"]), mean_of(trials["last.rmse_outside"])
    if outside.count < 2:
        return None
    text = f"RMSE {inside} inside, {outside} on x² for x in [1, 10)"
    return Finding(outside.low > 100 * inside.value, text)


def _extrapolates(kind: str, against: str = "relu") -> "Callable[[Results], Finding | None]":
    def rule(results: "Results") -> Finding | None:
        ours, relus = _of(results, kind), _of(results, against, 80)
        if ours.empty or relus.empty:
            return None
        outside, theirs = mean_of(ours["last.rmse_outside"]), mean_of(relus["last.rmse_outside"])
        if min(outside.count, theirs.count) < 2:
            return None
        text = f"RMSE outside {outside}, against {theirs} with 80 ReLUs"
        return Finding(outside.high < 0.01 * theirs.low, text)

    return rule


def _draw_width(results: "Results") -> "Drawing | None":
    trials = _of(results, "relu")
    if trials.empty:
        return None
    found = [(w, mean_of(part["last.rmse"])) for w, part in trials.groupby("network.units")]
    widths, means = [float(w) for w, _ in found], [m for _, m in found]
    figure, (axes,) = panels(1, width=6)
    line = Line(
        "ReLUs, mean and 95% interval",
        widths,
        [m.value for m in means],
        [max(m.low, m.value / 10) for m in means],
        [m.high for m in means],
        marker="o",
    )
    published = Line("published: 0.003 at 80", [80], [0.003], style="", marker="x", colour="#000")
    y = "RMSE of a·b, a and b in (0, 1)"
    draw_lines(axes, [line, published], x="hidden ReLUs", y=y, log="y")
    return figure


def _draw_predictions(results: "Results") -> "Drawing | None":
    trials = at_best_rate(results)
    if trials.empty:
        return None
    asked = sorted(name for name in trials.columns if re.fullmatch(r"last\.prediction_\d+", name))
    x = [int(name.rpartition("_")[2]) / 100 for name in asked]
    figure, axes = panels(2, width=4.6, height=3.8)
    for one, title, end in ((axes[0], "in range", 1.25), (axes[1], "and beyond", x[-1])):
        lines = [Line("x²", x, [v * v for v in x], style="--", colour="#000000")]
        for i, (kind, label) in enumerate(_SHOWN.items()):
            part = _of(results, kind, 80 if "ReLU" in label else None)
            if not part.empty:
                lines.append(Line(label, x, list(part[asked].mean()), colour=COLOURS[i]))
        draw_lines(one, lines, x="x", y="answer for x · x", title=title)
        one.axvspan(0, 1, color="#dfe7d8", zorder=0)
        one.set_xlim(0, end)
        one.set_ylim(-0.05 * end**2, 1.05 * end**2)
    return figure


STUDY = Study(
    name="product",
    title="A product learnt by ReLUs",
    source=_SOURCE,
    about=(
        "A network regresses a·b for a and b uniform in (0, 1) and is then asked for x·x on "
        "[0, 10). Networks: one hidden layer of ReLUs; the same between a logarithm and an "
        "exponential; a linear layer there; one hidden layer of multiplicative units M(a, b). "
        "Adam, mean squared error, fresh batches of 256; the learning rate with the smallest "
        "mean error counts. The source trained TensorFlow's DNNRegressor for 100,000 steps."
    ),
    specs={"quick": (path_of("product-quick"),), "full": (path_of("product"),)},
    labels={"quick": "20,000 steps of the published 100,000, and fewer widths."},
    claims=(
        Claim(
            statement="80 ReLUs approximate a product well inside the range",
            source=_SOURCE,
            published="RMSE near 0.003",
            rule=_eighty_relus,
            rule_text="the mean RMSE of 80 ReLUs is at most 0.006, twice the published figure",
        ),
        Claim(
            statement="Outside the range the ReLUs' error explodes",
            source=_SOURCE,
            published="a plot",
            rule=_explodes,
            rule_text="the interval of the RMSE on x² for x in [1, 10) lies above a hundred times "
            "that inside",
        ),
        Claim(
            statement="A multiplicative unit extrapolates",
            source=_SOURCE,
            published="no figure",
            rule=_extrapolates("multiply"),
            rule_text="the interval of its RMSE outside lies below a hundredth of the ReLUs'",
        ),
        Claim(
            statement="On logarithms a product is a sum: a linear layer learns it",
            source=_SOURCE,
            published="no figure",
            rule=_extrapolates("log_linear"),
            rule_text="the interval of its RMSE outside lies below a hundredth of the ReLUs'",
        ),
        Claim(
            statement="ReLUs fed with logarithms extrapolate too",
            source=_SOURCE + " (implied: 'feed them into the network after applying log()')",
            published="no figure",
            rule=_extrapolates("log_relu"),
            rule_text="the interval of their RMSE outside lies below a hundredth of the plain "
            "ReLUs'",
            tried="Two learning rates, three seeds. Logarithms of numbers in (0, 1) are all "
            "negative, so that the layer was never shown what lies above 0.",
        ),
    ),
    figures=(
        Figure("width", "Error against width", "Inside the training range.", _draw_width),
        Figure(
            "prediction",
            "Prediction against input",
            "Means over seeds; the training range is shaded.",
            _draw_predictions,
        ),
    ),
)
