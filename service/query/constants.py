"""The constants of a filter: how they are written, and which field takes which."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from lark import Token

from service.query.ast import Comparator, Constant, Moment
from service.query.fields import FieldType
from sweep.errors import QueryError

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_INTEGERS = range(-(2**63), 2**63)
_MAX_OFFSET_S = 1e10

A: Mapping[FieldType, str] = {
    "integer": "a number",
    "number": "a number",
    "text": "a text",
    "time": "a time",
    "list": "a list",
    "any": "a parameter",
}
"""What a field of each type is called."""

_TAKES: Mapping[FieldType, str] = {
    "integer": "compare it with a number",
    "number": "compare it with a number",
    "text": "compare it with a quoted text",
    "time": "compare it with a time such as '2026-01-31T12:00Z' or now-1h",
    "list": "ask 'x' in it",
    "any": "compare it with a number, a quoted text, true, false or null",
}

Kind = Literal["number", "span", "moment", "text", "boolean", "null"]


@dataclass(frozen=True)
class Given:
    """A constant as it was written, and where."""

    value: Constant
    kind: Kind
    column: int


def read(token: Token) -> Given:
    """A constant from its token.

    Raises:
        QueryError: when it is out of range.
    """
    column, text = (token.start_pos or 0) + 1, str(token)
    match token.type:
        case "STRING":
            return Given(unquoted(text), "text", column)
        case "NUMBER":
            return Given(_number(text, column), "number", column)
        case "SPAN":
            return Given(_span(text, column), "span", column)
        case "MOMENT":
            return Given(_moment(text, column), "moment", column)
        case "TRUE" | "FALSE":
            return Given(token.type == "TRUE", "boolean", column)
        case _:
            return Given(None, "null", column)


def fitting(
    given: Given, type_: FieldType, *, name: str, symbol: Comparator, operator_column: int
) -> Constant:
    """The constant, as a field of that type takes it.

    Raises:
        QueryError: when the field cannot be compared with it so.
    """
    if given.value is None and type_ != "list":
        if symbol not in ("==", "!="):
            message = f"null can be compared with == and != alone, not {symbol}"
            raise QueryError(message, given.column)
        return None
    if not _takes(given, type_, name):
        message = f"{name} is {A[type_]}: {_TAKES[type_].replace('in it', f'in {name}')}"
        raise QueryError(message, given.column)
    if isinstance(given.value, bool) and symbol not in ("==", "!="):
        message = f"true and false can be compared with == and != alone, not {symbol}"
        raise QueryError(message, operator_column)
    if type_ == "time" and isinstance(given.value, str):
        return _time(given.value, given.column, name)
    return given.value


def _takes(given: Given, type_: FieldType, name: str) -> bool:
    match type_:
        case "text":
            return given.kind == "text"
        case "time":
            return given.kind in ("text", "moment")
        case "any":
            return given.kind in ("number", "text", "boolean")
        case "list":
            return False
    return given.kind == "number" or (given.kind == "span" and name == "duration")


def unquoted(text: str) -> str:
    """What stands in quotes; the same quotes twice in it stand for one."""
    return text[1:-1].replace(text[0] * 2, text[0])


def step(token: Token) -> int:
    """A step.

    Raises:
        QueryError: when it is out of range.
    """
    value = int(str(token)) if len(token) < 20 else 2**63
    if value not in _INTEGERS:
        raise QueryError(f"the step {str(token)!r:.50} is out of range", (token.start_pos or 0) + 1)
    return value


def _number(text: str, column: int) -> int | float:
    if text.lstrip("+-").isdigit() and len(text) < 20 and int(text) in _INTEGERS:
        return int(text)
    value = float(text)
    if abs(value) == float("inf"):
        raise QueryError(f"the number {text!r:.50} is out of range", column)
    return value


def _span(text: str, column: int) -> float:
    seconds = float(text[:-1]) * _SECONDS[text[-1]]
    if seconds > _MAX_OFFSET_S:
        raise QueryError(f"the duration {text!r:.50} is out of range", column)
    return seconds


def _moment(text: str, column: int) -> Moment:
    rest = "".join(text[3:].split())
    if not rest:
        return Moment()
    sign = -1 if rest[0] == "-" else 1
    return Moment(sign * _span(rest[1:].lower(), column))


def _time(text: str, column: int, name: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{name} is a time: {text!r:.50} is none; write it as '2026-01-31T12:00Z'"
        raise QueryError(message, column) from None
