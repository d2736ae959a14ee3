"""The parameters of a Katib Experiment: what each feasible space means here."""

import math
from typing import Any

from sweep.imports import quantised
from sweep.imports.common import MOST_POINTS, Names
from sweep.imports.quantised import Place
from sweep.imports.reading import Section, bad, fits
from sweep.values import times_step

_DISTRIBUTIONS = ("uniform", "logUniform", "normal", "logNormal")


def read_parameters(spec: Section, *, grid: bool, ordered: bool) -> dict[str, Any]:
    """Every parameter of an Experiment's spec.

    Args:
        spec: the Experiment's.
        grid: whether every value is listed rather than drawn.
        ordered: whether the search learns from the values' order.
    """
    names, found = Names(spec.notes), {}
    for i, raw in enumerate(spec.items("parameters")):
        one = Section(raw, f"spec.parameters[{i}]", spec.notes)
        given = one.text("name")
        if given is None:
            raise bad(one.at("name"), "is missing")
        found[names.clean(given, one.at("name"))] = _parameter(one, grid=grid, ordered=ordered)
        one.rest()
    if not found:
        raise bad("spec.parameters", "has no parameter")
    return found


def _parameter(one: Section, *, grid: bool, ordered: bool) -> Any:
    kind = one.one_of("parameterType", ("double", "int", "discrete", "categorical"))
    space = one.section("feasibleSpace")
    if space is None:
        raise bad(one.at("feasibleSpace"), "is missing")
    if kind in ("discrete", "categorical"):
        values = [_element(v, kind, one) for v in space.items("list")]
        if not values:
            raise bad(space.at("list"), "is empty: give at least one value")
        node: Any = {"grid" if grid else "choice": values}
    elif grid:
        node = {"grid": _points(space, kind)}
    else:
        node = _range(space, kind, ordered=ordered)
    space.rest()
    return node


def _element(raw: Any, kind: str, one: Section) -> Any:
    """A value of a list: a number where the list is discrete, else the text as it is."""
    text = raw if isinstance(raw, str) else str(raw)
    number = number_or_text(text)
    if kind == "discrete":
        if isinstance(number, str):
            raise bad(one.path, f"{text!r} is no number, and a discrete list has numbers alone")
        return number
    if not isinstance(number, str):
        one.notes.note(f"{one.path}: categorical values such as {text!r} are texts, as in Katib")
    return text


def _ends(space: Section, kind: str) -> tuple[float, float, float | None]:
    """Min, max and step, from their texts: integers for an int, else real numbers."""
    low, high = _end(space, "min", kind), _end(space, "max", kind)
    step = None if space.take("step") in (None, "") else _end(space, "step", kind)
    if low > high:
        raise bad(space.path, f"min {low!r} is above max {high!r}")
    if step is not None and step <= 0:
        raise bad(space.at("step"), f"is {step!r}: it must be above 0")
    return low, high, step


def _end(space: Section, key: str, kind: str) -> float:
    raw = space.take(key)
    number = number_or_text(raw)
    if isinstance(number, int | float) and not isinstance(number, bool) and fits(number):
        if kind == "double":
            return float(number)
        if number == int(number) and fits(int(number)):
            return int(number)
    found = "is missing" if raw is None else f"is {raw!r:.100}"
    wanted = "a number" if kind == "double" else "an integer"
    raise bad(space.at(key), f"{found}: it must be {wanted}, written as a text")


def number_or_text(raw: Any) -> Any:
    """A text that spells a number as that number."""
    if not isinstance(raw, str):
        return raw
    for number in (int, float):
        try:
            value = number(raw)
        except ValueError:
            continue
        if fits(value):
            return value
    return raw


def _points(space: Section, kind: str) -> list[float]:
    low, high, step = _ends(space, kind)
    if step is None and kind == "double":
        raise bad(space.at("step"), "is missing: a grid needs it for a double")
    space.leave("distribution", "a grid takes every value once: it has no effect")
    step = step or 1
    if not high - low < step * MOST_POINTS:
        raise bad(space.path, f"a grid takes at most {MOST_POINTS:,} values: raise step")
    count = math.floor((high - low) / step * (1 + 1e-12) + 1e-12) + 1
    return [times_step(k, step, low) for k in range(count)]


def _range(space: Section, kind: str, *, ordered: bool) -> Any:
    low, high, step = _ends(space, kind)
    name = space.one_of("distribution", _DISTRIBUTIONS, "uniform")
    whole = kind == "int"
    if name in ("logUniform", "logNormal") and low <= 0:
        raise bad(space.at("min"), f"is {low!r}: a logarithmic range lies above 0")
    if name in ("normal", "logNormal"):
        place = Place(space.path, space.notes, ordered=ordered)
        return _normal(name, low, high, step or (1 if whole else None), place)
    prefix = "log" if name == "logUniform" else ""
    ends: dict[str, Any] = {"min": low, "max": high}
    if step is None or (whole and step == 1):
        return {f"{prefix}{'randint' if whole else 'uniform'}": ends}
    if prefix:
        return {f"q{prefix}{'randint' if whole else 'uniform'}": {**ends, "step": step}}
    return {"qrandint" if whole else "quniform": {**ends, "step": step}}


def _normal(name: str, low: float, high: float, step: float | None, place: Place) -> Any:
    if name == "logNormal":
        low, high = math.log(low), math.log(high)
    mean, std = (low + high) / 2, (high - low) / 6
    if std == 0:
        raise bad(place.path, "min and max are equal, so that nothing varies: give a list")
    if step is None:
        return {name.lower(): {"mean": mean, "std": std}}
    rounded = quantised.normal if name == "normal" else quantised.lognormal
    return rounded(mean, std, step, place)
