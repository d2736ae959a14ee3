"""Fields of trials as columns that can be grouped by, and their rows as labels."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Float, Text, cast, null
from sqlalchemy.types import TypeEngine

from service.query.ast import Field
from service.store.analysis import Label, label_key
from service.store.sql.filters import Compiler
from service.store.sql.json_values import json_text, json_texts
from service.store.tables import trials

Expression = ColumnElement[Any]
Labels = tuple[Label, ...]
Row = TypeVar("Row")

_DISTINCT = 50_000
"""JSON texts whose value is kept: fields that are grouped by have few."""


class LabelReader:
    """Some fields of a trial as SQL columns, and a row's values of them as labels.

    Parameters are read as JSON, since that tells 1, '1', true and mappings apart with one
    look at the document; other fields as a number and a text, one of them NULL.
    """

    def __init__(self, fields: Sequence[Field], compiler: Compiler) -> None:
        parameters = [field.path for field in fields if field.source == "parameter"]
        found = _json_columns(parameters, sqlite=compiler.sqlite)
        self._json_columns = len(found)
        self._fields = tuple(fields)
        self._together = len(found) < len(parameters)
        for field in fields:
            if field.source != "parameter":
                reading = compiler.read(field)
                found += [_or_null(reading.number, Float(53)), _or_null(reading.text, Text())]
        self.columns = [column.label(f"label_{i}") for i, column in enumerate(found)]

    def labels(self, row: Sequence[Any]) -> Labels:
        """The labels of a row that begins with the columns."""
        read = [_loaded(text) for text in row[: self._json_columns]]
        parameters = iter(read[0] if self._together else read)
        place, found = self._json_columns, []
        for field in self._fields:
            if field.source == "parameter":
                found.append(next(parameters))
            else:
                found.append(_scalar(row[place], row[place + 1]))
                place += 2
        return tuple(found)


def metric_value(field: Field, compiler: Compiler) -> Expression:
    """The number that a field is; NULL where it is none."""
    return _or_null(compiler.read(field).number, Float(53))


def merged(
    rows: Iterable[tuple[Labels, Row]], join: Callable[[Row, Row], Row]
) -> list[tuple[Labels, Row]]:
    """Rows with the labels that SQL wrote in different ways joined into one."""
    found: dict[str, tuple[Labels, Row]] = {}
    for labels, row in rows:
        key = label_key(labels)
        first = found.get(key)
        found[key] = (labels, row) if first is None else (first[0], join(first[1], row))
    return list(found.values())


def _json_columns(paths: Sequence[tuple[str, ...]], *, sqlite: bool) -> list[Expression]:
    """Parameters as JSON; on SQLite, which sorts to group, several in one column if they can."""
    column = trials.c.parameters
    together = json_texts(column, paths) if sqlite and len(paths) > 1 else None
    if together is not None:
        return [together]
    return [json_text(column, path, sqlite=sqlite) for path in paths]


def _or_null(scale: Expression | None, kind: TypeEngine[Any]) -> Expression:
    return cast(null() if scale is None else scale, kind)


def _scalar(number: float | None, text: str | None) -> Label:
    if number is None:
        return text
    return int(number) if float(number).is_integer() else float(number)


@lru_cache(maxsize=_DISTINCT)
def _loaded(text: str | None) -> Label:
    return None if text is None else json.loads(text)
