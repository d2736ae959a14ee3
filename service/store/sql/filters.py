"""Filters as SQLAlchemy expressions, and sorts as the keys of a page.

Comparisons of unlike types are never true and never an error. A condition may be NULL where
it is not true; `not` takes NULL for false, so that it is plain negation.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Float, Text, and_, false, func, literal, not_, or_, select
from sqlalchemy.dialects.postgresql import JSONB

from service.query.ast import (
    All,
    Any,
    Compare,
    Constant,
    Field,
    Filter,
    Has,
    In,
    Moment,
    Not,
    SortKey,
    Test,
)
from service.query.fields import TRIALS, Entity
from service.store.sql.keyset import Key
from service.store.sql.readings import Expression, Reader, Reading
from service.store.tables import UtcDateTime


class Compiler:
    """Turns filters and sorts of one kind of row into expressions of one dialect.

    Args:
        dialect: the database's.
        entity: what the rows are.
        now: the time that `now` and the durations of what has not ended go by; NULL without it.
    """

    def __init__(
        self, dialect: str, entity: Entity = TRIALS, *, now: datetime | None = None
    ) -> None:
        self._reader = Reader(entity, dialect, now=now)
        self.sqlite = dialect == "sqlite"
        self._now = now

    def read(self, field: Field) -> Reading:
        """A field's expressions."""
        return self._reader.read(field)

    def condition(self, filter_: Filter) -> Expression:
        """The filter as a condition; NULL counts as false."""
        match filter_:
            case Compare():
                return self._compare(filter_)
            case Test():
                return self._test(filter_)
            case In():
                reading = self.read(filter_.field)
                return or_(false(), *(self._equal(reading, c) for c in filter_.values))
            case Has():
                return self._has(filter_)
            case Not():
                return not_(func.coalesce(self.condition(filter_.operand), false()))
            case All():
                return and_(*(self.condition(operand) for operand in filter_.operands))
            case Any():
                return or_(*(self.condition(operand) for operand in filter_.operands))

    def sort_keys(self, keys: Sequence[SortKey]) -> list[Key]:
        """What to order by: one key for each scale that a field may be on."""
        found: list[Key] = []
        for key in keys:
            reading, down = self.read(key.field), key.descending
            if reading.number is not None:
                found.append(Key(reading.number, "number", down, nullable=reading.nullable))
            if reading.text is not None:
                text = self._collated(reading.text)
                found.append(Key(text, "text", down, nullable=reading.nullable))
            if reading.time is not None:
                found.append(Key(reading.time, "time", down, nullable=reading.nullable))
        return found

    def _compare(self, comparison: Compare) -> Expression:
        reading, constant = self.read(comparison.field), comparison.value
        if comparison.comparator == "==":
            return self._equal(reading, constant)
        if constant is None:
            return not_(reading.is_null)
        side, bound = self._side(reading, constant), self._bound(constant)
        if side is None:
            return false()
        match comparison.comparator:
            case "!=":
                return side != bound
            case "<":
                return side < bound
            case "<=":
                return side <= bound
            case ">":
                return side > bound
        return side >= bound

    def _equal(self, reading: Reading, constant: Constant) -> Expression:
        if constant is None:
            return reading.is_null
        side = self._side(reading, constant)
        if side is None:
            return false()
        equal = side == self._bound(constant)
        if isinstance(constant, str) and reading.may_equal is not None:
            return and_(reading.may_equal(constant), equal)
        return equal

    def _test(self, test: Test) -> Expression:
        text = self.read(test.field).text
        if text is None:
            return false()
        match test.test:
            case "contains":
                return self._found(text, test.value)
            case "icontains":
                return self._found(func.lower(self._collated(text)), _lower(test.value))
            case "startswith":
                return func.substr(text, 1, len(test.value)) == test.value
            case "endswith":
                start = func.length(text) - len(test.value)
                return and_(start >= 0, func.substr(text, start + 1) == test.value)
        if self.sqlite:
            return text.op("GLOB", is_comparison=True)(test.value.replace("[", "[[]"))
        return text.like(_like(test.value), escape="\\")

    def _found(self, text: Expression, part: str) -> Expression:
        find = func.instr if self.sqlite else func.strpos
        return find(text, part) > 0

    def _has(self, test: Has) -> Expression:
        members = self.read(test.field).members
        if members is None:
            return false()
        if not self.sqlite:
            return members.op("@>", is_comparison=True)(literal([test.value], JSONB()))
        each = func.json_each(members).table_valued("value")
        return select(each.c.value).where(each.c.value == test.value).exists()

    def _side(self, reading: Reading, constant: Constant) -> Expression | None:
        if isinstance(constant, bool):
            return reading.boolean
        if isinstance(constant, str):
            return None if reading.text is None else self._collated(reading.text)
        if isinstance(constant, datetime | Moment):
            return reading.time
        return reading.number

    def _bound(self, constant: Constant) -> Expression:
        """The constant as a parameter of its own type, whatever it is compared with."""
        if isinstance(constant, bool):
            return literal(json.dumps(constant), Text())
        if isinstance(constant, str):
            return literal(constant, Text())
        if isinstance(constant, Moment):
            now = self._now
            moment = None if now is None else now + timedelta(seconds=constant.offset_s)
            return literal(moment, UtcDateTime())
        if isinstance(constant, datetime):
            return literal(constant, UtcDateTime())
        return literal(constant, BigInteger() if isinstance(constant, int) else Float(53))

    def _collated(self, text: Expression) -> Expression:
        """Text ordered by code point, as Python orders it."""
        return text if self.sqlite else text.collate("C")


def _lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def _like(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
