"""Filters and sorts as SQLAlchemy expressions over the trials table.

A field of a JSON column has no type of its own, so it is read through a CASE that
gives it on one scale (number, text, boolean) and NULL on the others. Comparisons of
unlike types are false and never an error, and NULL never leaks out of a comparison,
so that `not` is plain negation.
"""

import json
from collections.abc import Sequence
from typing import Any as Anything

from sqlalchemy import (
    ColumnElement,
    Float,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from service.query.ast import All, Any, Compare, Constant, Field, Filter, In, Not, SortKey
from service.query.fields import COLUMNS
from service.store.tables import trials

Expression = ColumnElement[Anything]

_JSON_COLUMNS = {
    "parameter": trials.c.parameters,
    "last": trials.c.last,
    "min": trials.c.minimum,
    "max": trials.c.maximum,
}


class _Json:
    """One value inside a JSON column, read on the scale that is asked for."""

    def __init__(self, field: Field, dialect: str) -> None:
        column = _JSON_COLUMNS[field.source]
        self._sqlite = dialect == "sqlite"
        if self._sqlite:
            path = "$" + "".join(f'."{part}"' for part in field.path)
            self._kind: Expression = func.json_type(column, path)
            self._value: Expression = func.json_extract(column, path)
        else:
            steps = cast(literal(list(field.path), ARRAY(Text)), ARRAY(Text))
            inner = func.jsonb_extract_path(column, *field.path)
            self._kind = func.jsonb_typeof(inner)
            self._value = column.op("#>>")(steps)

    @property
    def is_null(self) -> Expression:
        return func.coalesce(self._kind, "null") == "null"

    @property
    def number(self) -> Expression:
        kinds = ("integer", "real") if self._sqlite else ("number",)
        return case((self._kind.in_(kinds), cast(self._value, Float(53))))

    @property
    def text(self) -> Expression:
        kind = "text" if self._sqlite else "string"
        return case((self._kind == kind, cast(self._value, Text)))

    @property
    def boolean(self) -> Expression:
        """As the text 'true' or 'false'."""
        if self._sqlite:
            return case((self._kind.in_(("true", "false")), self._kind))
        return case((self._kind == "boolean", cast(self._value, Text)))


class _Column:
    """A column of the table, with the same reading as a JSON value."""

    def __init__(self, name: str) -> None:
        self._column: Expression = trials.c[name]
        self._type = COLUMNS[name]

    @property
    def is_null(self) -> Expression:
        return self._column.is_(None)

    @property
    def number(self) -> Expression:
        return self._column if self._type == "number" else cast(None, Float(53))

    @property
    def text(self) -> Expression:
        return self._column if self._type == "text" else cast(None, Text)

    @property
    def boolean(self) -> Expression:
        return cast(None, Text)


class Compiler:
    """Turns filters and sorts into expressions of one dialect."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect

    def condition(self, filter_: Filter) -> Expression:
        """The filter as a condition that is never NULL."""
        match filter_:
            case Compare():
                return self._compare(filter_)
            case In():
                reading = self._read(filter_.field)
                return or_(false(), *(self._equal(reading, c) for c in filter_.values))
            case Not():
                return not_(self.condition(filter_.operand))
            case All():
                return and_(*(self.condition(operand) for operand in filter_.operands))
            case Any():
                return or_(*(self.condition(operand) for operand in filter_.operands))

    def sort_columns(self, keys: Sequence[SortKey]) -> list[tuple[Expression, bool]]:
        """The expressions to order by, and whether each descends; two for each key."""
        columns = []
        for key in keys:
            reading = self._read(key.field)
            columns.append((reading.number, key.descending))
            columns.append((self._collated(reading.text), key.descending))
        return columns

    def _read(self, field: Field) -> "_Json | _Column":
        if field.source == "column":
            return _Column(field.path[0])
        return _Json(field, self._dialect)

    def _compare(self, comparison: Compare) -> Expression:
        reading, constant = self._read(comparison.field), comparison.value
        if comparison.comparator == "==":
            return self._equal(reading, constant)
        if comparison.comparator == "!=" and constant is None:
            return not_(reading.is_null)
        side = self._side(reading, constant)
        match comparison.comparator:
            case "contains":
                found = func.instr if self._dialect == "sqlite" else func.strpos
                condition: Expression = found(reading.text, constant) > 0
            case "!=":
                condition = side != _bound(constant)
            case "<":
                condition = side < _bound(constant)
            case "<=":
                condition = side <= _bound(constant)
            case ">":
                condition = side > _bound(constant)
            case _:
                condition = side >= _bound(constant)
        return func.coalesce(condition, false())

    def _equal(self, reading: "_Json | _Column", constant: Constant) -> Expression:
        if constant is None:
            return reading.is_null
        return func.coalesce(self._side(reading, constant) == _bound(constant), false())

    def _side(self, reading: "_Json | _Column", constant: Constant) -> Expression:
        if isinstance(constant, bool):
            return reading.boolean
        if isinstance(constant, str):
            return self._collated(reading.text)
        return reading.number

    def _collated(self, text: Expression) -> Expression:
        """Text ordered by code point, as Python orders it."""
        return text.collate("C") if self._dialect == "postgresql" else text


def _bound(constant: Constant) -> Anything:
    if isinstance(constant, bool):
        return json.dumps(constant)
    return constant


def after(columns: Sequence[tuple[Expression, bool]], position: Sequence[Anything]) -> Expression:
    """The condition that a row comes after a position, where nulls come last."""
    alternatives: list[Expression] = []
    equal: list[Expression] = []
    for (column, descending), value in zip(columns, position, strict=True):
        if value is not None:
            beyond = column < value if descending else column > value
            alternatives.append(and_(*equal, or_(beyond, column.is_(None))))
            equal.append(column == value)
        else:
            equal.append(column.is_(None))
    return or_(false(), *alternatives)


def order(columns: Sequence[tuple[Expression, bool]]) -> list[Expression]:
    """The ORDER BY of those columns, nulls last."""
    clauses: list[Expression] = []
    for column, descending in columns:
        clauses += [column.is_(None), column.desc() if descending else column.asc()]
    return clauses
