"""Numbers rounded to the nearest multiple of a step, as kinds that mean just that.

W&B and Katib draw a real number and round it. Where one of our kinds does the same it
is used; where none does, every multiple is listed with the probability of being the
nearest, as a weighted `choice`, unless there are too many of them or the search
needs to know their order.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from sweep.errors import SweepError
from sweep.imports.reading import Notes, bad
from sweep.values import times_step

MOST_VALUES = 1_000
"""How many multiples are listed at most."""

_MOST_STEPS = 2**50
_FARTHEST = 8.3
"""Standard deviations beyond which a draw from 53 random bits cannot lie."""


@dataclass(frozen=True)
class Place:
    """Where in the source a parameter stands, and what its search asks of it."""

    path: str
    notes: Notes
    ordered: bool = False
    """Whether the search learns from the values' order, which a `choice` does not have."""


@dataclass(frozen=True)
class _Draw:
    """A distribution before it is rounded: all of it between `low` and `high`."""

    low: float
    high: float
    mass: Callable[[float], float]
    """What lies below a number, in any unit."""


def uniform(low: float, high: float, step: float, place: Place) -> Any:
    """The multiple of `step` nearest to a uniform number: the two ends are less likely."""
    _check(low, high, step, place)
    values = _weighted(_Draw(low, high, lambda x: x / step), step)
    if values is not None and not place.ordered:
        return values
    first, last = round(low / step), round(high / step)
    name = "qrandint" if isinstance(step, int) else "quniform"
    place.notes.warn(place.path, "the first and the last value are as likely here as the others")
    return {name: {"min": times_step(first, step), "max": times_step(last, step), "step": step}}


def loguniform(low: float, high: float, step: float, place: Place) -> Any:
    """The multiple of `step` nearest to a log-uniform number from `low` to `high`."""
    _check(low, high, step, place)
    exact = _is_multiple(low, step) and _is_multiple(high, step) and isinstance(step, float)
    kind = {"qloguniform": {"min": low, "max": high, "step": step}}
    if exact:
        return kind
    values = _weighted(_Draw(low, high, math.log), step)
    holds_one = math.ceil(low / step) <= math.floor(high / step)
    if values is not None and not (place.ordered and holds_one):
        return values
    if _is_multiple(low, step) and _is_multiple(high, step):
        _warn_of_reals(step, place)
    else:
        place.notes.warn(place.path, "multiples outside the range are never rounded to here")
    return kind


def normal(mean: float, std: float, step: float, place: Place) -> Any:
    """The multiple of `step` nearest to a normal number."""
    far = std * _FARTHEST
    draw = _Draw(mean - far, mean + far, NormalDist(mean, std or 1.0).cdf)
    return _of_normals("qnormal", (mean, std), draw, step, place)


def lognormal(mean: float, std: float, step: float, place: Place) -> Any:
    """The multiple of `step` nearest to a number whose logarithm is normal."""
    normals = NormalDist(mean, std or 1.0)
    draw = _Draw(
        math.exp(mean - std * _FARTHEST),
        math.exp(min(mean + std * _FARTHEST, 700.0)),
        lambda x: normals.cdf(math.log(x)) if x > 0 else 0.0,
    )
    return _of_normals("qlognormal", (mean, std), draw, step, place)


def beta(a: float, b: float, step: float, place: Place) -> Any:
    """The multiple of `step` nearest to a beta-distributed number.

    Raises:
        SweepError: when SciPy, which knows the distribution, is not installed.
    """
    _check(0, 1, step, place)
    try:
        from scipy.special import betainc  # slow to import, and needed by this kind alone
    except ImportError:
        raise SweepError(f"{place.path}: a quantised beta needs SciPy: pip install scipy") from None

    values = _weighted(_Draw(0.0, 1.0, lambda x: float(betainc(a, b, min(max(x, 0), 1)))), step)
    if values is not None:
        return values
    place.notes.warn(place.path, f"values are not rounded to multiples of {step!r} here")
    return {"beta": {"a": a, "b": b}}


def _check(low: float, high: float, step: float, place: Place) -> None:
    if max(abs(low), abs(high)) > step * _MOST_STEPS:
        raise bad(place.path, f"{step!r} is too fine for values from {low!r} to {high!r}")


def _of_normals(
    kind: str, shape: tuple[float, float], draw: _Draw, step: float, place: Place
) -> Any:
    mean, std = shape
    _check(draw.low, draw.high, step, place)
    if std == 0:
        return times_step(round(draw.low / step), step)
    if isinstance(step, int) and not place.ordered:
        values = _weighted(draw, step)
        if values is not None:
            return values
    _warn_of_reals(step, place)
    return {kind: {"mean": mean, "std": std, "step": step}}


def _warn_of_reals(step: float, place: Place) -> None:
    if isinstance(step, int):
        place.notes.warn(place.path, f"values are real numbers here, such as {float(step)!r}")


def _is_multiple(value: float, step: float) -> bool:
    return math.isclose(value / step, round(value / step), rel_tol=1e-12, abs_tol=0)


def _weighted(draw: _Draw, step: float) -> Any:
    """Every multiple with its weight; None when there are too many."""
    first, last = math.floor(draw.low / step + 0.5), math.ceil(draw.high / step - 0.5)
    if last <= first:
        return {"choice": [times_step(round(draw.low / step), step)]}
    if last - first >= MOST_VALUES:
        return None
    weights = [_share(draw, (k - 0.5) * step, (k + 0.5) * step) for k in range(first, last + 1)]
    kept = [(times_step(first + i, step), w) for i, w in enumerate(weights) if w > 0]
    values, shares = [v for v, _ in kept], [w for _, w in kept]
    if max(shares) - min(shares) < 1e-9 * max(shares):
        return {"choice": values}
    return {"choice": {"values": values, "weights": shares}}


def _share(draw: _Draw, low: float, high: float) -> float:
    share = draw.mass(min(high, draw.high)) - draw.mass(max(low, draw.low))
    return float(f"{share:.12g}")
