"""How a population explores: a donor's parameters, some of them changed a little. No I/O.

Every random number is a function of the spec's seed, the trial and the step, so that a
driver that takes over repeats what its predecessor would have done.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweep.expressions import ConditionEvaluator
from sweep.parameters import Choice, Grid, Kind, Value, kinds_in
from sweep.plain import has
from sweep.population import replaced
from sweep.space import lookup, unit
from sweep.spec import SweepSpec
from sweep.stopping import Pbt
from sweep.values import place_of

Draw = Callable[[str], float]
"""A number in [0, 1) for each purpose."""

_TRIES = 20


class Explorer:
    """Explores the parameters that a spec's rule names."""

    def __init__(self, rule: Pbt, spec: SweepSpec) -> None:
        self._rule = rule
        self._seed = spec.search.seed
        self._excluded = ConditionEvaluator(spec.exclude, spec.parameters)
        self._kinds = {
            path: k for path, k in kinds_in(spec.parameters) if ".".join(path) in rule.perturb
        }

    def explore(self, parameters: Mapping[str, Any], *, trial: int, step: int) -> dict[str, Any]:
        """A donor's parameters, explored for a trial at a step.

        What `exclude` forbids is explored again; the donor's own parameters are the answer
        when that leads nowhere.
        """
        for again in range(_TRIES):
            explored = dict(parameters)
            for path, kind in self._kinds.items():
                explored = self._changed(explored, path, kind, (trial, step, again))
            if self._excluded.allows(explored):
                return explored
        return dict(parameters)

    def _changed(
        self, parameters: Mapping[str, Any], path: Sequence[str], kind: Kind, at: Sequence[int]
    ) -> dict[str, Any]:
        name = ".".join(path)

        def draw(purpose: str) -> float:
            return unit(self._seed, "explore", *at, name, purpose)

        if not has(parameters, path):
            return dict(parameters)
        if draw("resample") < self._rule.resample_probability:
            return replaced(parameters, path, kind.sample(draw("value")))
        value = lookup(parameters, name)
        factors = self._rule.perturb[name].factors
        return replaced(parameters, path, perturbed(kind, value, factors, draw))


def perturbed(kind: Kind, value: Value, factors: Sequence[float], draw: Draw) -> Value:
    """A value near another of a kind: a neighbour in a list, a multiple of a number.

    A value that is none of the kind's is drawn anew.

    Args:
        kind: the parameter's.
        value: what it is now.
        factors: one of them multiplies a number.
        draw: where the random numbers come from.
    """
    if isinstance(kind, Choice | Grid):
        place = place_of(kind.values, value)
        return _new(kind, draw) if place is None else _neighbour(kind.values, place, draw)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _new(kind, draw)
    factor = factors[min(int(draw("factor") * len(factors)), len(factors) - 1)]
    return fitted(kind, value * factor, old=value)


def fitted(kind: Kind, value: float, *, old: float) -> float:
    """The value of a numeric kind next to a number, in its range.

    Where values are steps apart and the number is nearer to `old` than to any other, it is the
    next one on that side: a small count is not stuck.
    """
    if kind.steps is None:
        low, high = kind.ends
        return min(max(value, low), high)
    count, before = kind.steps.nearest(value), kind.steps.nearest(old)
    if count == before and value != old:
        count += 1 if value > old else -1
    return kind.steps.at(count)


def _neighbour(values: Sequence[Any], place: int, draw: Draw) -> Value:
    place += 1 if draw("side") < 0.5 else -1
    chosen: Value = values[min(max(place, 0), len(values) - 1)]
    return chosen


def _new(kind: Kind, draw: Draw) -> Value:
    return kind.sample(draw("value"))
