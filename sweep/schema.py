"""The part of the spec's JSON Schema that pydantic cannot derive: parameters."""

from typing import Any


def _kind(name: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: body},
        "required": [name],
        "additionalProperties": False,
    }


def _fields(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


_NUMBER = {"type": "number"}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_INTEGER = {"type": "integer"}
_VALUES = {"type": "array", "minItems": 1}
_WEIGHTS = {"type": "array", "items": {"type": "number", "minimum": 0}}
_KIND_NAMES = [
    "grid", "choice", "uniform", "loguniform", "quniform", "randint", "lograndint", "normal",
]  # fmt: skip

PARAMETERS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Parameter names and their values: a constant, one kind, or a nested mapping.",
    "patternProperties": {
        "^[A-Za-z_][A-Za-z0-9_]*$": {
            "anyOf": [
                {"type": ["string", "number", "boolean", "null", "array"]},
                _kind("grid", {"anyOf": [_VALUES, _fields({"values": _VALUES})]}),
                _kind(
                    "choice", {"anyOf": [_VALUES, _fields({"values": _VALUES}, weights=_WEIGHTS)]}
                ),
                _kind("uniform", _fields({"min": _NUMBER, "max": _NUMBER})),
                _kind("loguniform", _fields({"min": _POSITIVE, "max": _POSITIVE})),
                _kind("quniform", _fields({"min": _NUMBER, "max": _NUMBER, "step": _POSITIVE})),
                _kind("randint", _fields({"min": _INTEGER, "max": _INTEGER})),
                _kind("lograndint", _fields({"min": _INTEGER, "max": _INTEGER})),
                _kind("normal", _fields({"mean": _NUMBER, "std": _POSITIVE})),
                {
                    "type": "object",
                    "description": "Nested parameters.",
                    "not": {"anyOf": [{"required": [name]} for name in _KIND_NAMES]},
                },
            ]
        }
    },
    "additionalProperties": False,
}
