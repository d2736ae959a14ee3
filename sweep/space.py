"""The search space of a spec, enumerated.

Trial i is a function of (spec, seed, i) and nothing else. A space is a stream of
*candidates*: candidate c takes grid point c mod G (the last grid parameter varies
fastest) and, where parameters are drawn, draw number c // G. The candidates that
no `exclude` condition holds for are the *assignments*; `replicates` turns each
assignment into that many trials.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweep.errors import FieldProblem, SpecError, SpecTooLarge
from sweep.expressions import ConditionEvaluator
from sweep.parameters import Grid, Kind, Value, kinds_in
from sweep.searches import GridSearch, SobolSearch
from sweep.spec import SweepSpec

MAX_TRIALS = 1_000_000
_CANDIDATES_PER_ASSIGNMENT = 1_000
_SOBOL_BLOCK = 1_024


@dataclass(frozen=True)
class PlannedTrial:
    """A trial as the spec defines it."""

    index: int
    assignment: int
    replicate: int
    seed: int
    group: str
    parameters: Mapping[str, Value]


def derive(seed: int, *labels: int | str) -> int:
    """A 63-bit number that depends on the seed and the labels alone."""
    text = "/".join(str(part) for part in (seed, *labels))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def unit(seed: int, *labels: int | str) -> float:
    """A number in [0, 1) that depends on the seed and the labels alone."""
    return (derive(seed, *labels) >> 10) / 2**53


def lookup(parameters: Mapping[str, Any], path: str) -> Value:
    """The value at a dotted path; None where an assignment has nothing there."""
    value: Any = parameters
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    found: Value = value
    return found


def group_key(parameters: Mapping[str, Value], group_by: Sequence[str]) -> str:
    """The group's values as canonical JSON; `{}` when all trials are one group."""
    values = {path: lookup(parameters, path) for path in group_by}
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


class Space:
    """The trials of a spec, counted and enumerated."""

    def __init__(self, spec: SweepSpec) -> None:
        self._spec = spec
        self._excluded = ConditionEvaluator(spec.exclude)
        kinds = kinds_in(spec.parameters)
        self._grids = [(path, kind) for path, kind in kinds if isinstance(kind, Grid)]
        self._drawn = [(path, kind) for path, kind in kinds if not isinstance(kind, Grid)]
        self._sobol_cache: tuple[int, list[list[float]]] = (-1, [])

    @cached_property
    def grid_points(self) -> int:
        """How many points the grid parameters span, by multiplication alone."""
        return math.prod(len(grid.values) for _, grid in self._grids)

    @cached_property
    def upper_bound(self) -> int:
        """The number of trials before any exclusion, by multiplication alone."""
        search = self._spec.search
        points = self.grid_points if isinstance(search, GridSearch) else search.num_trials
        return points * self._spec.replicates

    def check(self, limit: int = MAX_TRIALS) -> None:
        """Refuse a space that is too large, leaves grid points out or groups by nothing.

        Raises:
            SpecError, SpecTooLarge: saying what to change.
        """
        if self.upper_bound > limit:
            raise SpecTooLarge(
                f"the sweep has {self.upper_bound:,} trials and this service takes at most "
                f"{limit:,} in one: narrow the grid, or use search type random with num_trials"
            )
        search = self._spec.search
        if not isinstance(search, GridSearch) and search.num_trials < self.grid_points:
            raise SpecError(
                [
                    FieldProblem(
                        "search.num_trials",
                        f"{search.num_trials} is below the {self.grid_points:,} grid points, so "
                        "some would never run: raise it, or use choice instead of grid",
                    )
                ]
            )
        sample = self._candidate(0)
        for i, path in enumerate(self._spec.early_stopping.group_by):
            if path.split(".")[0] not in sample:
                raise SpecError(
                    [
                        FieldProblem(
                            f"early_stopping.group_by[{i}]",
                            f"there is no parameter {path!r}; there are {', '.join(sample)}",
                        )
                    ]
                )

    def trials(self) -> Iterator[PlannedTrial]:
        """Every trial in the order of its index.

        Raises:
            SpecError: when `exclude` leaves nothing, or too little, of the space.
        """
        spec, index = self._spec, 0
        for assignment, parameters in enumerate(self._assignments()):
            group = group_key(parameters, spec.early_stopping.group_by)
            for replicate in range(spec.replicates):
                seed = derive(spec.search.seed, "trial", index) % 2**31
                yield PlannedTrial(index, assignment, replicate, seed, group, parameters)
                index += 1

    def _assignments(self) -> Iterator[dict[str, Value]]:
        search = self._spec.search
        if isinstance(search, GridSearch):
            wanted = candidates = self.grid_points
        else:
            wanted = search.num_trials
            candidates = wanted * _CANDIDATES_PER_ASSIGNMENT if self._spec.exclude else wanted
        kept = 0
        for c in range(candidates):
            parameters = self._candidate(c)
            if self._excluded.any_true(parameters):
                continue
            yield parameters
            kept += 1
            if kept == wanted:
                return
        if kept == 0 or not isinstance(search, GridSearch):
            raise SpecError(
                [
                    FieldProblem(
                        "exclude",
                        f"leaves {kept:,} of the {candidates:,} assignments tried"
                        + ("" if kept == 0 else f", and {wanted:,} are asked for")
                        + ": loosen the conditions",
                    )
                ]
            )

    def _candidate(self, c: int) -> dict[str, Value]:
        chosen: dict[tuple[str, ...], Value] = {}
        point, draw = c % self.grid_points, c // self.grid_points
        for path, grid in reversed(self._grids):
            point, position = divmod(point, len(grid.values))
            chosen[path] = grid.values[position]
        if isinstance(self._spec.search, SobolSearch):
            units = self._sobol_point(draw)
        else:
            units = [unit(self._spec.search.seed, c, *path) for path, _ in self._drawn]
        for (path, kind), u in zip(self._drawn, units, strict=True):
            chosen[path] = kind.sample(u)
        return _fill(self._spec.parameters, chosen, ())

    def _sobol_point(self, draw: int) -> list[float]:
        block, offset = divmod(draw, _SOBOL_BLOCK)
        if self._sobol_cache[0] != block:
            self._sobol_cache = (block, self._sobol_block(block))
        return self._sobol_cache[1][offset]

    def _sobol_block(self, block: int) -> list[list[float]]:
        from scipy.stats import qmc  # slow to import, and needed by this search alone

        engine = qmc.Sobol(d=len(self._drawn), scramble=True, rng=self._spec.search.seed)
        if block:
            engine.fast_forward(block * _SOBOL_BLOCK)
        points: list[list[float]] = engine.random(_SOBOL_BLOCK).tolist()
        return points


def _fill(
    nodes: Mapping[str, Any], chosen: Mapping[tuple[str, ...], Value], path: tuple[str, ...]
) -> dict[str, Value]:
    filled: dict[str, Value] = {}
    for key, node in nodes.items():
        here = (*path, key)
        if isinstance(node, Kind):
            filled[key] = chosen[here]
        elif isinstance(node, Mapping):
            filled[key] = _fill(node, chosen, here)
        else:
            filled[key] = node
    return filled
