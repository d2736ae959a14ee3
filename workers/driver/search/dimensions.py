"""The kinds of a spec as Optuna's distributions, and values there and back.

Kinds that Optuna knows are its own distributions. Listed values are told by their
position, steps by their number. All others are searched over the unit interval, through
the kind's quantile function.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from sweep.parameters import (
    Choice,
    Grid,
    Kind,
    LogRandInt,
    LogUniform,
    QRandInt,
    QUniform,
    RandInt,
    Uniform,
    Value,
    kinds_in,
)
from sweep.plain import find, has
from sweep.values import place_of

Inner = float | int
"""What Optuna knows of a value: itself, a position, a number of steps, or a unit."""

_ABSENT = object()
_LAST_UNIT = 1 - 2**-53
_BISECTIONS = 60
_KEPT = 100_000
"""Numbers whose unit is kept: each proposal shows the sampler every value again."""


@dataclass(frozen=True)
class Dimension:
    """One kind of the space, as Optuna sees it."""

    path: tuple[str, ...]
    kind: Kind
    distribution: BaseDistribution
    to_value: Callable[[Any], Value]
    to_inner: Callable[[Any], Inner | None]
    """None for a value that is not of the kind."""

    @property
    def name(self) -> str:
        """Its name in Optuna."""
        return ".".join(self.path)

    def at(self, unit: float) -> Inner:
        """What Optuna knows of the value at a unit."""
        if isinstance(self.distribution, CategoricalDistribution):
            return int(unit * len(self.distribution.choices))
        inner = self.to_inner(self.kind.sample(unit))
        assert inner is not None, "a sample is of the kind"
        return inner

    def suggest(self, trial: Trial) -> Value:
        """The value that the sampler of a trial's study has for it."""
        match self.distribution:
            case FloatDistribution(low=low, high=high, log=log):
                inner: Any = trial.suggest_float(self.name, low, high, log=log)
            case IntDistribution(low=low, high=high, log=log):
                inner = trial.suggest_int(self.name, low, high, log=log)
            case CategoricalDistribution(choices=choices):
                inner = trial.suggest_categorical(self.name, choices)
        return self.to_value(inner)


class Dimensions(Mapping[tuple[str, ...], Dimension]):
    """Every kind of a tree of parameters by its path."""

    def __init__(self, nodes: Mapping[str, Any]) -> None:
        self._found = {path: dimension_of(path, kind) for path, kind in kinds_in(nodes)}

    def __getitem__(self, path: tuple[str, ...]) -> Dimension:
        return self._found[path]

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def inner(self, parameters: Mapping[str, Any]) -> dict[str, Inner]:
        """What Optuna knows of an assignment: the parameters that are there and fit."""
        found = {}
        for path, dimension in self._found.items():
            value = find(parameters, path, _ABSENT)
            inner = None if value is _ABSENT else dimension.to_inner(value)
            if inner is not None:
                found[dimension.name] = inner
        return found

    def missing(self, parameters: Mapping[str, Any]) -> list[tuple[str, ...]]:
        """The paths of those that an assignment is without."""
        return [path for path in self._found if not has(parameters, path)]


def dimension_of(path: tuple[str, ...], kind: Kind) -> Dimension:
    """The dimension of the kind at a path."""
    match kind:
        case Grid() | Choice():
            return _listed(path, kind)
        case Uniform():
            known: BaseDistribution = FloatDistribution(kind.min, kind.max)
        case LogUniform():
            known = FloatDistribution(kind.min, kind.max, log=True)
        case RandInt():
            known = IntDistribution(kind.min, kind.max)
        case LogRandInt():
            known = IntDistribution(kind.min, kind.max, log=True)
        case QUniform() | QRandInt():
            return _stepped(path, kind)
        case _:
            return _by_unit(path, kind)
    number = float if isinstance(known, FloatDistribution) else int
    return Dimension(path, kind, known, number, lambda value: _accepted(kind, value))


def _accepted(kind: Kind, value: Any) -> Any:
    """The value as the kind has it; None when it is none of the kind."""
    try:
        return kind.accept(value)
    except ValueError:
        return None


def _listed(path: tuple[str, ...], kind: Grid | Choice) -> Dimension:
    values = kind.values

    known = CategoricalDistribution(tuple(range(len(values))))
    return Dimension(
        path, kind, known, lambda position: values[position], partial(place_of, values)
    )


def _stepped(path: tuple[str, ...], kind: QUniform | QRandInt) -> Dimension:
    steps = kind.steps

    def to_inner(value: Any) -> Inner | None:
        number = _accepted(kind, value)
        return None if number is None else steps.nearest(number)

    known = IntDistribution(0, int(steps.most))
    return Dimension(path, kind, known, steps.at, to_inner)


def _by_unit(path: tuple[str, ...], kind: Kind) -> Dimension:
    def drawn(unit: float) -> Any:
        return kind.sample(min(unit, _LAST_UNIT))

    @lru_cache(maxsize=_KEPT)
    def unit_of(number: float) -> float:
        first = _first_unit(lambda unit: bool(drawn(unit) >= number))
        past = _first_unit(lambda unit: bool(drawn(unit) > number))
        return (first + past) / 2

    def to_inner(value: Any) -> Inner | None:
        number = _accepted(kind, value)
        return None if number is None else unit_of(number)

    return Dimension(path, kind, FloatDistribution(0.0, 1.0), drawn, to_inner)


def _first_unit(holds: Callable[[float], bool]) -> float:
    """Where a condition that holds from some unit on begins to; 1 when it never does."""
    low, high = 0.0, 1.0
    if holds(low):
        return low
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
