"""Values of parameters: what they may be, when two are the same, and multiples of a step.

Multiples are counted in exact arithmetic on the step as it is written, so that three
steps of 0.1 are 0.3 and a value half-way between two of them is seen to be so.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from sweep.metric import SpecModel

Scalar = bool | int | float | str | None
Value = Scalar | Sequence["Value"] | Mapping[str, "Value"]


class KindModel(SpecModel):
    """A kind of parameter."""

    @property
    def ends(self) -> tuple[float, float]:
        """The numbers between which its values lie, when it is numeric."""
        return -math.inf, math.inf

    @property
    def steps(self) -> "Steps | None":
        """Where its values stand; None when they are not steps apart."""
        return None


@dataclass(frozen=True)
class Steps:
    """Numbers that are steps apart, each told by its count of steps from `start`."""

    step: float
    start: float = 0
    fewest: float = -math.inf
    most: float = math.inf
    highest: float = math.inf
    """No number is above it, even if the steps as they are written lead a hair past it."""

    def at(self, count: int) -> float:
        """The number at a count, or at the end that the count is beyond."""
        return min(times_step(self._inside(count), self.step, self.start), self.highest)

    def nearest(self, value: float) -> int:
        """The count of the number nearest to a value."""
        return self._inside(round((value - self.start) / self.step))

    def _inside(self, count: int) -> int:
        return int(min(max(count, self.fewest), self.most))


def same(a: object, b: object) -> bool:
    """Whether two values are the same in JSON: true is not 1, and 1 is 1.0."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def read_number(value: object) -> float:
    """A finite number as a float; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("needs a number")
    return float(value)


def read_integer(value: object) -> int:
    """An integer; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("needs an integer")
    return value


def check_inside(value: float, low: float, high: float) -> None:
    """ValueError for a number outside a range whose ends belong to it."""
    if not low <= value <= high:
        raise ValueError(f"must lie between {low!r} and {high!r}")


@lru_cache(maxsize=1_024)
def _written(number: float) -> Fraction:
    """The number as it is written, exactly; kept, since a sweep has few and reading one is slow."""
    return Fraction(repr(number))


def times_step(count: int, step: float, start: float = 0) -> float:
    """`start` and `count` steps, as the number nearest to what is written: 3 of 0.1 are 0.3.

    An integer where both numbers are.
    """
    if isinstance(step, int) and isinstance(start, int):
        return start + count * step
    a, b = _written(start), _written(step)
    whole = a.numerator * b.denominator + count * b.numerator * a.denominator
    return whole / (a.denominator * b.denominator)  # integers: quick, and rounded once


def nearest_count(value: float, step: float) -> int:
    """How many steps lie nearest to a value; half a step counts up."""
    return math.floor(Fraction(value) / _written(step) + Fraction(1, 2))


def as_multiple(value: float, step: float) -> float:
    """The multiple of `step` that a value is, up to a billionth of a step; else ValueError."""
    multiple = times_step(nearest_count(value, step), step)
    if abs(multiple - value) > step * 1e-9:
        raise ValueError(f"must be a multiple of {step!r}")
    return multiple


def counts_inside(low: float, high: float, step: float) -> tuple[int, int]:
    """The counts of steps that are in a range, first and last."""
    each = _written(step)
    return math.ceil(_written(low) / each), math.floor(_written(high) / each)


def canonical(value: Any) -> str:
    """One text for all values that are the same."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def place_of(values: Sequence[Any], value: object) -> int | None:
    """Where the first of `values` stands that is the same as a value; None when none is."""
    place = -1
    for _ in range(values.count(value)):  # true equals 1 here, so an equal one may not be the same
        place = values.index(value, place + 1)
        if same(values[place], value):
            return place
    return None


def one_of(values: Sequence[Any], value: object) -> Value:
    """The one of `values` that is the same as a value; ValueError when none is."""
    place = place_of(values, value)
    if place is not None:
        found: Value = values[place]
        return found
    shown = ", ".join(map(repr, values[:10])) + (", …" if len(values) > 10 else "")
    raise ValueError(f"must be one of {shown}")


def check_multiples(low: float, high: float, step: float) -> None:
    """Refuse a range that holds no multiple of a step.

    Raises:
        ValueError: with the range.
    """
    first, last = counts_inside(low, high, step)
    if first > last:
        raise ValueError(f"no multiple of step {step!r} lies between {low!r} and {high!r}")
