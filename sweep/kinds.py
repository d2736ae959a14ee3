"""The kinds of parameter: what each may be, and how it is drawn.

`sample` maps a number of the unit interval to a value, by the kind's quantile function,
so that random and quasi-random search share one definition. `accept` is the other way
in: it takes a value that somebody else chose, or raises ValueError and says why it is
none of the kind.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from sweep.distributions import Beta, LogNormal, Normal, QLogNormal, QNormal
from sweep.values import (
    KindModel,
    Steps,
    Value,
    as_multiple,
    check_inside,
    check_multiples,
    counts_inside,
    nearest_count,
    one_of,
    read_integer,
    read_number,
)


def _pick(count: int, unit: float) -> int:
    """An index of `count` equally likely ones for a unit-interval number."""
    return min(int(unit * count), count - 1)


class Grid(KindModel):
    """Every value in turn."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grid": [16, 32, 64]}]})

    kind: Literal["grid"] = "grid"
    values: tuple[Any, ...] = Field(min_length=1)

    def sample(self, unit: float) -> Value:
        """The value at position `unit` in [0, 1) of the list."""
        chosen: Value = self.values[_pick(len(self.values), unit)]
        return chosen

    def accept(self, value: object) -> Value:
        """The value of the list that is the same; ValueError when none is."""
        return one_of(self.values, value)


class Choice(KindModel):
    """One of the values, by weight (equal when none are given)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"choice": ["relu", "selu"]},
                {"choice": {"values": ["adam", "sgd"], "weights": [3, 1]}},
            ]
        }
    )

    kind: Literal["choice"] = "choice"
    values: tuple[Any, ...] = Field(min_length=1)
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.weights is None:
            return self
        if len(self.weights) != len(self.values):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.values)} values: give one for each"
            )
        if not sum(self.weights) > 0:
            raise ValueError("the weights sum to 0: at least one must be above 0")
        return self

    def sample(self, unit: float) -> Value:
        """The value whose share of the unit interval holds `unit`."""
        if self.weights is None:
            chosen: Value = self.values[_pick(len(self.values), unit)]
            return chosen
        target, passed = unit * sum(self.weights), 0.0
        for value, weight in zip(self.values, self.weights, strict=True):
            passed += weight
            if target < passed:
                return value  # type: ignore[no-any-return]
        last = max(i for i, weight in enumerate(self.weights) if weight > 0)
        chosen = self.values[last]
        return chosen

    def accept(self, value: object) -> Value:
        """The value of the list that is the same; ValueError when none is."""
        return one_of(self.values, value)


class _FloatRange(KindModel):
    min: float
    max: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min!r} is above max {self.max!r}")
        if math.isinf(self.max - self.min):
            raise ValueError("max - min is more than a number can be: narrow the range")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """`min` and `max`."""
        return self.min, self.max

    def _clamp(self, value: float) -> float:
        return min(max(value, self.min), self.max)

    def accept(self, value: object) -> float:
        """The value as a float; ValueError when it is outside the range."""
        number = read_number(value)
        check_inside(number, self.min, self.max)
        return number


class _IntRange(KindModel):
    min: int = Field(strict=True)
    max: int = Field(strict=True)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min!r} is above max {self.max!r}")
        return self

    @property
    def ends(self) -> tuple[int, int]:
        """`min` and `max`."""
        return self.min, self.max

    @property
    def steps(self) -> Steps:
        """The integers from `min` to `max`."""
        return Steps(1, fewest=self.min, most=self.max)

    def accept(self, value: object) -> int:
        """The value; ValueError when it is no integer of the range."""
        number = read_integer(value)
        check_inside(number, self.min, self.max)
        return number


class Uniform(_FloatRange):
    """A real number, uniform between min and max."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"uniform": {"min": 0.0, "max": 0.5}}]}
    )

    kind: Literal["uniform"] = "uniform"

    def sample(self, unit: float) -> float:
        """Min + unit (max - min)."""
        return self._clamp(self.min + unit * (self.max - self.min))


class _LogFloatRange(_FloatRange):
    min: float = Field(gt=0)
    max: float = Field(gt=0)

    def _draw(self, unit: float) -> float:
        low, high = math.log(self.min), math.log(self.max)
        return self._clamp(math.exp(low + unit * (high - low)))


class LogUniform(_LogFloatRange):
    """A positive real number whose logarithm is uniform between those of min and max."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"loguniform": {"min": 1e-4, "max": 0.1}}]}
    )

    kind: Literal["loguniform"] = "loguniform"

    def sample(self, unit: float) -> float:
        """Min (max / min) ** unit, by way of logarithms."""
        return self._draw(unit)


class QUniform(_FloatRange):
    """One of min, min + step, min + 2 step, … up to max, equally likely."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"quniform": {"min": 0.1, "max": 0.9, "step": 0.2}}]}
    )

    kind: Literal["quniform"] = "quniform"
    step: float = Field(gt=0)

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if not math.isfinite((self.max - self.min) / self.step):
            raise ValueError(f"step {self.step!r} is too small for the range")
        return self

    @property
    def _count(self) -> int:
        return math.floor((self.max - self.min) / self.step * (1 + 1e-12) + 1e-12) + 1

    @property
    def steps(self) -> Steps:
        """`min` and its steps up to `max`."""
        return Steps(self.step, self.min, fewest=0, most=self._count - 1, highest=self.max)

    def sample(self, unit: float) -> float:
        """The quantised value at `unit`."""
        return self.steps.at(_pick(self._count, unit))

    def accept(self, value: object) -> float:
        """The quantised value that it is; ValueError when it is none."""
        number = super().accept(value)
        steps = self.steps
        quantised = steps.at(steps.nearest(number))
        if abs(quantised - number) > self.step * 1e-9:
            raise ValueError(f"must be {self.min!r} and some steps of {self.step!r}")
        return quantised


class QLogUniform(_LogFloatRange):
    """The multiple of step, of those from min to max, nearest to a log-uniform number.

    Half a step counts up. The draw is that of `loguniform` between min and max.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"qloguniform": {"min": 0.1, "max": 10, "step": 0.1}}]}
    )

    kind: Literal["qloguniform"] = "qloguniform"
    step: float = Field(gt=0)

    @model_validator(mode="after")
    def _holds_a_multiple(self) -> Self:
        check_multiples(self.min, self.max, self.step)
        return self

    @property
    def steps(self) -> Steps:
        """The multiples of `step` in the range."""
        first, last = counts_inside(self.min, self.max, self.step)
        return Steps(self.step, fewest=first, most=last)

    def sample(self, unit: float) -> float:
        """The multiple nearest to the draw at `unit`."""
        return self.steps.at(nearest_count(self._draw(unit), self.step))

    def accept(self, value: object) -> float:
        """The multiple that it is; ValueError when it is none in the range."""
        return as_multiple(super().accept(value), self.step)


class RandInt(_IntRange):
    """An integer from min to max, both included, equally likely."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"randint": {"min": 1, "max": 8}}]})

    kind: Literal["randint"] = "randint"

    def sample(self, unit: float) -> int:
        """The integer at `unit`."""
        return self.min + _pick(self.max - self.min + 1, unit)


class QRandInt(_IntRange):
    """One of min, min + step, min + 2 step, … up to max, equally likely; integers."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"qrandint": {"min": 32, "max": 256, "step": 32}}]}
    )

    kind: Literal["qrandint"] = "qrandint"
    step: int = Field(ge=1, strict=True)

    @property
    def steps(self) -> Steps:
        """`min` and its steps up to `max`."""
        return Steps(self.step, self.min, fewest=0, most=(self.max - self.min) // self.step)

    def sample(self, unit: float) -> int:
        """The quantised integer at `unit`."""
        return int(self.steps.at(_pick((self.max - self.min) // self.step + 1, unit)))

    def accept(self, value: object) -> int:
        """The value; ValueError when it is none of the quantised integers."""
        number = super().accept(value)
        if (number - self.min) % self.step:
            raise ValueError(f"must be {self.min} and some steps of {self.step}")
        return number


class _LogIntRange(_IntRange):
    min: int = Field(ge=1, strict=True)

    def _draw(self, unit: float) -> int:
        low, high = math.log(self.min), math.log(self.max + 1)
        return min(max(math.floor(math.exp(low + unit * (high - low))), self.min), self.max)


class LogRandInt(_LogIntRange):
    """An integer from min to max, both included, uniform on a logarithmic scale."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"lograndint": {"min": 8, "max": 512}}]}
    )

    kind: Literal["lograndint"] = "lograndint"

    def sample(self, unit: float) -> int:
        """Floor of a log-uniform number in [min, max + 1)."""
        return self._draw(unit)


class QLogRandInt(_LogIntRange):
    """The multiple of step, of those from min to max, nearest to a draw of `lograndint`.

    Half a step counts up.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"qlograndint": {"min": 16, "max": 1024, "step": 16}}]}
    )

    kind: Literal["qlograndint"] = "qlograndint"
    step: int = Field(ge=1, strict=True)

    @model_validator(mode="after")
    def _holds_a_multiple(self) -> Self:
        check_multiples(self.min, self.max, self.step)
        return self

    @property
    def steps(self) -> Steps:
        """The multiples of `step` in the range."""
        first, last = counts_inside(self.min, self.max, self.step)
        return Steps(self.step, fewest=first, most=last)

    def sample(self, unit: float) -> int:
        """The multiple nearest to the draw at `unit`."""
        return int(self.steps.at(nearest_count(self._draw(unit), self.step)))

    def accept(self, value: object) -> int:
        """The value; ValueError when it is no multiple in the range."""
        number = super().accept(value)
        if number % self.step:
            raise ValueError(f"must be a multiple of {self.step}")
        return number


Kind = (
    Grid | Choice
    | Uniform | QUniform | LogUniform | QLogUniform
    | RandInt | QRandInt | LogRandInt | QLogRandInt
    | Normal | QNormal | LogNormal | QLogNormal
    | Beta
)  # fmt: skip

KINDS: Mapping[str, type[Kind]] = {
    "grid": Grid,
    "choice": Choice,
    "uniform": Uniform,
    "quniform": QUniform,
    "loguniform": LogUniform,
    "qloguniform": QLogUniform,
    "randint": RandInt,
    "qrandint": QRandInt,
    "lograndint": LogRandInt,
    "qlograndint": QLogRandInt,
    "normal": Normal,
    "qnormal": QNormal,
    "lognormal": LogNormal,
    "qlognormal": QLogNormal,
    "beta": Beta,
}

INTEGER_KINDS = (RandInt, QRandInt, LogRandInt, QLogRandInt)
"""The kinds whose every draw is an integer."""
