"""Documents in YAML or JSON read into plain data, within limits.

YAML here is YAML 1.2's core schema: `1e-4` is a number and `off` is a string.
Aliases may not blow a small document up (a "YAML bomb"), and NaN is refused.
"""

import re
from typing import Any

import pydantic_core
import yaml

from sweep.errors import SpecError, SpecTooLarge

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 50


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's scalars and bounded aliases."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as the base class declares it

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _check_size(node)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge keys are not part of YAML 1.2: leave them to be refused as keys."""


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


_resolve("null", r"^(?:~|null|Null|NULL|)$", "~nN")
_Loader.yaml_implicit_resolvers[""] = [("tag:yaml.org,2002:null", re.compile(r"^$"))]
_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("int", r"^[-+]?[0-9]+$", "-+0123456789")
_resolve(
    "float",
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
    "-+.0123456789",
)


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def _check_size(root: yaml.Node) -> None:
    """Refuse a node graph that unfolds to too many nodes, or too deep, or without end."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise SpecTooLarge(f"the document is nested more than {MAX_DEPTH} deep")
        if id(node) in open_nodes:
            raise SpecError("an alias in the document refers to its own parent")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            children: list[yaml.Node] = []
            if isinstance(node, yaml.SequenceNode):
                children = node.value
            elif isinstance(node, yaml.MappingNode):
                children = [part for pair in node.value for part in pair]
            sizes[id(node)] = 1 + sum(size(child, depth + 1) for child in children)
            open_nodes.remove(id(node))
        return sizes[id(node)]

    if size(root, 0) > MAX_NODES:
        raise SpecTooLarge(f"the document unfolds to more than {MAX_NODES:,} values")


def load_yaml(text: str | bytes) -> Any:
    """Read one YAML (or JSON) document.

    Raises:
        SpecError: where it is not readable, with line and column.
        SpecTooLarge: when it is over the limits.
    """
    _check_bytes(len(text))
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark
        at = f" at line {where.line + 1}, column {where.column + 1}" if where else ""
        raise SpecError(f"the document is not valid YAML{at}: {error.problem}") from None
    except RecursionError:
        raise SpecTooLarge(f"the document is nested more than {MAX_DEPTH} deep") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"the document is not valid YAML: {error}") from None


def load_json(text: bytes) -> Any:
    """Read one JSON document; NaN and infinity are refused.

    Raises:
        SpecError: where it is not readable.
        SpecTooLarge: when it is over the limits.
    """
    _check_bytes(len(text))
    try:
        return pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise SpecError(f"the document is not valid JSON: {error}") from None


def _check_bytes(size: int) -> None:
    if size > MAX_BYTES:
        raise SpecTooLarge(
            f"the document has {size:,} bytes and this service takes at most {MAX_BYTES:,}"
        )
