"""The parameters of a sweep spec, read from plain data and written back.

A parameter is a constant (any scalar or list), a *kind* (a mapping with one key
that names it, such as `{uniform: {min: 0, max: 1}}`), or a mapping of further
parameters. With `when:` beside it, it is there only where that condition holds.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sweep.distributions import Beta, LogNormal, Normal, QLogNormal, QNormal
from sweep.errors import FieldProblem, SpecError
from sweep.expressions import MAX_CONDITION, check_condition
from sweep.kinds import (
    INTEGER_KINDS,
    KINDS,
    Choice,
    Grid,
    Kind,
    LogRandInt,
    LogUniform,
    QLogRandInt,
    QLogUniform,
    QRandInt,
    QUniform,
    RandInt,
    Uniform,
)
from sweep.values import Scalar, Value

__all__ = [
    "INTEGER_KINDS",
    "KINDS",
    "Beta",
    "Choice",
    "Grid",
    "Kind",
    "LogNormal",
    "LogRandInt",
    "LogUniform",
    "Node",
    "Normal",
    "QLogNormal",
    "QLogRandInt",
    "QLogUniform",
    "QNormal",
    "QRandInt",
    "QUniform",
    "RandInt",
    "Scalar",
    "Uniform",
    "Value",
    "When",
    "dump_node",
    "field_problems",
    "kinds_in",
    "kinds_named",
    "leaves_in",
    "parse_node",
    "parse_nodes",
    "unwrap",
]

NAME = "[A-Za-z_][A-Za-z0-9_]*"
"""What a parameter's name matches as a whole."""

_CLOSE = 0.85
"""How alike a name and a kind's must be to be taken for a slip, as difflib counts."""


@dataclass(frozen=True)
class When:
    """A parameter, or a mapping of them, that is there only where a condition holds."""

    condition: str
    node: "Node"


Node = Kind | When | Value | Mapping[str, "Node"]


def unwrap(node: Any) -> Any:
    """The node without the condition on it."""
    while isinstance(node, When):
        node = node.node
    return node


def parse_node(raw: object, path: str) -> Node:
    """Read one parameter of a spec, which must be plain data (see `sweep.plain`).

    Raises:
        SpecError: with the path of every bad field in it.
    """
    if isinstance(raw, Kind | When):
        return raw
    if isinstance(raw, Mapping):
        if "when" in raw:
            return _parse_when(raw, path)
        if named := kinds_named(raw):
            return _parse_kind(named, raw, path)
        _refuse_misspelt(raw, path)
        return parse_nodes(raw, path)
    return raw  # type: ignore[return-value]  # `check_plain` has seen it


def kinds_named(raw: Mapping[Any, object]) -> list[str]:
    """The keys of a mapping that name kinds, so that it is no mapping of parameters."""
    return [key for key in raw if key in KINDS and not _is_plain_beta(key, raw[key])]


def parse_nodes(raw: Mapping[Any, object], path: str) -> dict[str, Node]:
    """Read a mapping of parameters, as `parse_node` reads one."""
    nodes: dict[str, Node] = {}
    problems: list[FieldProblem] = []
    for key, value in raw.items():
        where = f"{path}.{key}"
        if not isinstance(key, str) or not re.fullmatch(NAME, key):
            problems.append(
                FieldProblem(
                    where,
                    f"parameter name {key!r} is not allowed: "
                    "use letters, digits and _, not starting with a digit",
                )
            )
            continue
        try:
            nodes[key] = parse_node(value, where)
        except SpecError as error:
            problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    return nodes


def _refuse_misspelt(raw: Mapping[Any, object], path: str) -> None:
    """Refuse what is no parameter of its own but a kind with a slip in its name."""
    if len(raw) != 1:
        return
    ((key, body),) = raw.items()
    for name in difflib.get_close_matches(str(key), KINDS, cutoff=_CLOSE):
        fields = KINDS[name].model_fields.keys()
        listed = isinstance(body, Sequence) and not isinstance(body, str) and "values" in fields
        if listed or (isinstance(body, Mapping) and body and body.keys() <= fields):
            message = f"there is no kind of parameter {key!r}: did you mean {name!r}?"
            raise SpecError([FieldProblem(f"{path}.{key}", message)])


def _is_plain_beta(key: str, body: object) -> bool:
    """Whether this is a parameter of that name, such as Adam's, and not the distribution."""
    return key == "beta" and not (isinstance(body, Mapping) and body.keys() & {"a", "b"})


def _parse_when(raw: Mapping[Any, object], path: str) -> When:
    condition, where = raw["when"], f"{path}.when"
    body = {key: value for key, value in raw.items() if key != "when"}
    if not isinstance(condition, str) or not 0 < len(condition) <= MAX_CONDITION:
        message = f"needs a condition of 1 to {MAX_CONDITION} characters; got {condition!r:.100}"
        raise SpecError([FieldProblem(where, message)])
    try:
        check_condition(condition)
    except ValueError as error:
        raise SpecError([FieldProblem(where, str(error))]) from None
    if not body:
        message = "stands alone: say beside it what there is then, a kind, a value or parameters"
        raise SpecError([FieldProblem(where, message)])
    if body.keys() == {"value"}:
        return When(condition, parse_node(body["value"], f"{path}.value"))
    return When(condition, parse_node(body, path))


def _parse_kind(named: Sequence[str], raw: Mapping[Any, object], path: str) -> Kind:
    name = named[0]
    if len(raw) > 1:
        others = ", ".join(repr(key) for key in raw if key != name)
        raise SpecError(
            [FieldProblem(path, f"{name!r} must stand alone in its mapping; found also {others}")]
        )
    body = raw[name]
    where = f"{path}.{name}"
    if name in ("grid", "choice") and isinstance(body, Sequence) and not isinstance(body, str):
        body = {"values": body}
    if not isinstance(body, Mapping):
        fields = ", ".join(f for f in KINDS[name].model_fields if f != "kind")
        raise SpecError([FieldProblem(where, f"needs a mapping with {fields}; got {body!r:.100}")])
    values = body.get("values")
    if isinstance(values, Sequence) and not values:
        raise SpecError([FieldProblem(where, f"a {name} needs at least one value; got none")])
    try:
        return KINDS[name].model_validate({**body, "kind": name})
    except ValidationError as error:
        raise SpecError(field_problems(error, where)) from None


def field_problems(
    error: ValidationError, prefix: str = "", raw: object = None
) -> list[FieldProblem]:
    """Pydantic's findings as field problems.

    Args:
        error: what pydantic found.
        prefix: put before each path.
        raw: what was validated. The names that pydantic puts into a path for the
            members of a union are left out when they are no keys of it.
    """
    problems = []
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], prefix, raw, missing=detail["type"] == "missing")
        message = detail["msg"].removeprefix("Value error, ")
        given = detail.get("input")
        if isinstance(given, bool | int | float | str) and repr(given) not in message:
            message = f"{message}; got {given!r:.100}"
        problems.append(FieldProblem(path, message))
    return problems


def _path(location: Sequence[int | str], prefix: str, raw: object, *, missing: bool) -> str:
    """The place in the raw document; a `missing` field is named though it is not there."""
    path, here = prefix, raw
    for i, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
            here = here[part] if isinstance(here, list | tuple) and part < len(here) else None
        elif isinstance(here, Mapping) and part not in here:
            if missing and i + 1 == len(location):
                path += f".{part}" if path else part
        else:
            path += f".{part}" if path else part
            here = here.get(part) if isinstance(here, Mapping) else None
    return path


def dump_node(node: Node) -> Any:
    """The node as a spec's plain data: `parse_node` of it gives the same node."""
    if isinstance(node, When):
        return {"when": node.condition, **_dump_body(node.node)}
    if isinstance(node, Grid):
        return {"grid": list(node.values)}
    if isinstance(node, Kind):
        return {node.kind: node.model_dump(exclude={"kind"}, exclude_none=True, mode="json")}
    if isinstance(node, Mapping):
        return {key: dump_node(value) for key, value in node.items()}
    return node


def _dump_body(node: Node) -> dict[str, Any]:
    """What stands beside `when`."""
    dumped = dump_node(node)
    if isinstance(node, Kind):
        return dict(dumped)
    if isinstance(node, Mapping) and node and node.keys() != {"value"}:
        return dict(dumped)
    return {"value": dumped}


def leaves_in(
    nodes: Mapping[str, Node], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Kind | Value]]:
    """Every kind and constant in a tree of parameters with its path, in the order of the spec."""
    for key, node in nodes.items():
        inner = unwrap(node)
        if isinstance(inner, Mapping) and inner:
            yield from leaves_in(inner, (*path, key))
        else:
            yield (*path, key), inner


def kinds_in(nodes: Mapping[str, Node]) -> list[tuple[tuple[str, ...], Kind]]:
    """Every kind in a tree of parameters with its path, in the order of the spec."""
    return [(path, leaf) for path, leaf in leaves_in(nodes) if isinstance(leaf, Kind)]
