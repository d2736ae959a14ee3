"""Labels in an order that people expect, and as they read them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.query.ast import Field
from service.store.analysis import Label, label_key
from sweep.parameters import Grid, kinds_in
from sweep.spec import SweepSpec


def ordered(labels: Iterable[Label], field: Field, spec: SweepSpec) -> list[Label]:
    """Each label once: in the grid's order for a grid parameter, else by kind and value."""
    unique = {label_key(label): label for label in labels}
    places = _grid_places(field, spec)
    return sorted(
        unique.values(),
        key=lambda label: (places.get(label_key(label), len(places)), *_rank(label)),
    )


def shown(label: Label) -> str:
    """A label as one short text."""
    if label is None:
        return "none"
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float):
        return f"{label:.4g}"
    if isinstance(label, Mapping):
        return " ".join(shown(part) for part in label.values())
    if isinstance(label, Sequence) and not isinstance(label, str):
        return ", ".join(shown(part) for part in label)
    return str(label)


def distinct_shown(labels: Sequence[Label]) -> list[str]:
    """The labels as texts that all differ, in their order."""
    texts = [shown(label) for label in labels]
    return [
        text if texts.count(text) == 1 else f"{text} ({label_key(label)})"
        for text, label in zip(texts, labels, strict=True)
    ]


def swept(spec: SweepSpec) -> tuple[str, ...]:
    """The parameters that are searched over, names with dots: a grid of mappings is one."""
    return tuple(".".join(path) for path, _ in kinds_in(spec.parameters))


def leaves(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Parameters without nesting: names with dots."""
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat.update(leaves(value, f"{path}."))
        else:
            flat[path] = value
    return flat


def _grid_places(field: Field, spec: SweepSpec) -> dict[str, int]:
    if field.source == "parameter":
        for path, kind in kinds_in(spec.parameters):
            if path == field.path and isinstance(kind, Grid):
                return {label_key(value): place for place, value in enumerate(kind.values)}
    return {}


def _rank(label: Label) -> tuple[int, float, str]:
    if label is None:
        return 4, 0.0, ""
    if isinstance(label, bool):
        return 2, float(label), ""
    if isinstance(label, int | float):
        return 0, float(label), ""
    if isinstance(label, str):
        return 1, 0.0, label
    return 3, 0.0, label_key(label)
