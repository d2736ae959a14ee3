"""Many trials, or many reports, read one after the other; and what early stopping did."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Float,
    Result,
    Select,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)

from service.store.analysis import Label, StepTotals, TrialQuestion, Which
from service.store.sql.convert import chunks
from service.store.sql.filters import Compiler
from service.store.sql.grouping import LabelReader
from service.store.sql.json_values import kind_and_value
from service.store.sql.keyset import order
from service.store.sql.sweeps import find
from service.store.tables import reports, rung_decisions, trials
from sweep.analysis import TrialSpan
from sweep.states import TrialState
from sweep.wire import PastReport, PastReportPage

_FETCH = 5_000
_IN_CHUNK = 500


def read_trials(
    connection: Connection, sweep_id: str, question: TrialQuestion
) -> Iterator[tuple[Label, ...]]:
    """The fields of each trial."""
    dialect = connection.dialect.name
    compiler = Compiler(dialect, now=question.which.now)
    reader = LabelReader(question.fields, compiler)
    query = (
        select(*reader.columns)
        .where(trials.c.sweep_pk == find(connection, sweep_id).pk)
        .order_by(*order(compiler.sort_keys(question.sort)), trials.c["index"])
        .limit(question.limit)
    )
    if question.which.filter is not None:
        query = query.where(compiler.condition(question.which.filter))
    with _streamed(connection, query) as rows:
        for row in rows:
            yield reader.labels(row)


def stream_points(
    connection: Connection, sweep_id: str, metric: str, indexes: Sequence[int]
) -> Iterator[tuple[int, int, float]]:
    """The finite reports of a metric, trial by trial."""
    sweep = find(connection, sweep_id)
    value = _reported(metric, connection.dialect.name)
    for chunk in chunks(sorted(indexes), _IN_CHUNK):
        found = select(trials.c.pk, trials.c["index"]).where(
            trials.c.sweep_pk == sweep.pk, trials.c["index"].in_(list(chunk))
        )
        keys = sorted((index, pk) for pk, index in connection.execute(found))
        for index, pk in keys:
            points = select(reports.c.step, value).where(reports.c.trial_pk == pk).order_by("step")
            with _streamed(connection, points) as rows:
                for step, number in rows:
                    if number is not None:
                        yield index, step, number


def past_reports(
    connection: Connection, sweep_id: str, *, metric: str, after: tuple[int, int], limit: int
) -> PastReportPage:
    """The finite reports of a metric past a trial's index and a step, trial by trial."""
    sweep = find(connection, sweep_id)
    index, step, value = (
        trials.c["index"],
        reports.c.step,
        _reported(metric, connection.dialect.name),
    )
    first, past = after
    query = (
        select(index, step, value)
        .join_from(trials, reports, reports.c.trial_pk == trials.c.pk)
        .where(
            trials.c.sweep_pk == sweep.pk,
            index >= first,
            or_(index > first, step > past),
        )
        .order_by(index, step)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    items = tuple(PastReport(trial=i, step=s, value=v) for i, s, v in rows if v is not None)
    more = (rows[-1][0], rows[-1][1]) if len(rows) == limit else None
    return PastReportPage(items=items, next_after=more)


def rung_counts(connection: Connection, sweep_id: str) -> list[tuple[int, str, int]]:
    """Decisions by rung."""
    sweep = find(connection, sweep_id)
    keys = (rung_decisions.c.step, rung_decisions.c.decision)
    query = (
        select(*keys, func.count())
        .where(rung_decisions.c.sweep_pk == sweep.pk)
        .group_by(*keys)
        .order_by(*keys)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def step_totals(connection: Connection, sweep_id: str) -> StepTotals:
    """Steps of the trials that began."""
    sweep = find(connection, sweep_id)
    stopped = trials.c.state == TrialState.STOPPED.value
    full = case(
        (and_(stopped, trials.c.max_t > trials.c.step), trials.c.max_t), else_=trials.c.step
    )
    query = select(
        func.coalesce(func.sum(trials.c.step), 0),
        func.coalesce(func.sum(full), 0),
        func.coalesce(func.sum(case((stopped, 1), else_=0)), 0),
    ).where(trials.c.sweep_pk == sweep.pk, trials.c.step.is_not(None))
    trained, without, count = connection.execute(query).one()
    return StepTotals(trained=int(trained), without=int(without), stopped=int(count))


def trial_spans(connection: Connection, sweep_id: str, which: Which) -> Iterator[TrialSpan]:
    """Where and when each trial that began trained, by its start."""
    sweep = find(connection, sweep_id)
    query = (
        select(trials.c.node, trials.c.state, trials.c.started_at, trials.c.ended_at)
        .where(trials.c.sweep_pk == sweep.pk, trials.c.started_at.is_not(None))
        .order_by(trials.c.started_at)
    )
    if which.filter is not None:
        compiler = Compiler(connection.dialect.name, now=which.now)
        query = query.where(compiler.condition(which.filter))
    with _streamed(connection, query) as rows:
        for node, state, started, ended in rows:
            yield TrialSpan(node=node, state=TrialState(state), started_at=started, ended_at=ended)


def _streamed(connection: Connection, query: Select[Any]) -> Result[*tuple[Any, ...]]:
    """Rows fetched some at a time; close it, since who reads may stop early."""
    return connection.execution_options(yield_per=_FETCH).execute(query)


def _reported(metric: str, dialect: str) -> Any:
    """A report's value of a metric; NULL when it has none or it was not finite."""
    _, value = kind_and_value(reports.c["values"], (metric,), sqlite=dialect == "sqlite")
    return cast(value, Float(53))
