"""Many rows at once: what a driver's batch writes, past SQLAlchemy's value by value.

A batch may hold ten thousand reports, and then most of the time would go into turning each
value on its own. The texts made here are those that the columns' types make.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from service.store.sql import convert
from service.store.tables import UtcDateTime, trials
from sweep.errors import ServiceUnavailable
from sweep.rows import TrialRow
from sweep.wire import ReportRow

Reports = Iterable[tuple[int, ReportRow]]
"""Reports with the keys of their trials."""

_EMPTY = "{}"
_JSON_COLUMNS = frozenset(
    name for name in convert.CHANGING if isinstance(trials.c[name].type, type(trials.c.last.type))
)
_TIME_COLUMNS = frozenset(
    name for name in convert.CHANGING if isinstance(trials.c[name].type, UtcDateTime)
)


def insert_reports(connection: Connection, reports: Reports) -> None:
    """Insert the reports that are not there yet."""
    if connection.dialect.name == "postgresql":
        _copy_reports(connection, reports)
    else:
        _insert_reports(connection, reports)


def update_trials(
    connection: Connection, rows: Sequence[tuple[int, TrialRow]], *, version: int
) -> None:
    """Write what drivers may change of trials, by their keys."""
    if connection.dialect.name == "postgresql":
        _update_by_arrays(connection, rows, version)
    else:
        _update_each(connection, rows, version)


def _insert_reports(connection: Connection, reports: Reports) -> None:
    text, moment = _Values(), _sqlite_time
    rows = [
        (
            key,
            report.step,
            moment(report.time),
            text.of(report.values),
            json.dumps(report.nonfinite) if report.nonfinite else _EMPTY,
        )
        for key, report in reports
    ]
    if rows:
        connection.exec_driver_sql(
            'INSERT INTO reports (trial_pk, step, time, "values", nonfinite) '
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            rows,
        )


def _copy_reports(connection: Connection, reports: Reports) -> None:
    """By COPY into a table of the session, which knows no index and writes no log."""
    text = _Values(escape=_copied)
    lines = [
        f"{key}\t{report.step}\t{report.time.isoformat()}\t{text.of(report.values)}\t"
        f"{_copied(json.dumps(report.nonfinite)) if report.nonfinite else _EMPTY}\n"
        for key, report in reports
    ]
    if not lines:
        return
    connection.exec_driver_sql(
        "CREATE TEMPORARY TABLE IF NOT EXISTS staged_reports (LIKE reports) ON COMMIT DELETE ROWS"
    )
    driver_connection: Any = connection.connection.driver_connection
    try:
        with (
            driver_connection.cursor() as cursor,
            cursor.copy(
                'COPY staged_reports (trial_pk, step, time, "values", nonfinite) FROM STDIN'
            ) as copy,
        ):
            copy.write("".join(lines))
    except connection.dialect.loaded_dbapi.OperationalError as error:
        raise ServiceUnavailable(f"the database connection was lost: {error}") from error
    connection.exec_driver_sql(
        'INSERT INTO reports (trial_pk, step, time, "values", nonfinite) '
        'SELECT trial_pk, step, time, "values", nonfinite FROM staged_reports '
        "ON CONFLICT DO NOTHING"
    )


def _update_each(
    connection: Connection, rows: Sequence[tuple[int, TrialRow]], version: int
) -> None:
    places = ", ".join(f"{_quoted(name)} = ?" for name in convert.CHANGING)
    connection.exec_driver_sql(
        f"UPDATE trials SET {places}, version = ? WHERE pk = ?",
        [(*_plain(row, _sqlite_time), version, key) for key, row in rows],
    )


def _update_by_arrays(
    connection: Connection, rows: Sequence[tuple[int, TrialRow]], version: int
) -> None:
    names = convert.CHANGING
    dialect = connection.dialect
    types = [trials.c[name].type.compile(dialect) for name in names]
    arrays = ", ".join(
        f"%s::{'text' if name in _JSON_COLUMNS else type_}[]"
        for name, type_ in zip(names, types, strict=True)
    )
    values = ", ".join(
        f"{_quoted(name)} = new.{_quoted(name)}{'::jsonb' if name in _JSON_COLUMNS else ''}"
        for name in names
    )
    columns = ", ".join(map(_quoted, names))
    given = zip(*(_plain(row, _same) for _, row in rows), strict=True)
    connection.exec_driver_sql(
        f"UPDATE trials SET {values}, version = %s "
        f"FROM unnest(%s::bigint[], {arrays}) AS new (this_pk, {columns}) "
        "WHERE trials.pk = new.this_pk",
        (version, [key for key, _ in rows], *map(list, given)),
    )


def _plain(row: TrialRow, moment: Callable[[datetime], Any]) -> list[Any]:
    """A trial's changing columns as the driver of the database takes them."""
    return [
        _dump(value)
        if name in _JSON_COLUMNS
        else moment(value)
        if name in _TIME_COLUMNS and value is not None
        else value
        for name, value in convert.trial_changes(row).items()
    ]


def _dump(value: Any) -> str:
    return json.dumps(value) if value else "[]" if isinstance(value, list) else _EMPTY


def _quoted(name: str) -> str:
    return f'"{name}"'


def _same(moment: datetime) -> datetime:
    return moment


def _sqlite_time(moment: datetime) -> str:
    """As SQLAlchemy writes it: in UTC, without the zone."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _copied(text: str) -> str:
    """Text as COPY reads it; JSON holds no tab and no line's end as such."""
    return text.replace("\\", "\\\\")


class _Values:
    """Metrics as JSON; each name is turned once."""

    def __init__(self, *, escape: Callable[[str], str] = str) -> None:
        self._escape = escape
        self._names: dict[str, str] = {}

    def of(self, values: Mapping[str, float | None]) -> str:
        """The JSON text; `repr` of a finite number is what JSON takes."""
        names = self._names
        parts = [
            f"{names.get(name) or self._name(name)}: {'null' if value is None else repr(value)}"
            for name, value in values.items()
        ]
        return f"{{{', '.join(parts)}}}"

    def _name(self, name: str) -> str:
        text = self._names[name] = self._escape(json.dumps(name))
        return text
