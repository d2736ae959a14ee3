"""Filters, sorts and projections from text to `service.query.ast`."""

from functools import cache
from importlib.resources import files
from typing import Any as Anything
from typing import Literal

from lark import Lark, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput
from lark.exceptions import UnexpectedToken, VisitError

from service.query.ast import Filter, Named, SortKey
from service.query.build import Build
from service.query.fields import TRIALS, Entity
from sweep.errors import QueryError

MAX_CHARS = 2_000
MAX_FIELDS_CHARS = 20_000
MAX_DEPTH = 50
MAX_SORT_KEYS = 5

Part = Literal["filter", "sort", "fields"]


def parse_filter(text: str, entity: Entity = TRIALS) -> Filter:
    """Read a filter.

    Raises:
        QueryError: with the column (from 1) where it cannot be read.
    """
    found: Filter = _parse(text, entity, part="filter")
    return found


def parse_sort(text: str, entity: Entity = TRIALS) -> tuple[SortKey, ...]:
    """Read a sort: fields with commas between, `-` before one for descending.

    Raises:
        QueryError: with the column (from 1) where it cannot be read.
    """
    keys: tuple[SortKey, ...] = _parse(text, entity, part="sort")
    if len(keys) > MAX_SORT_KEYS:
        message = f"a sort names at most {MAX_SORT_KEYS} fields; this one has {len(keys)}"
        raise QueryError(message, part="sort")
    return keys


def parse_fields(text: str, entity: Entity = TRIALS) -> tuple[Named, ...]:
    """Read a projection: fields with commas between, each once.

    Raises:
        QueryError: with the column (from 1) where it cannot be read.
    """
    found: tuple[Named, ...] = _parse(text, entity, part="fields")
    return tuple({named.name: named for named in found}.values())


def _parse(text: str, entity: Entity, *, part: Part) -> Anything:
    try:
        _check_text(text, part)
        tree = _grammar().parse(text, start=_STARTS[part])
        return Build(text, entity, whole_mappings=part == "fields").transform(tree)
    except UnexpectedInput as error:
        raise _unexpected(error, text, part) from None
    except VisitError as error:
        if not isinstance(error.orig_exc, QueryError):
            raise
        found = error.orig_exc
    except QueryError as error:
        found = error
    raise QueryError(found.message, found.column, part=part) from None


_STARTS = {"filter": "start", "sort": "sort", "fields": "fields"}


def _check_text(text: str, part: Part) -> None:
    limit = MAX_FIELDS_CHARS if part == "fields" else MAX_CHARS
    if len(text) > limit:
        message = f"the {part} has {len(text)} characters; at most {limit} are allowed"
        raise QueryError(message, column=limit + 1)
    if "\x00" in text:
        raise QueryError(f"the {part} holds a NUL character", column=text.index("\x00") + 1)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError(f"the {part} is not valid text", column=error.start + 1) from None
    _check_depth(text, part)


def _check_depth(text: str, part: Part) -> None:
    depth = 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth > MAX_DEPTH:
            raise QueryError(f"the {part} is nested more than {MAX_DEPTH} deep", column=i + 1)
    pieces = text.lower().split("not ")
    if len(pieces) - 1 > MAX_DEPTH:
        column = len("not ".join(pieces[: MAX_DEPTH + 1])) + 1
        raise QueryError(f"the {part} is nested more than {MAX_DEPTH} deep", column=column)


@cache
def _grammar() -> Lark:
    text = files("service.query").joinpath("grammar.lark").read_text()
    return Lark(text, parser="lalr", start=list(_STARTS.values()), propagate_positions=True)


def _unexpected(error: UnexpectedInput, text: str, part: Part) -> QueryError:
    if isinstance(error, UnexpectedEOF) or (
        isinstance(error, UnexpectedToken) and error.token.type == "$END"
    ):
        column, found = len(text) + 1, "the end"
    else:
        column = (error.pos_in_stream or 0) + 1
        found = repr(text[column - 1 : column + 15].split(" ")[0])
    if isinstance(error, UnexpectedToken):
        expected = error.accepts or error.expected
    elif isinstance(error, UnexpectedCharacters):
        expected = error.allowed
    else:
        expected = set()
    names = ", ".join(shown for name, shown in _SHOWN.items() if name in (expected or ()))
    message = f"cannot read the {part} at {found}: expected {names}"
    return QueryError(message, column=column, part=part)


_SHOWN = {
    "NAME": "a field",
    "AT": "at(METRIC, STEP)",
    "NUMBER": "a number",
    "SPAN": "a duration such as 90s or 2h",
    "MOMENT": "now",
    "STRING": "a quoted text",
    "STEP": "a step",
    "TRUE": "true",
    "FALSE": "false",
    "NULL": "null",
    "COMPARATOR": "== != < <= > >=",
    "TEXT_TEST": "contains icontains startswith endswith matches",
    "BETWEEN": "between",
    "IS": "is",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "COMMA": "a comma",
    "DOT": "a dot",
    "AND": "and",
    "OR": "or",
    "NOT": "not",
    "IN": "in",
    "MINUS": "-",
    "__ANON_0": "@",
    "$END": "the end",
}
