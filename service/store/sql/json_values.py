"""Values inside JSON columns, as SQL expressions of one dialect."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

Expression = ColumnElement[Any]

_PLAIN = re.compile(r"[ !#-\[\]-~]+")
"""Names that a path of SQLite can hold: it has no way to write a quote inside of one, and
compares others with the text of the JSON, where they are escaped."""


def kind_and_value(
    column: Expression, path: Sequence[str], *, sqlite: bool
) -> tuple[Expression, Expression]:
    """The JSON type of what is at a path (NULL: nothing), and its value."""
    if not sqlite:
        steps = cast(literal(list(path), ARRAY(Text)), ARRAY(Text))
        return func.jsonb_typeof(func.jsonb_extract_path(column, *path)), column.op("#>>")(steps)
    if all(_PLAIN.fullmatch(part) for part in path):
        where = "$" + "".join(f'."{part}"' for part in path)
        return func.json_type(column, where), func.json_extract(column, where)
    return _looked_through(column, path)


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
