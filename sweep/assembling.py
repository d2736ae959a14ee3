"""From a tree of parameters and a way to choose values to an assignment.

Conditions (`when:`) may name any other parameters, in whatever order the spec has
them. An `Assembler` sorts the tree once, so that what a condition names is known
before it is evaluated, and refuses names that there are not and circles.
"""

import graphlib
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.errors import FieldProblem, SpecError
from sweep.expressions import ParsedCondition
from sweep.parameters import Choice, Grid, Kind, Node, Value, When, leaves_in, unwrap
from sweep.plain import find, has
from sweep.values import canonical

Path = tuple[str, ...]
Choose = Callable[[Path, Kind], Value]
"""Gives the value of the kind at a path."""


@dataclass(frozen=True)
class _Scope:
    """A node with conditions on it: it and all beneath are there where they hold."""

    path: Path
    outer: "_Scope | None"
    conditions: tuple[ParsedCondition, ...]


@dataclass(frozen=True)
class _Leaf:
    """A kind or a constant, and the innermost scope that it stands in."""

    path: Path
    node: Any
    scope: _Scope | None


_Step = _Scope | _Leaf


class Assembler:
    """Makes assignments of a tree of parameters.

    Raises:
        SpecError: for a condition that names what there is not, or that depends on itself.
    """

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._leaves: dict[Path, _Leaf] = {}
        self._scopes: dict[Path, _Scope] = {}
        self._read(nodes, (), None)
        self.is_conditional = bool(self._scopes)
        """Whether any parameter may be absent."""
        self.always = tuple(
            path
            for path, leaf in self._leaves.items()
            if isinstance(leaf.node, Kind) and leaf.scope is None
        )
        """The paths of the kinds that are there whatever the others are."""
        self._steps: Sequence[_Step] = tuple(self._leaves.values())
        if self.is_conditional:
            self._refuse_unknown()
            self._steps = self._sorted()

    def __call__(self, choose: Choose) -> dict[str, Value]:
        """One assignment.

        Args:
            choose: called once for each kind that is there, in an order in which all that
                the conditions on it name was chosen before.

        Raises:
            SpecError: when a condition cannot be evaluated.
        """
        values: dict[Path, Value] = {}
        absent: set[Path] = set()
        names = _Partial(self._nodes, values, absent)
        for step in self._steps:
            if isinstance(step, _Scope):
                if not _holds(step, names, absent):
                    absent.add(step.path)
            elif step.scope is None or step.scope.path not in absent:
                node = step.node
                values[step.path] = choose(step.path, node) if isinstance(node, Kind) else node
        return _fill(self._nodes, values, absent, ())

    def combinations(self, values: Callable[[Path, Kind], Sequence[Any]]) -> Iterator[Any]:
        """Every assignment with one of some values for each kind, each once.

        The last kind chosen varies fastest; only kinds that are there are counted through.

        Args:
            values: what a kind may be, at least one value and always the same ones.
        """
        places: list[int] = []
        while True:
            counts: list[int] = []

            def choose(path: Path, kind: Kind, counts: list[int] = counts) -> Value:
                listed = values(path, kind)
                if len(places) == len(counts):
                    places.append(0)
                counts.append(len(listed))
                chosen: Value = listed[places[len(counts) - 1]]
                return chosen

            yield self(choose)
            while places and places[-1] + 1 == counts[len(places) - 1]:
                places.pop()
            if not places:
                return
            places[-1] += 1

    def _read(self, nodes: Mapping[str, Any], path: Path, scope: _Scope | None) -> None:
        for key, node in nodes.items():
            here, inside = (*path, key), scope
            if isinstance(node, When):
                inside = _Scope(here, scope, tuple(_conditions(node)))
                self._scopes[here] = inside
            inner = unwrap(node)
            if isinstance(inner, Mapping) and inner:
                self._read(inner, here, inside)
            else:
                self._leaves[here] = _Leaf(here, inner, inside)

    def _refuse_unknown(self) -> None:
        problems = [
            FieldProblem(
                _field(scope),
                f"names {name!r}, which is no parameter; there are {', '.join(self._nodes)}",
            )
            for scope in self._scopes.values()
            for condition in scope.conditions
            for name in condition.names
            if not is_known(self._nodes, name)
        ]
        if problems:
            raise SpecError(problems)

    def _sorted(self) -> tuple[_Step, ...]:
        """Leaves and scopes, each after all that it depends on, else in the spec's order."""
        steps: dict[tuple[str, Path], _Step] = {}
        sorter: graphlib.TopologicalSorter[tuple[str, Path]] = graphlib.TopologicalSorter()
        for path, leaf in self._leaves.items():
            steps["leaf", path] = leaf
            sorter.add(("leaf", path), *([("when", leaf.scope.path)] if leaf.scope else []))
            for length in range(1, len(path)):
                sorter.add(("all", path[:length]), ("leaf", path))
        for path, scope in self._scopes.items():
            steps["when", path] = scope
            named = [self._target(n) for c in scope.conditions for n in c.names]
            outer = [("when", scope.outer.path)] if scope.outer else []
            sorter.add(("when", path), *outer, *named)
        try:
            sorter.prepare()
        except graphlib.CycleError as error:
            raise _circle(error.args[1]) from None
        places = {path: place for place, path in enumerate(self._leaves)}
        order = _in_order(sorter, lambda vertex: places.get(vertex[1], -1))
        return tuple(steps[vertex] for vertex in order if vertex in steps)

    def _target(self, name: str) -> tuple[str, Path]:
        """What must be known before a name is: a leaf, or all that is beneath a mapping."""
        path = tuple(name.split("."))
        for length in range(1, len(path) + 1):
            if path[:length] in self._leaves:
                return "leaf", path[:length]
        return "all", path


def is_known(nodes: Mapping[str, Node], name: str) -> bool:
    """Whether some assignment may have a value at a dotted name."""
    node: Any = nodes
    for i, part in enumerate(parts := name.split(".")):
        if isinstance(node, Grid | Choice):
            return any(has(value, parts[i:]) for value in node.values)
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = unwrap(node[part])
    return True


def known_names(nodes: Mapping[str, Node]) -> list[str]:
    """Dotted names at which an assignment has values; of listed mappings also their keys."""
    names: dict[str, None] = {}
    for path, leaf in leaves_in(nodes):
        name = ".".join(path)
        names[name] = None
        listed = leaf.values if isinstance(leaf, Grid | Choice) else ()
        names |= {f"{name}.{key}": None for v in listed if isinstance(v, Mapping) for key in v}
    return list(names)


def distinct(values: Sequence[Any]) -> list[Any]:
    """The values without those that are the same as an earlier one."""
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(canonical(value), value)
    return list(found.values())


class _Partial:
    """The names of an assignment that is being made."""

    def __init__(
        self, nodes: Mapping[str, Node], values: Mapping[Path, Value], absent: set[Path]
    ) -> None:
        self._nodes, self._values, self._absent = nodes, values, absent

    def __getitem__(self, name: str) -> Any:
        node: Any = self._nodes
        path: Path = ()
        for i, part in enumerate(parts := name.split(".")):
            if path in self._values:
                return find(self._values[path], parts[i:])
            path = (*path, part)
            if path in self._absent or not isinstance(node, Mapping):
                return None
            node = unwrap(node[part])
        if isinstance(node, Mapping) and node:
            return _fill(node, self._values, self._absent, path)
        return self._values.get(path)


def _conditions(node: Any) -> Iterator[ParsedCondition]:
    while isinstance(node, When):
        yield ParsedCondition(node.condition)
        node = node.node


def _holds(scope: _Scope, names: _Partial, absent: set[Path]) -> bool:
    if scope.outer is not None and scope.outer.path in absent:
        return False
    try:
        return all(condition.holds(names) for condition in scope.conditions)
    except SpecError as error:
        raise SpecError([FieldProblem(_field(scope), error.message)]) from None


def _field(scope: _Scope) -> str:
    return ".".join(("parameters", *scope.path, "when"))


def _circle(circle: Sequence[tuple[str, Path]]) -> SpecError:
    paths = [".".join(path) for tag, path in reversed(circle) if tag == "when"]
    return SpecError(
        [
            FieldProblem(
                f"parameters.{paths[0]}.when",
                "depends on itself: " + " needs ".join(dict.fromkeys(paths)) + f" needs {paths[0]}",
            )
        ]
    )


def _in_order(
    sorter: "graphlib.TopologicalSorter[tuple[str, Path]]",
    place: Callable[[tuple[str, Path]], int],
) -> Iterator[tuple[str, Path]]:
    """The vertices of a prepared sorter, of those that are ready the first in place."""
    ready: list[tuple[int, tuple[str, Path]]] = []
    while sorter.is_active():
        for vertex in sorter.get_ready():
            heapq.heappush(ready, (place(vertex), vertex))
        _, vertex = heapq.heappop(ready)
        yield vertex
        sorter.done(vertex)


def _fill(
    nodes: Mapping[str, Any], values: Mapping[Path, Value], absent: set[Path], path: Path
) -> dict[str, Value]:
    filled: dict[str, Value] = {}
    for key, node in nodes.items():
        here = (*path, key)
        if here in absent:
            continue
        inner = unwrap(node)
        if isinstance(inner, Mapping) and inner:
            filled[key] = _fill(inner, values, absent, here)
        elif here in values:
            filled[key] = values[here]
    return filled
