"""The part of the spec's JSON Schema that pydantic cannot derive: parameters."""

from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from sweep.expressions import MAX_CONDITION
from sweep.kinds import KINDS
from sweep.parameters import NAME
from sweep.values import KindModel

_VALUES = {"type": "array", "minItems": 1}
_WHEN = {"type": "string", "minLength": 1, "maxLength": MAX_CONDITION}
_CONSTANT = {"type": ["string", "number", "boolean", "null", "array"]}


class ParametersSchema:
    """An annotation that gives a field the schema of `parameters`, when it is asked for."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The schema."""
        return parameters_schema()


def parameters_schema() -> dict[str, Any]:
    """What `parameters` may be, as JSON Schema."""
    return {
        "type": "object",
        "description": "Parameter names and their values: a constant, one kind, or a nested "
        "mapping; with `when` beside it, there only where that condition holds.",
        "patternProperties": {f"^{NAME}$": {"anyOf": [_CONSTANT, *_bodies({}), *_conditional()]}},
        "additionalProperties": False,
    }


def _conditional() -> list[dict[str, Any]]:
    return [_mapping({"value": {}}, {"when": _WHEN}), *_bodies({"when": _WHEN})]


def _bodies(beside: dict[str, Any]) -> list[dict[str, Any]]:
    """A kind or nested parameters, with what stands beside."""
    kinds = [
        {**_mapping({name: _kind(name, model)}, beside), "description": _said(model)}
        for name, model in KINDS.items()
    ]
    reserved: list[dict[str, Any]] = [{"required": [name]} for name in KINDS if name != "beta"]
    shapes = {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    reserved.append({"required": ["beta"], "properties": {"beta": shapes}})
    if not beside:
        reserved.append({"required": ["when"]})
    nested = {
        "type": "object",
        "description": "Nested parameters.",
        "required": list(beside),
        "minProperties": 2 * len(beside),
        "properties": beside,
        "not": {"anyOf": reserved},
    }
    return [*kinds, nested]


def _kind(name: str, model: type[KindModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    fields = {key: body for key, body in schema["properties"].items() if key != "kind"}
    body = {**_mapping(fields, {}), "required": schema["required"]}
    return {"anyOf": [_VALUES, body]} if name in ("grid", "choice") else body


def _said(model: type[KindModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _mapping(fields: dict[str, Any], beside: dict[str, Any]) -> dict[str, Any]:
    properties = {**fields, **beside}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
