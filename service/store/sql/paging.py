"""What the lists of trials and of sweeps have in common."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Select

from service.query.fields import Entity
from service.store import cursors
from service.store.interface import RowQuery
from service.store.sql import keyset
from service.store.sql.convert import AnyRow
from service.store.sql.filters import Compiler
from service.store.sql.keyset import Key
from service.store.sql.scans import off_its_index
from service.store.tables import trials
from sweep.errors import QueryError


class Listing:
    """One question about the rows of a kind, in one dialect.

    A cursor keeps the time of its first page, so that all pages go by the same `now`.
    """

    def __init__(
        self, query: RowQuery, entity: Entity, dialect: str, *, last_key: Key, scope: str
    ) -> None:
        self._question = (entity.noun, scope, query.filter, query.sort)
        self._position: list[Any] | None = None
        if query.cursor is not None:
            query = self._begun(query, query.cursor)
        self._query = query
        self.compiler = Compiler(dialect, entity, now=query.now)
        self._keys = [*self.compiler.sort_keys(query.sort), last_key]

    def narrowed(self, selected: Select[Any]) -> Select[Any]:
        """Only the rows that match."""
        if self._query.filter is None:
            return selected
        condition = self.compiler.condition(self._query.filter)
        if self.compiler.sqlite and self._keys[0].expression is not trials.c.best:
            condition = off_its_index(condition)
        return selected.where(condition)

    def ordered(self, selected: Select[Any]) -> Select[Any]:
        """The rows that match, in order."""
        return self.narrowed(selected).order_by(*keyset.order(self._keys))

    def page(
        self, connection: Connection, selected: Select[Any]
    ) -> tuple[Sequence[AnyRow], str | None]:
        """The rows of one page, and the cursor of the next."""
        labelled = [key.expression.label(f"key_{i}") for i, key in enumerate(self._keys)]
        selected = self.narrowed(selected).add_columns(*labelled)
        limit, rows = self._query.limit, list[AnyRow]()
        for part in self._parts(selected):
            if len(rows) <= limit:
                rows += connection.execute(part.limit(limit + 1 - len(rows))).all()
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], self._cursor(rows[limit - 1])

    def _parts(self, selected: Select[Any]) -> Iterator[Select[Any]]:
        """The rows after the position, in order: those with a first key, then those without.

        Apart, each can be read off an index, which orders nulls otherwise.
        """
        position = self._position
        if position is not None:
            position = keyset.from_plain(self._keys, position)
        first, *rest = self._keys
        if not first.nullable:
            yield _after(selected, self._keys, position)
            return
        if position is None or position[0] is not None:
            known = [replace(first, nullable=False), *rest]
            yield _after(selected.where(first.expression.is_not(None)), known, position)
            position = None
        left = None if position is None else position[1:]
        yield _after(selected.where(first.expression.is_(None)), rest, left)

    def _cursor(self, row: AnyRow) -> str:
        found = row._mapping
        position = [found[f"key_{i}"] for i in range(len(self._keys))]
        plain = keyset.to_plain([self._query.now, *position])
        return cursors.encode(plain, question=self._question)

    def _begun(self, query: RowQuery, cursor: str) -> RowQuery:
        now, *self._position = cursors.decode(cursor, question=self._question)
        if now is None:
            return replace(query, now=None)
        if not isinstance(now, str):
            raise QueryError(keyset.NOT_OURS)
        return replace(query, now=keyset.moment(now))


def _after(
    selected: Select[Any], keys: Sequence[Key], position: Sequence[Any] | None
) -> Select[Any]:
    if position is not None:
        selected = selected.where(keyset.after(keys, position))
    return selected.order_by(*keyset.order(keys))


def named(names: Sequence[str], values: Sequence[Any]) -> Mapping[str, Any]:
    """A row of a projection as JSON can hold it."""
    return {name: _finite(value) for name, value in zip(names, values, strict=True)}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
