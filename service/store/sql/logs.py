"""What trials print, in SQL."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.dialects import postgresql, sqlite

from service.store import cursors
from service.store.interface import LogQuery
from service.store.sql import convert
from service.store.sql.trials import find_trial
from service.store.tables import logs
from sweep.errors import QueryError
from sweep.records import LogPage, LogRecord
from sweep.wire import LogWritten

MAX_PIECES = 20_000
"""Pieces of one work that are kept."""
MAX_CHARS = 2 << 20
"""Characters of one work that are kept, about."""

_SMALL_CHARS = 4_096
_PAGE_CHARS = 256 * 1024
_CHUNK = 50


def write(connection: Connection, sweep_pk: int, pieces: Sequence[LogWritten]) -> None:
    """Keep pieces that are not there yet, of works that have not printed too much."""
    kept = [piece for piece in pieces if piece.seq < MAX_PIECES]
    full = _full(connection, sweep_pk, kept)
    values = [
        {"sweep_pk": sweep_pk, **piece.model_dump(exclude={"kind"})}
        for piece in kept
        if piece.work not in full
    ]
    if values:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(logs).on_conflict_do_nothing(), values)


def _full(connection: Connection, sweep_pk: int, pieces: Sequence[LogWritten]) -> frozenset[str]:
    """The works that have printed too much; asked only for those that print much now."""
    sizes: dict[str, int] = {}
    for piece in pieces:
        sizes[piece.work] = sizes.get(piece.work, 0) + len(piece.text)
    many = [work for work, size in sizes.items() if size > _SMALL_CHARS]
    if not many:
        return frozenset()
    kept = func.sum(func.length(logs.c.text))
    rows = connection.execute(
        select(logs.c.work, kept)
        .where(logs.c.sweep_pk == sweep_pk, logs.c.work.in_(many))
        .group_by(logs.c.work)
        .having(kept > MAX_CHARS)
    )
    return frozenset(row.work for row in rows)


def page(connection: Connection, trial_id: str, query: LogQuery) -> LogPage:
    """One page of a trial's log, or its end."""
    _, trial = find_trial(connection, trial_id)
    works = {work["name"]: work for work in reversed(trial.works)}
    log = _Log(connection, trial.sweep_pk, list(reversed(works.values())), query.stream)
    question = ("logs", trial_id, query.stream)
    if query.tail is not None:
        items, more = log.tail(query.tail), False
    else:
        log.move_to(query.cursor, question)
        items, more = log.forward(query.limit)
    cursor = cursors.encode([",".join(map(str, log.told))], question=question)
    return LogPage(items=tuple(items), next_cursor=cursor if more else None, end_cursor=cursor)


class _Log:
    """A trial's works, read in order or from the end.

    `told` holds the number of the last piece of each work that was read, so that what a
    work tells late, after the next began, is found all the same.
    """

    def __init__(
        self,
        connection: Connection,
        sweep_pk: int,
        works: Sequence[Mapping[str, Any]],
        stream: str | None,
    ) -> None:
        self._connection = connection
        self._works = works
        self._mine = select(logs).where(logs.c.sweep_pk == sweep_pk)
        if stream is not None:
            self._mine = self._mine.where(logs.c.stream == stream)
        self.told = [-1] * len(works)

    def move_to(self, cursor: str | None, question: object) -> None:
        """Go on from a cursor.

        Raises:
            QueryError: when it is not one of this log's.
        """
        if cursor is None:
            return
        (text,) = cursors.decode(cursor, question=question, length=1)
        try:
            told = [int(part) for part in str(text).split(",") if part]
        except ValueError:
            raise QueryError(f"the cursor {cursor!r:.100} is not one of this service's") from None
        self.told = [*told, *self.told][: len(self._works)]
        self.told += [-1] * (len(self._works) - len(self.told))

    def forward(self, limit: int) -> tuple[list[LogRecord], bool]:
        """The next pieces, and whether there are more."""
        items: list[LogRecord] = []
        chars = 0
        for place, work in enumerate(self._works):
            after = self._mine.where(logs.c.work == work["name"], logs.c.seq > self.told[place])
            for row in self._rows(after.order_by(logs.c.seq)):
                if len(items) == limit or chars >= _PAGE_CHARS:
                    return items, True
                items.append(_record(row, work, row.text))
                chars += len(row.text)
                self.told[place] = row.seq
        return items, False

    def tail(self, lines: int) -> list[LogRecord]:
        """The last lines; what is there now counts as read."""
        items: list[LogRecord] = []
        self.told = [self._last(work) for work in self._works]
        for work, last in zip(reversed(self._works), reversed(self.told), strict=True):
            upto = self._mine.where(logs.c.work == work["name"], logs.c.seq <= last)
            for row in self._rows(upto.order_by(logs.c.seq.desc())):
                if lines <= 0:
                    break
                found = _lines(row.text)[-lines:]
                lines -= len(found)
                items.append(_record(row, work, "".join(found)))
        return items[::-1]

    def _last(self, work: Mapping[str, Any]) -> int:
        of_work = self._mine.where(logs.c.work == work["name"]).subquery()
        last = self._connection.execute(select(func.max(of_work.c.seq))).scalar()
        return -1 if last is None else int(last)

    def _rows(self, selected: Select[Any]) -> Iterator[convert.AnyRow]:
        with self._connection.execution_options(yield_per=_CHUNK).execute(selected) as result:
            yield from result


def _lines(text: str) -> list[str]:
    """The lines, each with what ends it."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _record(row: convert.AnyRow, work: Mapping[str, Any], text: str) -> LogRecord:
    return LogRecord(
        attempt=work["attempt"],
        work=work["name"],
        packed=work["packed"],
        node=work["node"],
        stream=row.stream,
        time=row.time,
        text=text,
    )
