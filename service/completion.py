"""The fields that queries may name, with examples of their values, for completion."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from service.exports.columns import Kind, Path
from service.exports.files import catalogue_of, metrics_of
from service.query.ast import Field, Named
from service.query.fields import SWEEPS, TRIALS, Entity, FieldType
from service.query.names import written
from service.store.interface import Store
from sweep.parameters import Choice, Grid, unwrap
from sweep.parameters import Kind as ParameterKind
from sweep.records import Origin, QueryField, SweepRecord
from sweep.states import SweepState, TrialState, WantedState
from sweep.trainables import Trainable

Shown = Literal["number", "text", "boolean", "time", "list"]

_EXAMPLES = 20

_COLUMNS: Mapping[FieldType, Shown] = {
    "integer": "number",
    "number": "number",
    "text": "text",
    "time": "time",
    "list": "list",
    "any": "text",
}
_PARAMETERS: Mapping[Kind, Shown] = {
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "text": "text",
    "time": "text",
    "json": "text",
    "whole": "text",
}
_LOOKED_UP = {
    TRIALS.noun: ("reason", "group", "node", "pack"),
    SWEEPS.noun: ("name", "reason", "trainable", "metric", "tags", "created_by"),
}
"""Columns with texts of which the store is asked for examples."""

_FIXED: Mapping[tuple[str, str], type[StrEnum]] = {
    (TRIALS.noun, "state"): TrialState,
    (TRIALS.noun, "origin"): Origin,
    (SWEEPS.noun, "state"): SweepState,
    (SWEEPS.noun, "wanted"): WantedState,
}


def sweep_fields(store: Store) -> list[QueryField]:
    """What may be asked of sweeps."""
    return list(_columns(store, SWEEPS, None))


def trial_fields(
    store: Store, sweep: SweepRecord, trainables: Mapping[str, Trainable]
) -> list[QueryField]:
    """What may be asked of a sweep's trials."""
    metrics = metrics_of(store, sweep, trainables)
    catalogue = catalogue_of(store, sweep, metrics)
    texts = _texts(sweep.spec.parameters)
    return [
        *_columns(store, TRIALS, sweep.id),
        *(
            _parameter(path, kind, texts.get(path, ()))
            for path, kind in catalogue.parameters.items()
        ),
        *(
            QueryField(name=f"{prefix}.{written(name)}", type="number", source="metric")
            for prefix in ("metrics", "min", "max")
            for name in metrics
        ),
    ]


def _columns(store: Store, entity: Entity, sweep_id: str | None) -> Iterator[QueryField]:
    asked = [Named(name, Field("column", (name,))) for name in _LOOKED_UP[entity.noun]]
    examples = store.text_examples(sweep_id, asked, limit=_EXAMPLES)
    for name, type_ in entity.columns.items():
        fixed = _FIXED.get((entity.noun, name))
        values = tuple(fixed) if fixed else tuple(examples.get(name, ()))
        yield QueryField(name=name, type=_COLUMNS[type_], source="column", values=values)


def _parameter(path: Path, kind: Kind, texts: Sequence[str]) -> QueryField:
    name = ".".join(("parameters", *map(_part, path)))
    return QueryField(
        name=name, type=_PARAMETERS[kind], source="parameter", values=tuple(texts)[:_EXAMPLES]
    )


def _part(name: str) -> str:
    """One step of a parameter's path; a dot in it is no step of its own."""
    return f'"{name}"' if "." in name and written(name) == name else written(name)


def _texts(node: Any, path: Path = ()) -> dict[Path, list[str]]:
    """The texts that a spec names for each parameter, each once."""
    found: dict[Path, list[str]] = {}
    node = unwrap(node)
    if isinstance(node, str):
        return {path: [node]}
    if isinstance(node, Grid | Choice):
        parts = [_texts(value, path) for value in node.values]
    elif isinstance(node, Mapping) and not isinstance(node, ParameterKind):
        parts = [_texts(value, (*path, key)) for key, value in node.items()]
    else:
        return {}
    for part in parts:
        for where, texts in part.items():
            held = found.setdefault(where, [])
            held.extend(text for text in texts if text not in held)
    return found
