"""Filters and sorts from text to `service.query.ast`."""

from functools import cache
from importlib.resources import files
from typing import cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput
from lark.exceptions import UnexpectedToken, VisitError

from service.query.ast import All, Any, Compare, Constant, Field, Filter, In, Not, SortKey
from service.query.fields import COLUMNS, MAPPINGS
from sweep.errors import QueryError

MAX_CHARS = 2_000
MAX_DEPTH = 50
MAX_SORT_KEYS = 5


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Raises:
        QueryError: with the column (from 1) where it cannot be read.
    """
    _check_length(text, "filter")
    try:
        tree = _grammar("start").parse(text)
        found = cast(Filter, _ToAst().transform(tree))
    except UnexpectedInput as error:
        raise _unexpected(error, text) from None
    except VisitError as error:
        if isinstance(error.orig_exc, QueryError):
            raise error.orig_exc from None
        raise
    return found


def parse_sort(text: str) -> tuple[SortKey, ...]:
    """Read a sort: fields with commas between, `-` before one for descending.

    Raises:
        QueryError: naming the field that cannot be read.
    """
    _check_length(text, "sort")
    keys = []
    for part in text.split(","):
        stripped = part.strip()
        name = stripped.removeprefix("-").strip()
        try:
            field = cast(Field, _ToAst().transform(_grammar("field").parse(name)))
        except UnexpectedInput:
            raise QueryError(f"cannot sort by {stripped!r}: name a field, such as -best") from None
        except VisitError as error:
            raise QueryError(f"cannot sort by {stripped!r}: {error.orig_exc}") from None
        keys.append(SortKey(field, descending=stripped.startswith("-")))
    if len(keys) > MAX_SORT_KEYS:
        raise QueryError(f"a sort names at most {MAX_SORT_KEYS} fields; this one has {len(keys)}")
    return tuple(keys)


def _check_length(text: str, what: str) -> None:
    if len(text) > MAX_CHARS:
        raise QueryError(f"the {what} has {len(text)} characters; at most {MAX_CHARS} are allowed")
    if "\x00" in text:
        raise QueryError(f"the {what} holds a NUL character", column=text.index("\x00") + 1)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError(f"the {what} is not valid text", column=error.start + 1) from None
    depth = deepest = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH or text.lower().count("not ") > MAX_DEPTH:
        raise QueryError(f"the {what} is nested more than {MAX_DEPTH} deep")


@cache
def _grammar(start: str) -> Lark:
    text = files("service.query").joinpath("grammar.lark").read_text()
    return Lark(text, parser="lalr", start=start, propagate_positions=True)


def _unexpected(error: UnexpectedInput, text: str) -> QueryError:
    if isinstance(error, UnexpectedEOF) or (
        isinstance(error, UnexpectedToken) and error.token.type == "$END"
    ):
        column, found = len(text) + 1, "the end"
    else:
        column = error.column
        found = repr(text[column - 1 : column + 15].split(" ")[0])
    if isinstance(error, UnexpectedToken):
        expected = error.accepts or error.expected
    elif isinstance(error, UnexpectedCharacters):
        expected = error.allowed
    else:
        expected = set()
    names = ", ".join(sorted({_SHOWN.get(name, name) for name in expected or ()}))
    return QueryError(f"cannot read the filter at {found}: expected {names}", column=column)


_SHOWN = {
    "NAME": "a field",
    "NUMBER": "a number",
    "STRING": "a quoted text",
    "TRUE": "true",
    "FALSE": "false",
    "NULL": "null",
    "OPERATOR": "== != < <= > >= contains",
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
    "$END": "the end",
}


class _ToAst(Transformer[Token, object]):
    def start(self, items: list[Filter]) -> Filter:
        return items[0]

    def either(self, items: list[Filter | Token]) -> Filter:
        return Any(tuple(item for item in items if not isinstance(item, Token)))

    def both(self, items: list[Filter | Token]) -> Filter:
        return All(tuple(item for item in items if not isinstance(item, Token)))

    def negation(self, items: list[Filter]) -> Filter:
        return Not(items[-1])

    def comparison(self, items: list[object]) -> Filter:
        field, operator, value = items
        symbol = str(operator).lower()
        symbol = "==" if symbol == "=" else symbol
        if value is None and symbol not in ("==", "!="):
            raise QueryError(f"null can be compared with == and != alone, not {symbol}")
        if symbol == "contains" and not isinstance(value, str):
            raise QueryError("contains needs a quoted text after it")
        if isinstance(value, bool) and symbol not in ("==", "!="):
            raise QueryError(f"true and false can be compared with == and != alone, not {symbol}")
        return Compare(field, symbol, value)  # type: ignore[arg-type]

    def membership(self, items: list[object]) -> Filter:
        field, *rest = items
        negated = isinstance(rest[0], Token) and rest[0].type == "NOT"
        values = tuple(item for item in rest if not isinstance(item, Token))
        found = In(field, values)  # type: ignore[arg-type]
        return Not(found) if negated else found

    def constant(self, items: list[Token]) -> Constant:
        (token,) = items
        match token.type:
            case "STRING":
                return str(token[1:-1])
            case "NUMBER":
                return _number(str(token))
            case "TRUE":
                return True
            case "FALSE":
                return False
            case _:
                return None

    def field(self, items: list[Token]) -> Field:
        first, *rest = (str(i[1:-1]) if i.type == "STRING" else str(i) for i in items)
        if first in COLUMNS and not rest:
            return Field("column", (first,))
        if first in MAPPINGS and rest:
            if MAPPINGS[first] != "parameter":
                return Field(MAPPINGS[first], (".".join(rest),))
            return Field("parameter", tuple(rest))
        known = ", ".join([*COLUMNS, *(f"{name}.…" for name in MAPPINGS)])
        shown = ".".join((first, *rest))
        raise QueryError(f"there is no field {shown!r}; there are {known}", column=items[0].column)


def _number(text: str) -> float:
    value = float(text)
    if abs(value) == float("inf"):
        raise QueryError(f"the number {text!r:.50} is out of range")
    return value
