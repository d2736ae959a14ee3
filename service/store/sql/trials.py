"""Trials and their reports in SQL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from service.query.ast import Named
from service.query.fields import TRIALS
from service.store import cursors
from service.store.interface import TrialQuery
from service.store.sql import convert
from service.store.sql.keyset import Key
from service.store.sql.paging import Listing, named
from service.store.sql.projection import Projection
from service.store.sql.scans import in_order_of_rows
from service.store.sql.sweeps import find
from service.store.tables import reports, sweeps, trials
from sweep.errors import NotFound
from sweep.records import Page, ReportRecord, TrialRecord
from sweep.rows import split_trial_id, to_record

_STREAM_CHUNK = 500
_FIELDS_CHUNK = 2_000
_ERRORS_CHUNK = 100
"""Of rows with errors, which may be 100,000 characters long."""


def list_page(connection: Connection, sweep_id: str, query: TrialQuery) -> Page[TrialRecord]:
    """One page of a sweep's trials."""
    sweep = find(connection, sweep_id)
    listing = _listing(connection, sweep_id, query)
    rows, more = listing.page(connection, _of(sweep, [trials]))
    items = tuple(to_record(convert.trial_row(row), sweep_id) for row in rows)
    return Page(items=items, next_cursor=more)


def project(
    connection: Connection, sweep_id: str, query: TrialQuery, fields: Sequence[Named]
) -> Page[Mapping[str, Any]]:
    """One page of some fields of a sweep's trials."""
    sweep = find(connection, sweep_id)
    listing = _listing(connection, sweep_id, query)
    projection = Projection(fields, listing.compiler)
    rows, more = listing.page(connection, _of(sweep, projection.columns))
    items = tuple(named(projection.names, projection.values(row)) for row in rows)
    return Page(items=items, next_cursor=more)


def count(connection: Connection, sweep_id: str, query: TrialQuery) -> int:
    """How many of a sweep's trials match."""
    sweep = find(connection, sweep_id)
    listing = _listing(connection, sweep_id, replace(query, cursor=None))
    selected = listing.narrowed(_of(sweep, [func.count()]))
    if connection.dialect.name == "sqlite":
        selected = in_order_of_rows(selected)
    return int(connection.execute(selected).scalar_one())


def stream(connection: Connection, sweep_id: str, query: TrialQuery) -> Iterator[TrialRecord]:
    """Every trial that matches, a chunk at a time."""
    sweep = find(connection, sweep_id)
    listing = _listing(connection, sweep_id, replace(query, cursor=None))
    selected = listing.ordered(_of(sweep, [trials]))
    for row in connection.execution_options(yield_per=_STREAM_CHUNK).execute(selected):
        yield to_record(convert.trial_row(row), sweep_id)


def stream_fields(
    connection: Connection, sweep_id: str, query: TrialQuery, fields: Sequence[Named]
) -> Iterator[tuple[Any, ...]]:
    """Some fields of every trial that matches, a chunk at a time."""
    sweep = find(connection, sweep_id)
    listing = _listing(connection, sweep_id, replace(query, cursor=None))
    projection = Projection(fields, listing.compiler)
    selected = listing.ordered(_of(sweep, projection.columns))
    long = any(one.field.path == ("error",) for one in fields)
    chunk = _ERRORS_CHUNK if long else _FIELDS_CHUNK
    for row in connection.execution_options(yield_per=chunk).execute(selected):
        yield projection.values(row)


def metric_names(connection: Connection, sweep_id: str) -> list[str]:
    """Every metric that a sweep's trials have."""
    sweep = find(connection, sweep_id)
    keys: ColumnElement[Any] = func.jsonb_object_keys(trials.c.last)
    if connection.dialect.name == "sqlite":
        keys = func.json_each(trials.c.last).table_valued("key", joins_implicitly=True).c.key
    found = connection.execute(_of(sweep, [keys]).distinct())
    return sorted(found.scalars())


def get(connection: Connection, trial_id: str) -> TrialRecord:
    """One trial."""
    sweep_id, row = find_trial(connection, trial_id)
    return to_record(convert.trial_row(row), sweep_id)


def reports_page(
    connection: Connection, trial_id: str, *, limit: int, cursor: str | None
) -> Page[ReportRecord]:
    """One page of a trial's reports, by step."""
    _, trial = find_trial(connection, trial_id)
    question = ("reports", trial_id)
    start = cursors.decode_int(cursor, question=question, start=-1)
    rows = connection.execute(
        select(reports)
        .where(reports.c.trial_pk == trial.pk, reports.c.step > start)
        .order_by(reports.c.step)
        .limit(limit + 1)
    ).all()
    more = cursors.encode([rows[limit - 1].step], question=question) if len(rows) > limit else None
    return Page(items=tuple(map(convert.report_record, rows[:limit])), next_cursor=more)


def _listing(connection: Connection, sweep_id: str, query: TrialQuery) -> Listing:
    last_key = Key(trials.c["index"], "number", nullable=False)
    dialect = connection.dialect.name
    return Listing(query, TRIALS, dialect, last_key=last_key, scope=sweep_id)


def _of(sweep: convert.AnyRow, columns: Sequence[Any]) -> Select[Any]:
    return select(*columns).select_from(trials).where(trials.c.sweep_pk == sweep.pk)


def find_trial(connection: Connection, trial_id: str) -> tuple[str, convert.AnyRow]:
    """A trial's sweep and its row.

    Raises:
        NotFound: when there is none.
    """
    parts = split_trial_id(trial_id)
    row = None
    if parts is not None:
        row = connection.execute(
            select(trials)
            .join(sweeps)
            .where(sweeps.c.id == parts[0], trials.c["index"] == parts[1])
        ).first()
    if parts is None or row is None:
        raise NotFound(f"there is no trial {trial_id!r}")
    return parts[0], row
