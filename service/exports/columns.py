"""The columns of an export and their types, from a sweep's spec and metrics."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.query.ast import Field, Named
from service.query.fields import TRIALS, FieldType
from sweep.exporting import AFTER, BEFORE
from sweep.parameters import INTEGER_KINDS, Choice, Grid, unwrap
from sweep.parameters import Kind as ParameterKind
from sweep.spec import SweepSpec

Kind = Literal["integer", "number", "text", "boolean", "time", "json", "whole"]
"""`json`: texts as they are, and everything else as JSON; `whole`: mappings too."""

Path = tuple[str, ...]

_KINDS: Mapping[FieldType, Kind] = {
    "integer": "integer",
    "number": "number",
    "text": "text",
    "time": "time",
    "list": "json",
    "any": "json",
}


@dataclass(frozen=True)
class ExportColumn:
    """A column of a file."""

    name: str
    field: Field
    kind: Kind

    def cell(self, value: Any) -> Any:
        """A value as it stands in this column: a mapping's parts have columns of their own."""
        if isinstance(value, str):
            return value
        if self.kind == "whole":
            return None if value is None else json.dumps(value)
        if isinstance(value, Mapping):
            return None
        return json.dumps(value) if self.kind == "json" and value is not None else value


@dataclass(frozen=True)
class Catalogue:
    """What columns a sweep's trials may have."""

    parameters: Mapping[Path, Kind]
    metrics: Sequence[str]

    @staticmethod
    def of(spec: SweepSpec, metrics: Sequence[str], added: Iterable[Any] = ()) -> "Catalogue":
        """The columns of a spec's trials, and of parameters that were added to it later."""
        kinds: dict[Path, set[Kind]] = {}
        for node in (spec.parameters, *added):
            for path, kind in _leaves(node, ()):
                kinds.setdefault(path, set()).update(() if kind is None else (kind,))
        return Catalogue({path: _common(found) for path, found in kinds.items()}, metrics)

    def standard(self) -> list[ExportColumn]:
        """The columns of a file for which no fields were asked."""
        return [
            *map(_column, BEFORE),
            *self._parameters(),
            *self._metrics("metrics"),
            *map(_column, AFTER),
        ]

    def asked(self, fields: Sequence[Named]) -> list[ExportColumn]:
        """The columns for fields; one for each leaf where a whole mapping was asked for."""
        found = [column for named in fields for column in self._of(named)]
        return list({column.name: column for column in found}.values())

    def _of(self, named: Named) -> list[ExportColumn]:
        field = named.field
        if not field.path:
            whole = field.source == "parameter"
            return self._parameters() if whole else self._metrics(named.name)
        if field.source == "column":
            return [ExportColumn(named.name, field, _column(field.path[0]).kind)]
        if field.source != "parameter":
            return [ExportColumn(named.name, field, "number")]
        return [ExportColumn(named.name, field, self._kind(field.path))]

    def _kind(self, path: Path) -> Kind:
        inner = any(len(p) > len(path) and p[: len(path)] == path for p in self.parameters)
        return "whole" if inner else self.parameters.get(path, "json")

    def _parameters(self) -> list[ExportColumn]:
        return [
            ExportColumn(f"parameters.{'.'.join(path)}", Field("parameter", path), kind)
            for path, kind in self.parameters.items()
        ]

    def _metrics(self, prefix: str) -> list[ExportColumn]:
        source = TRIALS.mappings[prefix]
        return [
            ExportColumn(f"{prefix}.{name}", Field(source, (name,)), "number")
            for name in self.metrics
        ]


def _column(name: str) -> ExportColumn:
    return ExportColumn(name, Field("column", (name,)), _KINDS[TRIALS.columns[name]])


def _leaves(node: Any, path: Path) -> Iterator[tuple[Path, Kind | None]]:
    node = unwrap(node)
    if isinstance(node, Grid | Choice):
        for value in node.values:
            yield from _leaves(value, path)
    elif isinstance(node, Mapping) and not isinstance(node, ParameterKind):
        for key, value in node.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, _kind_of(node)


def _kind_of(value: Any) -> Kind | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, *INTEGER_KINDS)):
        return "integer"
    if isinstance(value, float | ParameterKind):
        return "number"
    return "text" if isinstance(value, str) else "json"


def _common(kinds: set[Kind]) -> Kind:
    if kinds == {"integer", "number"}:
        return "number"
    return kinds.pop() if len(kinds) == 1 else "json"
