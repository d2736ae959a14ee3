"""Values that YAML 1.1 reads differently from YAML 1.2, such as `yes`, `010` and `1e-4`."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from sweep.errors import FieldProblem


def differences(text: str | bytes, document: object) -> tuple[FieldProblem, ...]:
    """What a program that reads YAML 1.1 sees otherwise, each written value once.

    Args:
        text: the file, which `sweep.loading.load_yaml` has read.
        document: what it read.
    """
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        found: dict[str, FieldProblem] = {}
        for node, value, path in _scalars(root, document, ""):
            older = _older(loader, node)
            if type(older) is not type(value) or older != value:
                found.setdefault(node.value, _problem(node.value, older, value, path))
    finally:
        loader.dispose()
    return tuple(found.values())


def _problem(written: str, older: object, value: object, path: str) -> FieldProblem:
    return FieldProblem(
        path,
        f"{written!r:.100} is {value!r:.100} here and {older!r:.100} in YAML 1.1, which W&B reads: "
        "write what is meant, a text in quotes",
    )


def _scalars(
    node: yaml.Node | None, value: Any, path: str
) -> Iterator[tuple[yaml.ScalarNode, Any, str]]:
    """Every value and name that is written without quotes, as read, with its path."""
    if isinstance(node, yaml.ScalarNode):
        if node.style is None:
            yield node, value, path
    elif isinstance(node, yaml.SequenceNode) and isinstance(value, list):
        for i, (child, inner) in enumerate(zip(node.value, value, strict=True)):
            yield from _scalars(child, inner, f"{path}[{i}]")
    elif isinstance(node, yaml.MappingNode) and isinstance(value, Mapping):
        if len(node.value) != len(value):
            return  # two names that are one number, such as 1 and 01
        for (name, child), (key, inner) in zip(node.value, value.items(), strict=True):
            where = f"{path}.{key}" if path else str(key)
            yield from _scalars(name, key, where)
            yield from _scalars(child, inner, where)


def _older(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> object:
    """The value in YAML 1.1; the text itself where that is none of its numbers or dates."""
    if node.tag in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
        return node.value
    try:
        return loader.construct_object(node)
    except (ValueError, yaml.YAMLError):
        return node.value
