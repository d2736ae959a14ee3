"""The fields that a filter or a sort may name, and what type each column has."""

from collections.abc import Mapping
from typing import Literal

ColumnType = Literal["number", "text"]

COLUMNS: Mapping[str, ColumnType] = {
    "index": "number",
    "state": "text",
    "reason": "text",
    "group": "text",
    "assignment": "number",
    "replicate": "number",
    "seed": "number",
    "max_t": "number",
    "origin": "text",
    "attempts": "number",
    "node": "text",
    "pack": "text",
    "step": "number",
    "reports": "number",
    "best": "number",
    "best_step": "number",
}

MAPPINGS: Mapping[str, Literal["parameter", "last", "min", "max"]] = {
    "parameters": "parameter",
    "metrics": "last",
    "min": "min",
    "max": "max",
}
