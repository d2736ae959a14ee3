"""Reads no more columns than the fields that were asked for take."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.query.ast import Field, Named
from service.store.sql.convert import AnyRow
from service.store.sql.filters import Compiler
from service.store.sql.readings import Expression
from service.store.tables import trials

_JSON: Mapping[str, Expression] = {
    "parameter": trials.c.parameters,
    "last": trials.c.last,
    "min": trials.c.minimum,
    "max": trials.c.maximum,
}
_NONFINITE = "json_nonfinite"

_Getter = Callable[[Mapping[str, Any]], Any]


class Projection:
    """The columns that fields take, and the fields' values from a row of them."""

    def __init__(self, fields: Sequence[Named], compiler: Compiler) -> None:
        self._compiler = compiler
        self._columns: dict[str, Expression] = {}
        self.names = tuple(named.name for named in fields)
        self._getters = [self._getter(named.field) for named in fields]

    @property
    def columns(self) -> list[Expression]:
        """What to select."""
        return [column.label(label) for label, column in self._columns.items()]

    def values(self, row: AnyRow) -> tuple[Any, ...]:
        """The fields' values; a last metric that was not finite is that number."""
        found = row._mapping
        return tuple(get(found) for get in self._getters)

    def _getter(self, field: Field) -> _Getter:
        column = _JSON.get(field.source)
        if column is None:
            return self._plain(field)
        label = f"json_{field.source}"
        self._columns[label] = column
        if not field.path:
            return lambda row: row[label]
        if field.source == "last":
            self._columns[_NONFINITE] = trials.c.nonfinite
            return lambda row: _metric(row[label], row[_NONFINITE], field.path[0])
        return lambda row: _inside(row[label], field.path)

    def _plain(self, field: Field) -> _Getter:
        reading = self._compiler.read(field)
        scales = (reading.number, reading.text, reading.time, reading.members)
        label = f"value_{len(self._columns)}"
        self._columns[label] = next(scale for scale in scales if scale is not None)
        return lambda row: row[label]


def _metric(last: Mapping[str, Any], nonfinite: Mapping[str, str], name: str) -> float | None:
    value = last.get(name)
    if value is None and name in nonfinite:
        return float(nonfinite[name])
    return value


def _inside(value: Any, path: Sequence[str]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
