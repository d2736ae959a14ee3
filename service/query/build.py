"""What the grammar has read, made into `service.query.ast` and checked against the fields."""

import difflib
from dataclasses import dataclass
from typing import Any as Anything
from typing import cast

from lark import Token, Transformer, v_args
from lark.tree import Meta

from service.query import constants
from service.query.ast import (
    All,
    Any,
    Comparator,
    Compare,
    Constant,
    Field,
    Filter,
    Has,
    In,
    Named,
    Not,
    SortKey,
    Test,
    TextTest,
)
from service.query.constants import Given
from service.query.fields import Entity, FieldType
from sweep.errors import QueryError


@dataclass(frozen=True)
class Placed:
    """A field, what was written for it, and where."""

    field: Field
    type: FieldType
    text: str
    column: int


@v_args(meta=True)
class Build(Transformer[Token, Anything]):
    """Makes one kind of row's filters, sorts and projections."""

    def __init__(self, text: str, entity: Entity, *, whole_mappings: bool) -> None:
        super().__init__()
        self._text = text
        self._entity = entity
        self._whole_mappings = whole_mappings

    def start(self, meta: Meta, items: list[Filter]) -> Filter:
        """A whole filter."""
        return items[0]

    def sort(self, meta: Meta, items: list[SortKey]) -> tuple[SortKey, ...]:
        """A whole sort."""
        return tuple(items)

    def fields(self, meta: Meta, items: list[Placed]) -> tuple[Named, ...]:
        """A whole projection."""
        return tuple(Named(placed.text, placed.field) for placed in items)

    def key(self, meta: Meta, items: list[Anything]) -> SortKey:
        """One field to sort by."""
        placed: Placed = items[-1]
        if placed.type == "list":
            raise QueryError(f"{placed.text} is a list: nothing is sorted by it", placed.column)
        return SortKey(placed.field, descending=len(items) > 1)

    def either(self, meta: Meta, items: list[Filter | Token]) -> Filter:
        """Parts with `or` between."""
        return Any(tuple(item for item in items if not isinstance(item, Token)))

    def both(self, meta: Meta, items: list[Filter | Token]) -> Filter:
        """Parts with `and` between."""
        return All(tuple(item for item in items if not isinstance(item, Token)))

    def negation(self, meta: Meta, items: list[Filter]) -> Filter:
        """`not` and a part."""
        return Not(items[-1])

    def comparison(self, meta: Meta, items: list[Anything]) -> Filter:
        """A field against a constant."""
        placed, operator, given = items
        symbol = cast(Comparator, "==" if operator == "=" else str(operator))
        return Compare(placed.field, symbol, _fitting(placed, given, operator, symbol))

    def test(self, meta: Meta, items: list[Anything]) -> Filter:
        """A test of a text."""
        placed, operator, given = items[0], items[-2], items[-1]
        name = cast(TextTest, str(operator).lower())
        if not isinstance(given.value, str):
            raise QueryError(f"{name} needs a quoted text after it", given.column)
        if placed.type == "list" and name == "contains":
            found: Filter = Has(placed.field, given.value)
        elif placed.type in ("text", "any"):
            found = Test(placed.field, name, given.value)
        else:
            raise QueryError(
                f"{placed.text} is {constants.A[placed.type]}, and {name} tests texts alone",
                operator.start_pos + 1,
            )
        return _negated(found, items)

    def range(self, meta: Meta, items: list[Anything]) -> Filter:
        """`between` two constants, both included."""
        placed, low, high = items[0], items[-3], items[-1]
        operator = next(i for i in items if isinstance(i, Token) and i.type == "BETWEEN")
        found = All(
            (
                Compare(placed.field, ">=", _fitting(placed, low, operator, ">=")),
                Compare(placed.field, "<=", _fitting(placed, high, operator, "<=")),
            )
        )
        return _negated(found, items)

    def membership(self, meta: Meta, items: list[Anything]) -> Filter:
        """A field among constants."""
        placed, *rest = items
        given = [item for item in rest if isinstance(item, Given)]
        operator = next(i for i in rest if isinstance(i, Token) and i.type == "IN")
        values = tuple(_fitting(placed, one, operator, "==") for one in given)
        return _negated(In(placed.field, values), items)

    def null_test(self, meta: Meta, items: list[Anything]) -> Filter:
        """`is null`, `is not null`."""
        placed, operator, *rest = items
        given = Given(None, "null", rest[-1].start_pos + 1)
        symbol: Comparator = "==" if len(rest) == 1 else "!="
        return Compare(placed.field, symbol, _fitting(placed, given, operator, symbol))

    def has(self, meta: Meta, items: list[Anything]) -> Filter:
        """A text in a list."""
        text, placed = items[0], items[-1]
        if placed.type != "list":
            raise QueryError(
                f"{placed.text} is no list: write {placed.text} in [..]", placed.column
            )
        return _negated(Has(placed.field, constants.unquoted(str(text))), items)

    def constant(self, meta: Meta, items: list[Token]) -> Given:
        """A constant."""
        return constants.read(items[0])

    def at(self, meta: Meta, items: list[Token]) -> Placed:
        """`at(METRIC, STEP)`."""
        _, *path, step = items
        names = [_name(token) for token in path]
        if len(names) > 1 and self._entity.mappings.get(names[0]) == "last":
            names = names[1:]
        return self._placed(meta, Field("at", (".".join(names),), constants.step(step)))

    def field(self, meta: Meta, items: list[Anything]) -> Placed:
        """A field."""
        if isinstance(items[0], Placed):
            return items[0]
        step = items.pop() if items[-1].type == "STEP" else None
        first, *rest = map(_name, items)
        source = self._entity.mappings.get(first)
        if first in self._entity.columns and not rest and step is None:
            return self._placed(meta, Field("column", (first,)))
        if step is not None and (source != "last" or not rest) and self._entity.mappings:
            message = "a step can be asked of metrics alone: metrics.loss@100"
            raise QueryError(message, step.start_pos + 1)
        if source is None or (not rest and not self._whole_mappings):
            raise self._unknown(meta, first)
        if step is not None:
            return self._placed(meta, Field("at", (".".join(rest),), constants.step(step)))
        path = tuple(rest) if source == "parameter" or not rest else (".".join(rest),)
        return self._placed(meta, Field(source, path))

    def _placed(self, meta: Meta, field: Field) -> Placed:
        if field.source == "at" and not self._entity.mappings:
            raise self._unknown(meta, "at")
        text = self._text[meta.start_pos : meta.end_pos]
        return Placed(field, self._entity.type_of(field), text, meta.start_pos + 1)

    def _unknown(self, meta: Meta, first: str) -> QueryError:
        shown, columns = self._text[meta.start_pos : meta.end_pos], self._entity.columns
        mappings = self._entity.mappings
        near = difflib.get_close_matches(first, [*columns, *mappings], n=1)
        meant = f"; did you mean {near[0]}?" if near and near[0] != first else ""
        if first in mappings:
            meant = f"; name one of them: {first}.…"
        elif mappings and not meant:
            meant = f"; a parameter is parameters.{first}, a metric metrics.{first}"
        known = ", ".join([*columns, *(f"{name}.…" for name in mappings)])
        return QueryError(
            f"there is no field {shown!r} of a {self._entity.noun}{meant}; there are {known}",
            meta.start_pos + 1,
        )


def _fitting(placed: Placed, given: Given, operator: Token, symbol: Comparator) -> Constant:
    return constants.fitting(
        given,
        placed.type,
        name=placed.text,
        symbol=symbol,
        operator_column=(operator.start_pos or 0) + 1,
    )


def _negated(found: Filter, items: list[Anything]) -> Filter:
    negated = any(isinstance(item, Token) and item.type == "NOT" for item in items)
    return Not(found) if negated else found


def _name(token: Token) -> str:
    return constants.unquoted(str(token)) if token.type == "STRING" else str(token)
