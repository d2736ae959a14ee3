"""The search space of a spec, enumerated.

Trial i is a function of (spec, seed, i) and nothing else. A space is a stream of
*candidates*. Those of a grid search are its points, each once; the last parameter
varies fastest. Candidate c of a sampled search takes grid point c mod G and draw number
c // G. The points to evaluate, and then the candidates that no `exclude` condition holds
for, are the *assignments*; `replicates` turns each assignment into that many trials.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from sweep.assembling import Assembler, Path, distinct, is_known, known_names
from sweep.errors import FieldProblem, SpecError, SpecTooLarge
from sweep.expressions import ConditionEvaluator, names_in
from sweep.parameters import Grid, Kind, Value, kinds_in
from sweep.plain import find
from sweep.points import Point, complete, read_points
from sweep.searches import GridSearch, ModelSearch, SobolSearch, given_assignments
from sweep.spec import SweepSpec
from sweep.values import canonical

MAX_TRIALS = 1_000_000
_WAYS_OF_A_POINT = 1_000
_EXCLUDED_IN_A_ROW = 10_000
_EXCLUDED_IN_ALL = 1_000_000
"""Excluded candidates beyond the number of assignments: somebody waits for the answer."""
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
    found: Value = find(parameters, path.split("."))
    return found


def group_key(parameters: Mapping[str, Value], group_by: Sequence[str]) -> str:
    """The group's values as canonical JSON; `{}` when all trials are one group."""
    values = {path: lookup(parameters, path) for path in group_by}
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def replicated(
    spec: SweepSpec, assignment: int, parameters: Mapping[str, Value]
) -> Iterator[PlannedTrial]:
    """The trials of one assignment of the search."""
    group = group_key(parameters, spec.early_stopping.group_by)
    for replicate in range(spec.replicates):
        index = assignment * spec.replicates + replicate
        seed = derive(spec.search.seed, "trial", index) % 2**31
        yield PlannedTrial(index, assignment, replicate, seed, group, parameters)


class Space:
    """The trials of a spec, counted and enumerated."""

    def __init__(self, spec: SweepSpec) -> None:
        self._spec = spec
        self._excluded = ConditionEvaluator(spec.exclude, spec.parameters)
        self._assembler = Assembler(spec.parameters)
        kinds = kinds_in(spec.parameters)
        self._grids = {
            path: distinct(kind.values) for path, kind in kinds if isinstance(kind, Grid)
        }
        self._drawn = [path for path, kind in kinds if not isinstance(kind, Grid)]
        self._sobol_cache: tuple[int, list[list[float]]] = (-1, [])

    @cached_property
    def grid_points(self) -> int:
        """How many points the grid parameters span, by multiplication alone."""
        return math.prod(map(len, self._grids.values()))

    @cached_property
    def upper_bound(self) -> int:
        """The number of trials before any exclusion or condition, by multiplication alone."""
        search = self._spec.search
        points = self.grid_points if isinstance(search, GridSearch) else search.num_trials
        return points * self._spec.replicates

    def check(self, limit: int = MAX_TRIALS) -> None:
        """Refuse a space that is too large, leaves grid points out or names what is not there.

        Raises:
            SpecError, SpecTooLarge: saying what to change.
        """
        if self.upper_bound > limit and self._is_larger(limit):
            raise SpecTooLarge(
                f"the sweep has {self.upper_bound:,} trials and this service takes at most "
                f"{limit:,} in one: narrow the grid, or use search type random with num_trials"
            )
        problems = [*self._count_problems(), *self._name_problems()]
        if problems:
            raise SpecError(problems)
        self._points  # noqa: B018 - completing them is what refuses bad ones

    def _is_larger(self, limit: int) -> bool:
        """Whether a grid has more trials than the limit: conditions may leave few points of it."""
        if not self._assembler.is_conditional or not isinstance(self._spec.search, GridSearch):
            return True
        most = limit // self._spec.replicates
        return sum(1 for _ in islice(self._grid(), most + 1)) > most

    def _count_problems(self) -> Iterator[FieldProblem]:
        search = self._spec.search
        if isinstance(search, GridSearch):
            return
        given = len(search.points_to_evaluate)
        if given > search.num_trials:
            yield FieldProblem(
                "search.points_to_evaluate",
                f"{given:,} points are more than num_trials {search.num_trials:,}: "
                "they count towards it",
            )
        elif isinstance(search, ModelSearch):
            return  # which of the grid points run, the search decides
        elif search.num_trials - given < self.grid_points:
            counted = f" less {given:,} points to evaluate" if given else ""
            yield FieldProblem(
                "search.num_trials",
                f"{search.num_trials:,}{counted} is below the {self.grid_points:,} grid points, so "
                "some would never run: raise it, or use choice instead of grid",
            )

    def _name_problems(self) -> Iterator[FieldProblem]:
        nodes = self._spec.parameters
        for i, path in enumerate(self._spec.early_stopping.group_by):
            if not is_known(nodes, path):
                there = ", ".join(known_names(nodes))
                yield FieldProblem(
                    f"early_stopping.group_by[{i}]",
                    f"there is no parameter {path!r}; there are {there}",
                )
        for i, source in enumerate(self._spec.exclude):
            for name in names_in(source):
                if not is_known(nodes, name):
                    yield FieldProblem(
                        f"exclude[{i}]",
                        f"names {name!r}, which is no parameter; there are {', '.join(nodes)}",
                    )

    def trials(self) -> Iterator[PlannedTrial]:
        """Every trial in the order of its index; of a model-based search, those it is given.

        Raises:
            SpecError: when `exclude` leaves nothing, or too little, of the space.
        """
        for assignment, parameters in enumerate(self._assignments()):
            yield from replicated(self._spec, assignment, parameters)

    def _assignments(self) -> Iterator[dict[str, Value]]:
        yield from self._points
        if isinstance(self._spec.search, GridSearch):
            yield from self._rest_of_the_grid()
        else:
            wanted = self._spec.search.num_trials
            if isinstance(self._spec.search, ModelSearch):
                wanted = given_assignments(self._spec.search)
            yield from self._draws(wanted - len(self._points))

    def _rest_of_the_grid(self) -> Iterator[dict[str, Value]]:
        """The points that are neither excluded nor came first."""
        done = {canonical(point) for point in self._points}
        kept, tried = len(done), 0
        for parameters in self._grid():
            tried += 1
            if self._excluded.any_true(parameters) or (done and canonical(parameters) in done):
                continue
            yield parameters
            kept += 1
        if kept == 0:
            raise _too_few(0, tried)

    def _draws(self, wanted: int) -> Iterator[dict[str, Value]]:
        """So many candidates that are not excluded."""
        kept = tried = in_a_row = 0
        while kept < wanted:
            parameters = self._candidate(tried)
            tried += 1
            if not self._excluded.any_true(parameters):
                yield parameters
                kept, in_a_row = kept + 1, 0
                continue
            in_a_row += 1
            if in_a_row == _EXCLUDED_IN_A_ROW or tried - kept == _EXCLUDED_IN_ALL + wanted:
                raise _too_few(kept, tried, f", and {wanted:,} are asked for" if kept else "")

    def _grid(self, given: Point | None = None) -> Iterator[dict[str, Value]]:
        """The grid's points, excluded ones too: all, or those with some given values."""
        listed = self._grids | {path: [value] for path, value in (given or {}).items()}
        return self._assembler.combinations(lambda path, _: listed[path])

    @cached_property
    def _points(self) -> Sequence[dict[str, Value]]:
        """The points to evaluate, whole."""
        points = read_points(self._spec)
        return complete(points, self._ways, self._excluded)

    def _ways(self, place: int, given: Point) -> Iterator[dict[str, Value]]:
        """The ways to complete a point, in the order in which they are tried."""
        if isinstance(self._spec.search, GridSearch):
            yield from self._grid(given)
            return
        seed = self._spec.search.seed
        for attempt in range(_WAYS_OF_A_POINT):

            def choose(path: Path, kind: Kind, attempt: int = attempt) -> Value:
                if path in given:
                    return given[path]
                return kind.sample(unit(seed, "point", place, attempt, *path))

            yield self._assembler(choose)

    def _candidate(self, c: int) -> dict[str, Value]:
        chosen: dict[Path, Value] = {}
        point, draw = c % self.grid_points, c // self.grid_points
        for path, grid in reversed(self._grids.items()):
            point, position = divmod(point, len(grid))
            chosen[path] = grid[position]
        sobol: Mapping[Path, float] = {}
        if isinstance(self._spec.search, SobolSearch):
            sobol = dict(zip(self._drawn, self._sobol_point(draw), strict=True))

        def choose(path: Path, kind: Kind) -> Value:
            if path in chosen:
                return chosen[path]
            return kind.sample(sobol[path] if sobol else unit(self._spec.search.seed, c, *path))

        return self._assembler(choose)

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


def _too_few(kept: int, tried: int, asked: str = "") -> SpecError:
    message = (
        f"leaves {kept:,} of the {tried:,} assignments tried{asked}: loosen the conditions, or "
        "narrow the parameters to what they leave"
    )
    return SpecError([FieldProblem("exclude", message)])
