"""What a model-based search learns from, in SQL: trials of its sweep, and of those before it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from service.store.sql import convert
from service.store.sql import sweeps as sweep_rows
from service.store.tables import sweeps, trials
from sweep.records import Origin
from sweep.rows import watched
from sweep.searches import ModelSearch, WarmStart
from sweep.spec import SweepSpec
from sweep.states import TrialState
from sweep.wire import Batch, Proposed, ResultPage, SearchResult

_POSITIONS = 2**31
"""More than a sweep has trials: a place in the history is (sweep, index) in one number."""

_INDEX = trials.c["index"]
_COLUMNS = (
    trials.c.sweep_pk,
    _INDEX,
    trials.c.assignment,
    trials.c.parameters,
    trials.c.state,
    trials.c.best,
    trials.c.step,
    trials.c.last,
)


def next_assignment(connection: Connection, sweep_pk: int, batch: Batch) -> int:
    """The lowest assignment that the search has not proposed; 0 when the batch has none."""
    if not any(isinstance(message, Proposed) for message in batch.messages):
        return 0
    last = connection.execute(
        select(trials.c.assignment)
        .where(trials.c.sweep_pk == sweep_pk, trials.c.origin == Origin.SEARCH.value)
        .order_by(_INDEX.desc())
        .limit(1)
    ).scalar()
    return 0 if last is None else int(last) + 1


def results(connection: Connection, sweep_id: str, *, after: int, limit: int) -> ResultPage:
    """How far the trials of the sweep's search are, past an index."""
    sweep = sweep_rows.find(connection, sweep_id)
    rows = connection.execute(
        _trials(trials.c.sweep_pk == sweep.pk)
        .where(trials.c.origin == Origin.SEARCH.value, after < _INDEX)
        .limit(limit)
    ).all()
    items = _items(rows, convert.spec_of(sweep))
    return ResultPage(items=items, next_after=items[-1].index if len(rows) == limit else None)


def history(connection: Connection, sweep_id: str, *, after: int, limit: int) -> ResultPage:
    """The trials that the sweep's search starts from, past a position.

    They had ended before the sweep was posted, so that the answer stays the same.
    """
    sweep = sweep_rows.find(connection, sweep_id)
    spec = convert.spec_of(sweep)
    start = spec.search.warm_start if isinstance(spec.search, ModelSearch) else None
    if start is None:
        return ResultPage(items=())
    at, index = divmod(after, _POSITIONS) if after >= 0 else (0, -1)
    found: list[SearchResult] = []
    for position, key in _named(connection, start):
        if key is None or position < at:
            continue
        past = index if position == at else -1
        rows = connection.execute(
            _trials(trials.c.sweep_pk == key)
            .where(
                past < _INDEX,
                trials.c.state.in_([TrialState.COMPLETED.value, TrialState.STOPPED.value]),
                trials.c.best.is_not(None),
                trials.c.ended_at < sweep.created_at,
            )
            .limit(limit - len(found))
        ).all()
        found += _items(rows, spec)
        if len(found) == limit:
            last = position * _POSITIONS + found[-1].index
            return ResultPage(items=tuple(found), next_after=last)
    return ResultPage(items=tuple(found))


def _named(connection: Connection, start: WarmStart) -> list[tuple[int, int | None]]:
    """The keys of the named sweeps by position; None for one that was deleted."""
    rows = connection.execute(select(sweeps.c.id, sweeps.c.pk).where(sweeps.c.id.in_(start.sweeps)))
    keys = {row.id: row.pk for row in rows}
    return [(position, keys.get(sweep_id)) for position, sweep_id in enumerate(start.sweeps)]


def _trials(which: ColumnElement[bool]) -> Select[Any]:
    return select(*_COLUMNS).where(which).order_by(_INDEX)


def _items(rows: Sequence[convert.AnyRow], spec: SweepSpec) -> tuple[SearchResult, ...]:
    return tuple(
        SearchResult(
            index=row._mapping["index"],
            assignment=row.assignment,
            parameters=row.parameters,
            state=TrialState(row.state),
            best=row.best,
            step=row.step,
            last=watched(row.last, spec),
        )
        for row in rows
    )
