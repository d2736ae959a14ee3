"""Points to evaluate: assignments, whole or in part, that a search tries first."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sweep.assembling import Path
from sweep.errors import FieldProblem, SpecError
from sweep.expressions import ConditionEvaluator
from sweep.parameters import Kind, Node, Value, unwrap
from sweep.plain import has
from sweep.spec import SweepSpec
from sweep.values import canonical, same

Point = Mapping[Path, Value]
"""The values that a point names for kinds."""

Accept = Callable[[Kind, object], Value]
"""Takes a value for a kind as one of it, or raises ValueError and says why not."""

_WAYS = 200_000
"""How many ways to complete points are tried in all."""


def read_points(spec: SweepSpec) -> tuple[Point, ...]:
    """The values that a spec's points name, checked against the kinds of its parameters.

    Raises:
        SpecError: with the path of each that is no parameter, or no value of its kind.
    """
    problems: list[FieldProblem] = []
    points = []
    for place, raw in enumerate(spec.search.points_to_evaluate):
        point, bad = read_point(raw, spec.parameters, where=_field(place), accept=_of_its_kind)
        points.append(point)
        problems += bad
    if problems:
        raise SpecError(problems)
    return tuple(points)


def read_point(
    raw: Mapping[str, Any], nodes: Mapping[str, Node], *, where: str, accept: Accept
) -> tuple[Point, list[FieldProblem]]:
    """The values that an assignment names for kinds, and what is wrong with it.

    Args:
        raw: the assignment, whole or in part.
        nodes: a spec's parameters.
        where: put before the path of each problem.
        accept: takes a value for a kind, or raises ValueError.
    """
    point: dict[Path, Value] = {}
    problems: list[FieldProblem] = []

    def read(raw: Mapping[str, Any], nodes: Mapping[str, Node], path: Path) -> None:
        for key, value in raw.items():
            here = (*path, key)
            try:
                if key not in nodes:
                    raise ValueError(f"is no parameter; there are {', '.join(nodes)}")
                node = unwrap(nodes[key])
                if isinstance(node, Mapping) and node and isinstance(value, Mapping):
                    read(value, node, here)
                elif isinstance(node, Kind):
                    point[here] = accept(node, value)
                else:
                    _check_constant(node, value)
            except ValueError as error:
                problems.append(FieldProblem(".".join((where, *here)), str(error)))

    read(raw, nodes, ())
    return point, problems


def _of_its_kind(kind: Kind, value: object) -> Value:
    try:
        return kind.accept(value)
    except ValueError as error:
        raise ValueError(f"{error}; got {value!r:.100}") from None


def _check_constant(node: Node, value: object) -> None:
    if isinstance(node, Mapping) and node:
        raise ValueError(f"needs a mapping with {', '.join(node)}; got {value!r:.100}")
    if not same(node, value):
        raise ValueError(f"is the constant {node!r:.100}; got {value!r:.100}")


def complete(
    points: Sequence[Point],
    ways: Callable[[int, Point], Iterator[dict[str, Value]]],
    excluded: ConditionEvaluator,
) -> list[dict[str, Value]]:
    """Each point as a whole assignment: the first way that has all it names and may run.

    Args:
        points: the values that are named.
        ways: gives assignments with those values, from a point's place and the point.
        excluded: the spec's.

    Raises:
        SpecError: for a point that cannot be completed, or is the same as another.
    """
    found: list[dict[str, Value]] = []
    places: dict[str, int] = {}
    tries = iter(range(_WAYS))
    for place, point in enumerate(points):
        whole, problem = _first(point, zip(tries, ways(place, point), strict=False), excluded)
        if whole is None:
            raise SpecError([FieldProblem(_field(place), problem)])
        twin = places.setdefault(canonical(whole), place)
        if twin != place:
            raise SpecError([FieldProblem(_field(place), f"is the same as point {twin}")])
        found.append(whole)
    return found


def _first(
    point: Point, ways: Iterable[tuple[int, dict[str, Value]]], excluded: ConditionEvaluator
) -> tuple[dict[str, Value] | None, str]:
    problem = ""
    for _, whole in ways:
        missing = [path for path in point if not has(whole, path)]
        if missing:
            name = ".".join(missing[0])
            problem = problem or f"names {name!r}, which is absent: its `when` does not hold"
        elif excluded.any_true(whole):
            problem = "is left out by `exclude`"
        else:
            return whole, ""
    return None, problem or f"is not completed in {_WAYS:,} tries, with those before it: name more"


def _field(place: int) -> str:
    return f"search.points_to_evaluate[{place}]"
