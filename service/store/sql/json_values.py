"""Values inside JSON columns, as SQL expressions of one dialect."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

Expression = ColumnElement[Any]

PLAIN = re.compile(r"[ !#-\[\]-~]+")
"""Texts that JSON holds as they are. A path of SQLite can hold no other names: it has no way to
write a quote inside of one, and compares others with the text of the JSON, where they are
escaped."""


def kind_and_value(
    column: Expression, path: Sequence[str], *, sqlite: bool
) -> tuple[Expression, Expression]:
    """The JSON type of what is at a path (NULL: nothing), and its value."""
    if not sqlite:
        steps = cast(literal(list(path), ARRAY(Text)), ARRAY(Text))
        return func.jsonb_typeof(func.jsonb_extract_path(column, *path)), column.op("#>>")(steps)
    if all(PLAIN.fullmatch(part) for part in path):
        where = sqlite_path(path)
        return func.json_type(column, where), func.json_extract(column, where)
    return _looked_through(column, path)


def json_text(column: Expression, path: Sequence[str], *, sqlite: bool) -> Expression:
    """What is at a path as JSON, which tells 1, '1', true and mappings apart; NULL: nothing."""
    if not sqlite:
        return cast(func.jsonb_extract_path(column, *path) if path else column, Text)
    if all(PLAIN.fullmatch(part) for part in path):
        return column.op("->", return_type=Text())(literal(sqlite_path(path), Text))
    kind, value = _looked_through(column, path)
    return case(
        (kind.in_(("true", "false", "null")), kind),
        (kind.in_(("object", "array")), value),
        (kind.is_not(None), func.json_quote(value)),
    )


def json_texts(column: Expression, paths: Sequence[Sequence[str]]) -> Expression | None:
    """What is at several paths as one JSON list, for SQLite; None where a name cannot be held."""
    if not all(PLAIN.fullmatch(part) for path in paths for part in path):
        return None
    return func.json_extract(column, *(literal(sqlite_path(path), Text) for path in paths))


def sqlite_path(path: Sequence[str]) -> str:
    """A path of SQLite's, of names that it can hold."""
    return "$" + "".join(f'."{part}"' for part in path)


def _looked_through(column: Expression, path: Sequence[str]) -> tuple[Expression, Expression]:
    kind: Expression = literal("object")
    value = column
    for part in path:
        members = func.json_each(case((kind == "object", value), else_="{}")).table_valued(
            "key", "value", "type", joins_implicitly=True
        )
        found = select(members.c.type).where(members.c.key == part).limit(1)
        kind, value = (
            found.correlate_except(members).scalar_subquery(),
            found.with_only_columns(members.c.value).correlate_except(members).scalar_subquery(),
        )
    return kind, value
