"""The fields that queries may name, for each kind of row, and what type each has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from service.query.ast import Field, Source

FieldType = Literal["integer", "number", "text", "time", "list", "any"]
"""`any`: a parameter, whose values may be numbers, texts or booleans."""


@dataclass(frozen=True)
class Entity:
    """What a list is of, and the fields that it has."""

    noun: str
    columns: Mapping[str, FieldType]
    mappings: Mapping[str, Source]
    """First parts of nested fields, and where their values are."""

    def type_of(self, field: Field) -> FieldType:
        """The type of a field's values."""
        if field.source == "column":
            return self.columns[field.path[0]]
        return "any" if field.source == "parameter" else "number"


TRIALS = Entity(
    "trial",
    columns={
        "id": "text",
        "index": "integer",
        "state": "text",
        "reason": "text",
        "error": "text",
        "group": "text",
        "assignment": "integer",
        "replicate": "integer",
        "seed": "integer",
        "max_t": "integer",
        "origin": "text",
        "parent": "integer",
        "attempts": "integer",
        "failures": "integer",
        "node": "text",
        "pack": "text",
        "step": "integer",
        "reports": "integer",
        "best": "number",
        "best_step": "integer",
        "duration": "number",
        "checkpoint": "text",
        "best_checkpoint": "text",
        "created_at": "time",
        "started_at": "time",
        "ended_at": "time",
    },
    mappings={
        "parameters": "parameter",
        "metrics": "last",
        "last": "last",
        "min": "min",
        "max": "max",
    },
)

SWEEPS = Entity(
    "sweep",
    columns={
        "id": "text",
        "name": "text",
        "state": "text",
        "wanted": "text",
        "reason": "text",
        "waiting": "text",
        "trainable": "text",
        "metric": "text",
        "mode": "text",
        "tags": "list",
        "priority": "integer",
        "weight": "number",
        "epoch": "integer",
        "num_trials": "integer",
        "best": "number",
        "duration": "number",
        "created_by": "text",
        "created_at": "time",
        "started_at": "time",
        "ended_at": "time",
    },
    mappings={},
)
