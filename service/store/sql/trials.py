"""Trials and their reports in SQL."""

from collections.abc import Iterator

from sqlalchemy import Connection, Select, select

from service.store import cursors
from service.store.interface import TrialQuery
from service.store.sql import convert
from service.store.sql.filters import Compiler, Expression, after, order
from service.store.sql.sweeps import find
from service.store.tables import reports, sweeps, trials
from sweep.errors import NotFound
from sweep.records import Page, ReportRecord, TrialRecord
from sweep.rows import split_trial_id, to_record

_STREAM_CHUNK = 500

Columns = list[tuple[Expression, bool]]


def list_page(connection: Connection, sweep_id: str, query: TrialQuery) -> Page[TrialRecord]:
    """One page of a sweep's trials."""
    selected, columns = _select(connection, sweep_id, query)
    question = ("trials", sweep_id, query.filter, query.sort)
    if query.cursor is not None:
        position = cursors.decode(query.cursor, question=question, length=len(columns))
        selected = selected.where(after(columns, position))
    rows = connection.execute(selected.limit(query.limit + 1)).all()
    more = None
    if len(rows) > query.limit:
        last = rows[query.limit - 1]
        more = cursors.encode(list(last[-len(columns) :]), question=question)
    items = tuple(to_record(convert.trial_row(row), sweep_id) for row in rows[: query.limit])
    return Page(items=items, next_cursor=more)


def stream(connection: Connection, sweep_id: str, query: TrialQuery) -> Iterator[TrialRecord]:
    """Every trial that matches, a chunk at a time."""
    selected, _ = _select(connection, sweep_id, query)
    result = connection.execution_options(yield_per=_STREAM_CHUNK).execute(selected)
    for row in result:
        yield to_record(convert.trial_row(row), sweep_id)


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


def _select(
    connection: Connection, sweep_id: str, query: TrialQuery
) -> tuple[Select[tuple[object, ...]], Columns]:
    compiler = Compiler(connection.dialect.name)
    columns: Columns = [*compiler.sort_columns(query.sort), (trials.c["index"], False)]
    keys = [column.label(f"key_{i}") for i, (column, _) in enumerate(columns)]
    sweep = find(connection, sweep_id)
    selected = select(trials, *keys).where(trials.c.sweep_pk == sweep.pk).order_by(*order(columns))
    if query.filter is not None:
        selected = selected.where(compiler.condition(query.filter))
    return selected, columns


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
