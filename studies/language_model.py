"""Multiplicative embeddings in a language model: claims, figures, the table."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from studies import path_of
from studies.comparing import below
from studies.drawing import COLOURS, draw_lines, mean_curve, panels
from studies.statistics import mean_of
from sweep.study import Claim, Figure, Finding, Study, Table

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure as Drawing

    from sweep.study.results import Results

_SOURCE = "ICLR 2020, section 8 and table 1"
_MODELS = {
    "lstm": ("LSTM", "34.7 / 36.7"),
    "lstm_mi_decoder": ("LSTM + multiplicative decoder", "31.7 / 33.7"),
    "lstm_mi_both": ("LSTM + multiplicative encoder and decoder", "28.9 / 30.3"),
    "control": (
        "LSTM, widened to the same number of parameters",
        "one lower with 1,000 more units",
    ),
}

_TRIED = (
    "In the quick size 1,500 steps are 24 passes over some 60,000 words, after which the largest "
    "model begins to learn them by heart; the best evaluation counts, and three seeds leave an "
    "interval of some two points."
)


def _named(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """With a column `which`: the model, or `control` for the widened one."""
    if "match" not in frame:
        return frame.assign(which=frame["model"])
    return frame.assign(which=frame["model"].where(frame["match"].isna(), "control"))


def _trials(results: "Results", which: str) -> "pandas.DataFrame":
    if results.trials.empty:
        return results.trials
    named = _named(results.trials)
    return named[(named["which"] == which) & named["best"].notna()]


def _perplexities(results: "Results", which: str, metric: str = "best") -> list[float]:
    trials = _trials(results, which)
    return [] if trials.empty else list(trials[metric])


def _lower(first: str, second: str) -> "Callable[[Results], Finding | None]":
    return lambda results: below(_perplexities(results, first), _perplexities(results, second))


def _draw_curves(results: "Results") -> "Drawing | None":
    if results.trials.empty:
        return None
    curves = _named(results.curves("valid_perplexity"))
    lines = [
        mean_curve(curves[curves["which"] == which], label, COLOURS[i])
        for i, (which, (label, _)) in enumerate(_MODELS.items())
    ]
    figure, (axes,) = panels(1, width=6.4)
    draw_lines(axes, lines, x="steps", y="perplexity on the validation part", log="y")
    return figure


def _rows(results: "Results") -> "list[list[str]] | None":
    rows = []
    for which, (label, published) in _MODELS.items():
        trials = _trials(results, which)
        if trials.empty:
            continue
        valid, test = mean_of(trials["best"]), mean_of(trials["at_best.test_perplexity"])
        size = f"{trials['last.parameters'].max():,.0f}"
        rows.append([label, str(valid), str(test), size, published])
    return rows or None


STUDY = Study(
    name="language-model",
    title="Multiplicative embeddings in a language model",
    source="S. M. Jayakumar et al., Multiplicative Interactions and Where to Find Them (ICLR "
    "2020), section 8, table 1 and appendix G",
    about=(
        "One LSTM with tied embeddings predicts the next word; its output embedding is a linear "
        "layer of its state or M(c, h) with a narrow context c; its input embedding is plain or "
        "has a diagonal multiplicative term with the last state. As a control the plain LSTM is "
        "widened until it has as many parameters as the largest. Perplexities are those of the "
        "evaluation with the lowest one on the validation part."
    ),
    specs={"quick": (path_of("language-model-quick"),), "full": (path_of("language-model"),)},
    labels={
        "quick": "**Stand-in corpus**: the help topics that Python's standard library ships, about "
        "a thousandth of WikiText-103, and a smaller model. Perplexities cannot be compared with "
        "the published ones, only with each other."
    },
    claims=(
        Claim(
            statement="A multiplicative decoder lowers perplexity",
            source=_SOURCE,
            published="34.7 to 31.7 (valid), 36.7 to 33.7 (test)",
            rule=_lower("lstm_mi_decoder", "lstm"),
            tried=_TRIED,
            rule_text="the 95% interval of the difference of the best perplexity on the validation "
            "part lies above 0",
        ),
        Claim(
            statement="A multiplicative encoder lowers it further",
            source=_SOURCE,
            published="31.7 to 28.9 (valid), 33.7 to 30.3 (test)",
            rule=_lower("lstm_mi_both", "lstm_mi_decoder"),
            tried=_TRIED,
            rule_text="as above",
        ),
        Claim(
            statement="As many parameters in a wider LSTM gain less",
            source="ICLR 2020, appendix G",
            published="6 against 1 lower",
            rule=_lower("lstm_mi_both", "control"),
            rule_text="as above, against the widened LSTM",
        ),
    ),
    figures=(
        Figure(
            "perplexity",
            "Perplexity while training",
            "On the validation part; mean over seeds, the band is the standard error.",
            _draw_curves,
        ),
    ),
    tables=(
        Table(
            "Perplexity",
            ("model", "valid (95%)", "test (95%)", "parameters", "published, valid / test"),
            _rows,
        ),
    ),
)
