"""Population based training in a spec: what it must hold, and parameters with another value."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sweep.errors import FieldProblem
from sweep.expressions import names_in
from sweep.parameters import Grid, Value, When, kinds_in
from sweep.stopping import Pbt

_SEARCHES = ("random", "sobol")


def population_problems(
    rule: Pbt, parameters: Mapping[str, Any], *, search: str, replicates: int
) -> list[FieldProblem]:
    """What keeps a rule from working on these parameters, by field.

    Args:
        rule: the spec's early stopping.
        parameters: the spec's, parsed.
        search: the search's type.
        replicates: how many trials each assignment has.
    """
    problems = _perturb_problems(rule, parameters)
    if search not in _SEARCHES:
        problems.append(
            FieldProblem(
                "search.type",
                f"{search} does not go with early_stopping type pbt, which changes parameters "
                f"while trials train: use {' or '.join(_SEARCHES)}",
            )
        )
    if replicates > 1:
        problems.append(
            FieldProblem(
                "replicates",
                f"{replicates} replicates of an assignment do not stay one under pbt, since each "
                "trial's parameters change on their own: use 1, and a larger search.num_trials",
            )
        )
    return problems


def _perturb_problems(rule: Pbt, parameters: Mapping[str, Any]) -> list[FieldProblem]:
    kinds = {".".join(path): kind for path, kind in kinds_in(parameters)}
    drawn = [name for name, kind in kinds.items() if not isinstance(kind, Grid)]
    deciding = set(_named_in_conditions(parameters))
    problems = []
    for name in rule.perturb:
        where = f"early_stopping.perturb.{name}"
        if name not in kinds:
            text = f"is no parameter that is drawn; there are {', '.join(drawn) or 'none'}"
            problems.append(FieldProblem(where, text))
        elif isinstance(kinds[name], Grid):
            text = "is a grid, of which every value is to be tried: use choice, or leave it out"
            problems.append(FieldProblem(where, text))
        elif _lies_in(name, deciding):
            text = "is named in a `when`, and what is there cannot change in training: leave it out"
            problems.append(FieldProblem(where, text))
        elif _lies_in(name, rule.group_by):
            text = "is in group_by, and a trial stays in its group: leave it out of one of the two"
            problems.append(FieldProblem(where, text))
    return problems


def _lies_in(name: str, paths: Iterable[str]) -> bool:
    """Whether a parameter is one of those named, inside one, or what one is inside of."""
    return any(f"{name}.".startswith(f"{path}.") or path.startswith(f"{name}.") for path in paths)


def _named_in_conditions(node: object) -> Iterator[str]:
    """The parameters on which it depends whether others are there."""
    while isinstance(node, When):
        yield from names_in(node.condition)
        node = node.node
    if isinstance(node, Mapping):
        for inner in node.values():
            yield from _named_in_conditions(inner)


def replaced(parameters: Mapping[str, Any], path: Sequence[str], value: Value) -> dict[str, Any]:
    """An assignment with another value of one parameter that it has."""
    key, rest = path[0], path[1:]
    return {**parameters, key: replaced(parameters[key], rest, value) if rest else value}
