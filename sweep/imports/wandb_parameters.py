"""The parameters of a W&B sweep configuration: what each distribution means here."""

import math
from collections.abc import Mapping
from typing import Any

from sweep.imports import quantised
from sweep.imports.common import MOST_POINTS, Names, constant, nested
from sweep.imports.quantised import Place
from sweep.imports.reading import Notes, Section, bad
from sweep.values import times_step


def endless(parameters: Mapping[str, Any], within: str = "") -> list[str]:
    """The parameters of a grid that are no lists: kinds other than `grid`."""
    names: list[str] = []
    for name, node in parameters.items():
        full = f"{within}{name}"
        if isinstance(node, _Drawn):
            names.append(full)
        elif isinstance(node, Nested):
            names.extend(endless(node, f"{full}."))
    return names


class _Drawn(dict[str, Any]):
    """A parameter that is drawn from a distribution."""


class Nested(dict[str, Any]):
    """A mapping of further parameters."""


def read_parameters(source: Section, method: str, notes: Notes) -> Nested:
    """Every parameter of a configuration, as the search `method` takes them."""
    section = source.section("parameters")
    if section is None:
        raise bad("parameters", "is missing: a sweep needs parameters")
    return _nested(section, method, Names(notes), "")


def _nested(section: Section, method: str, names: Names, within: str) -> Nested:
    found = Nested()
    for key in section.names():
        one = section.section(key)
        if one is None:
            raise bad(section.at(key), "is empty: give it values, a value or a distribution")
        name = names.clean(key, one.path, within=within)
        deeper = one.section("parameters")
        if deeper is not None:
            found[name] = nested(_nested(deeper, method, names, f"{within}.{name}"), one.path)
        else:
            found[name] = _parameter(one, method)
        one.rest()
    return found


def _parameter(one: Section, method: str) -> Any:
    distribution = one.text("distribution") or _inferred(one)
    if distribution == "constant":
        return constant(one.take("value"))
    if distribution in ("categorical", "categorical_w_probabilities"):
        return _categorical(one, method)
    place = Place(one.path, one.notes, ordered=method == "bayes")
    if method == "grid" and distribution in ("int_uniform", "q_uniform"):
        return _listed(one, distribution)
    drawn = _distribution(one, distribution, place)
    return _Drawn(drawn) if isinstance(drawn, Mapping) else drawn


def _inferred(one: Section) -> str:
    if "value" in one:
        return "constant"
    if "values" in one:
        return "categorical"
    if "min" in one and "max" in one:
        ends = (one.number("min"), one.number("max"))
        return "int_uniform" if all(isinstance(end, int) for end in ends) else "uniform"
    raise bad(
        one.path,
        "says neither value, values, min and max, nor a distribution: W&B would refuse it too",
    )


def _categorical(one: Section, method: str) -> Any:
    values = one.items("values")
    if not values:
        raise bad(one.at("values"), "is empty: give at least one value")
    if method == "grid":
        one.leave("probabilities", "a grid takes every value once: they have no effect")
        return {"grid": values}
    weights = one.items("probabilities")
    return {"choice": {"values": values, "weights": weights} if weights else values}


def _listed(one: Section, distribution: str) -> Any:
    """The values that a grid takes of a range with gaps."""
    low, high = one.number("min"), one.number("max")
    step = one.number("q", 1) if distribution == "q_uniform" else 1
    if step <= 0:
        raise bad(one.at("q"), f"is {step!r}: it must be above 0")
    if not abs(high - low) < step * MOST_POINTS or max(abs(low), abs(high)) > step * 2**50:
        raise bad(one.path, f"a grid takes at most {MOST_POINTS:,} values: use method random")
    first, last = round(low / step), round(high / step)
    if distribution == "q_uniform":
        one.notes.warn(
            one.path, "W&B does not say which values a grid takes of it: it takes every multiple"
        )
    return {"grid": [times_step(k, step) for k in range(first, last + 1)]}


def _distribution(one: Section, name: str, place: Place) -> Any:
    kind = name.removeprefix("q_")
    step = one.number("q", 1) if name.startswith("q_") else None
    if step is not None and step <= 0:
        raise bad(one.at("q"), f"is {step!r}: it must be above 0")
    if kind in ("normal", "log_normal"):
        return _normal(one, kind, step, place)
    if kind == "beta":
        return _beta(one, step, place)
    if kind in _RANGES:
        return _range(one, kind, step, place)
    raise bad(one.at("distribution"), f"{name!r} is no distribution that W&B documents")


_LARGEST_EXPONENT = 700
_RANGES = frozenset(
    {
        "uniform",
        "int_uniform",
        "log_uniform",
        "log_uniform_values",
        "inv_log_uniform",
        "inv_log_uniform_values",
    }
)


def _range(one: Section, kind: str, step: float | None, place: Place) -> Any:
    low, high = one.number("min"), one.number("max")
    if low > high:
        raise bad(one.path, f"min {low!r} is above max {high!r}")
    if kind == "int_uniform":
        return {"randint": {"min": one.count("min", least=-(2**53)), "max": int(high)}}
    if kind == "uniform":
        if step is not None:
            return quantised.uniform(low, high, step, place)
        return {"uniform": {"min": low, "max": high}}
    if not kind.endswith("_values") and 0 < low < high < 1:
        one.notes.note(
            f"{one.path}: {kind} takes exponents of e, so that the values lie near 1; "
            f"for values from {low!r} to {high!r} it is {kind}_values"
        )
    low, high = _real_ends(one, kind, low, high)
    if step is not None:
        return quantised.loguniform(low, high, step, place)
    return {"loguniform": {"min": low, "max": high}}


def _real_ends(one: Section, kind: str, low: float, high: float) -> tuple[float, float]:
    """A log-uniform range's ends as values. The inverse of one is one with its ends swapped."""
    if kind.endswith("_values"):
        if low <= 0:
            raise bad(one.at("min"), f"is {low!r}: a log-uniform range lies above 0")
        return low, high
    exponents = (-high, -low) if kind == "inv_log_uniform" else (low, high)
    try:
        ends = math.exp(exponents[0]), math.exp(exponents[1])
    except OverflowError:
        ends = (0.0, 0.0)
    if ends[0] <= 0:
        raise bad(
            one.path,
            f"min and max are exponents of e, and e to the {max(abs(low), abs(high))!r} is no "
            "number that fits: did you mean log_uniform_values?",
        )
    return ends


def _normal(one: Section, kind: str, step: float | None, place: Place) -> Any:
    mean, std = one.number("mu", 0), one.number("sigma", 1)
    if std < 0:
        raise bad(one.at("sigma"), f"is {std!r}: it must be 0 or above")
    if kind == "log_normal" and abs(mean) + 9 * std > _LARGEST_EXPONENT:
        raise bad(one.path, f"mu {mean!r} and sigma {std!r} are of the natural logarithm")
    if step is not None:
        rounded = quantised.normal if kind == "normal" else quantised.lognormal
        return rounded(mean, std, step, place)
    if std == 0:
        return mean if kind == "normal" else math.exp(mean)
    return {kind.replace("_", ""): {"mean": mean, "std": std}}


def _beta(one: Section, step: float | None, place: Place) -> Any:
    a, b = one.number("a", 1), one.number("b", 1)
    if a <= 0 or b <= 0:
        raise bad(one.path, f"a {a!r} and b {b!r} must both be above 0")
    if step is not None:
        return quantised.beta(a, b, step, place)
    return {"beta": {"a": a, "b": b}}
