"""Neural processes: claims and figures."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from studies import path_of
from studies.comparing import above
from studies.drawing import COLOURS, draw_lines, mean_curve, panels
from studies.statistics import mean_of
from sweep.study import Claim, Figure, Finding, Study, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from sweep.study.results import Results

_SOURCE = "ICLR 2020, section 7 and figure 5a"
_DECODERS = {
    "mlp": "MLP",
    "skip_mlp": "skip MLP",
    "mi": "multiplicative, of x and z",
    "mi_of_x": "multiplicative, of x alone",
}


def _likelihoods(results: "Results", decoder: str) -> list[float]:
    """The log likelihood at the last step, by seed; trainings that did not get there are none."""
    trials = results.trials
    if trials.empty:
        return []
    part = trials[(trials["decoder"] == decoder) & (trials["step"] == trials["step"].max())]
    return list(part["last.log_likelihood"].dropna())


def _better_than(decoder: str) -> "Callable[[Results], Finding | None]":
    return lambda results: above(
        _likelihoods(results, "mi"), _likelihoods(results, decoder), " nats a point"
    )


def _draw_curves(results: "Results") -> "Drawing | None":
    if results.trials.empty:
        return None
    curves = results.curves("log_likelihood")
    lines = [
        mean_curve(curves[curves["decoder"] == decoder], label, COLOURS[i])
        for i, (decoder, label) in enumerate(_DECODERS.items())
    ]
    figure, (axes,) = panels(1, width=6)
    draw_lines(axes, lines, x="steps", y="log likelihood of a target point, nats")
    return figure


def _rows(results: "Results") -> "list[list[str]] | None":
    found = {decoder: _likelihoods(results, decoder) for decoder in _DECODERS}
    if not any(found.values()):
        return None
    sizes = results.trials.groupby("decoder")["last.parameters"].max()
    return [
        [_DECODERS[decoder], f"{mean_of(values)}", f"{sizes[decoder]:,.0f}"]
        for decoder, values in found.items()
        if values
    ]


STUDY = Study(
    name="neural-process",
    title="Which decoder makes the most of a latent variable",
    source="S. M. Jayakumar et al., Multiplicative Interactions and Where to Find Them (ICLR "
    "2020), section 7, figure 5a and appendix F",
    about=(
        "Neural processes learn to predict functions drawn from a Gaussian process with an "
        "exponentiated quadratic kernel, length scale uniform in [0.1, 10], noise 0.02, from a "
        "few points of each. Encoders and decoder as in appendix F; the decoder's conditioning "
        "on the latent variable is what differs. All decoders see the same functions and train "
        "for the same number of steps; the seeds of one decoder are one pack. M replaces the last "
        "layer of the MLP decoder (section 7); a second form, whose hidden layers see x alone, is "
        "another reading of appendix F."
    ),
    specs={"quick": (path_of("neural-process-quick"),), "full": (path_of("neural-process"),)},
    labels={"quick": "5,000 steps, where the paper trains to convergence; 5 seeds."},
    claims=tuple(
        Claim(
            statement=f"The multiplicative decoder reaches a better likelihood than the {name}",
            source=_SOURCE,
            published="a plot",
            rule=_better_than(decoder),
            tried="In the quick size the decoders have not converged, and an evaluation differs "
            "from the next by as much as they differ from each other. Learning rates of 0.0002 and "
            "0.0005 were tried with one or two seeds: the faster the rate, the worse for M.",
            rule_text="after the same number of steps the 95% interval of the difference of mean "
            "log likelihood lies above 0",
        )
        for decoder, name in (("mlp", "MLP"), ("skip_mlp", "skip MLP"))
    ),
    figures=(
        Figure(
            "likelihood",
            "Likelihood while training",
            "On held-out functions; mean over seeds, the band is the standard error.",
            _draw_curves,
        ),
    ),
    tables=(
        Table(
            "Log likelihood at the end",
            ("decoder", "log likelihood, nats a target point (95% interval)", "parameters"),
            _rows,
        ),
    ),
)
