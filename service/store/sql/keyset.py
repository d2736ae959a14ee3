"""Pages by position: what to order by, and what comes after a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement, Float, Text, and_, false, literal, or_, true

from service.store.tables import UtcDateTime
from sweep.errors import QueryError

Expression = ColumnElement[Any]

NOT_OURS = "the cursor is not one of this service's"


@dataclass(frozen=True)
class Key:
    """One expression to order by; nulls come last either way."""

    expression: Expression
    type: Literal["number", "text", "time"]
    descending: bool = False
    nullable: bool = True


def order(keys: Sequence[Key]) -> list[Expression]:
    """The ORDER BY of those keys."""
    clauses: list[Expression] = []
    for key in keys:
        clause = key.expression.desc() if key.descending else key.expression.asc()
        clauses.append(clause.nulls_last() if key.nullable else clause)
    return clauses


def after(keys: Sequence[Key], position: Sequence[Any]) -> Expression:
    """The condition that a row comes after a position."""
    alternatives: list[Expression] = []
    equal: list[Expression] = []
    for key, value in zip(keys, position, strict=True):
        if value is None:
            equal.append(key.expression.is_(None))
            continue
        bound = _bound(key, value)
        beyond = key.expression < bound if key.descending else key.expression > bound
        if key.nullable:
            beyond = or_(beyond, key.expression.is_(None))
        alternatives.append(and_(*equal, beyond))
        equal.append(key.expression == bound)
    return and_(_bounded(keys[0], position[0]), or_(false(), *alternatives))


def _bounded(key: Key, value: Any) -> Expression:
    """What all of the alternatives imply: a range that an index can be read by."""
    if key.nullable or value is None:
        return true()
    bound = _bound(key, value)
    return key.expression <= bound if key.descending else key.expression >= bound


def to_plain(values: Sequence[Any]) -> list[Any]:
    """A row's position as JSON can hold it."""
    return [value.isoformat() if isinstance(value, datetime) else value for value in values]


def from_plain(keys: Sequence[Key], position: Sequence[Any]) -> list[Any]:
    """A position back from JSON.

    Raises:
        QueryError: when it is none of these keys'.
    """
    if len(position) != len(keys):
        raise QueryError(NOT_OURS)
    return [_read(key, value) for key, value in zip(keys, position, strict=True)]


def _read(key: Key, value: Any) -> Any:
    if value is None and key.nullable:
        return None
    if key.type == "time" and isinstance(value, str):
        return moment(value)
    wanted = str if key.type == "text" else int | float
    if isinstance(value, bool) or key.type == "time" or not isinstance(value, wanted):
        raise QueryError(NOT_OURS)
    return value


def moment(text: str) -> datetime:
    """A time in a cursor.

    Raises:
        QueryError: when it is none.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise QueryError(NOT_OURS) from None


def _bound(key: Key, value: Any) -> Expression:
    if key.type == "text":
        return literal(value, Text())
    if key.type == "time":
        return literal(value, UtcDateTime())
    return literal(value, BigInteger() if isinstance(value, int) else Float(53))
