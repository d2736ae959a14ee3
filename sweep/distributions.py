"""The kinds of parameter drawn from the normal family and the beta distribution."""

import math
import sys
from statistics import NormalDist
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from sweep.values import (
    KindModel,
    Steps,
    as_multiple,
    check_inside,
    nearest_count,
    read_number,
)

_LAST_UNIT = math.nextafter(1.0, 0.0)
_FARTHEST = 40
"""No quantile of a normal distribution is asked for that lies further out, in `std`."""
_HIGHEST = 9
"""Nor one that lies higher: the last number below 1 has a quantile of 8.2."""
_LARGEST_EXPONENT = math.log(sys.float_info.max)


class _NormalBase(KindModel):
    mean: float
    std: float = Field(gt=0)

    def _quantile(self, unit: float) -> float:
        """The quantile of `unit`; the interval's ends count as the nearest number inside."""
        inside = min(max(unit, sys.float_info.min), _LAST_UNIT)
        return NormalDist(self.mean, self.std).inv_cdf(inside)


class _LogNormalBase(_NormalBase):
    @model_validator(mode="after")
    def _finite(self) -> Self:
        if self.mean + _HIGHEST * self.std > _LARGEST_EXPONENT:
            raise ValueError(
                f"mean {self.mean!r} and std {self.std!r} are those of the natural logarithm: "
                "the largest draws would not be finite"
            )
        return self

    def _draw(self, unit: float) -> float:
        return max(math.exp(self._quantile(unit)), sys.float_info.min)


class Normal(_NormalBase):
    """A normally distributed real number."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"normal": {"mean": 0.0, "std": 1.0}}]}
    )

    kind: Literal["normal"] = "normal"

    def sample(self, unit: float) -> float:
        """The quantile of `unit`."""
        return self._quantile(unit)

    def accept(self, value: object) -> float:
        """The value as a float; ValueError when it is no number."""
        return read_number(value)


class QNormal(_NormalBase):
    """The multiple of step nearest to a normally distributed number; half a step counts up."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"qnormal": {"mean": 64, "std": 16, "step": 4}}]}
    )

    kind: Literal["qnormal"] = "qnormal"
    step: float = Field(gt=0)

    @property
    def steps(self) -> Steps:
        """The multiples of `step`."""
        return Steps(self.step)

    @model_validator(mode="after")
    def _finite(self) -> Self:
        if not math.isfinite(abs(self.mean) + _FARTHEST * self.std):
            raise ValueError(f"std {self.std!r} is too large for finite numbers")
        return self

    def sample(self, unit: float) -> float:
        """The multiple nearest to the quantile of `unit`."""
        return self.steps.at(nearest_count(self._quantile(unit), self.step))

    def accept(self, value: object) -> float:
        """The multiple that it is; ValueError when it is none."""
        return as_multiple(read_number(value), self.step)


class LogNormal(_LogNormalBase):
    """A positive number whose natural logarithm is normal with that mean and std."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"lognormal": {"mean": -7.0, "std": 1.0}}]}
    )

    kind: Literal["lognormal"] = "lognormal"

    @property
    def ends(self) -> tuple[float, float]:
        """All numbers above 0."""
        return sys.float_info.min, math.inf

    def sample(self, unit: float) -> float:
        """The exponential of the normal quantile of `unit`."""
        return self._draw(unit)

    def accept(self, value: object) -> float:
        """The value as a float; ValueError when it is not above 0."""
        number = read_number(value)
        if number <= 0:
            raise ValueError("must be above 0")
        return number


class QLogNormal(_LogNormalBase):
    """The multiple of step nearest to a draw of `lognormal`; half a step counts up."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"qlognormal": {"mean": 4.0, "std": 0.5, "step": 8}}]}
    )

    kind: Literal["qlognormal"] = "qlognormal"
    step: float = Field(gt=0)

    @property
    def steps(self) -> Steps:
        """The multiples of `step` from 0 on."""
        return Steps(self.step, fewest=0)

    def sample(self, unit: float) -> float:
        """The multiple nearest to the draw at `unit`: 0 for one below half a step."""
        return self.steps.at(nearest_count(self._draw(unit), self.step))

    def accept(self, value: object) -> float:
        """The multiple that it is; ValueError when it is none from 0 on."""
        number = read_number(value)
        if number < 0:
            raise ValueError("must be 0 or above")
        return as_multiple(number, self.step)


class Beta(KindModel):
    """A number from 0 to 1 with the beta distribution of shapes a and b."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"beta": {"a": 2.0, "b": 5.0}}]})

    kind: Literal["beta"] = "beta"
    a: float = Field(gt=0)
    b: float = Field(gt=0)

    @property
    def ends(self) -> tuple[float, float]:
        """0 and 1."""
        return 0.0, 1.0

    def sample(self, unit: float) -> float:
        """The quantile of `unit`."""
        from scipy.special import betaincinv  # slow to import, and needed by this kind alone

        return float(betaincinv(self.a, self.b, unit))

    def accept(self, value: object) -> float:
        """The value as a float; ValueError when it is not from 0 to 1."""
        number = read_number(value)
        check_inside(number, 0.0, 1.0)
        return number
