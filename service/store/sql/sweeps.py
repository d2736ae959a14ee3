"""Sweeps in SQL."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update
from sqlalchemy import delete as sql_delete

from service.query.ast import Named
from service.query.fields import SWEEPS
from service.store.interface import NewSweep, SweepQuery
from service.store.sql import audit, code, convert
from service.store.sql.keyset import Key
from service.store.sql.paging import Listing, named
from service.store.sql.projection import Projection
from service.store.tables import sweeps, trials
from sweep.errors import Conflict, NotFound
from sweep.records import Page, SweepRecord, Usage
from sweep.rows import planned_row
from sweep.space import PlannedTrial
from sweep.states import (
    FINAL_SWEEP_STATES,
    FINAL_TRIAL_STATES,
    SweepState,
    TrialState,
    WantedState,
    sources_of_sweep,
)

_INSERT_CHUNK = 1_000


def create(connection: Connection, sweep: NewSweep, planned: Iterable[PlannedTrial]) -> SweepRecord:
    """Store a sweep and its trials."""
    spec = sweep.spec
    key = connection.execute(
        insert(sweeps)
        .values(
            id=sweep.id,
            name=spec.name,
            state=SweepState.QUEUED.value,
            wanted=WantedState.RUN.value,
            priority=spec.priority,
            weight=spec.weight,
            tags=list(spec.tags),
            spec=spec.model_dump(mode="json"),
            metric=spec.metric.name,
            mode=spec.metric.mode,
            epoch=0,
            fruitless_drivers=0,
            num_trials=0,
            edits=0,
            used=Usage().model_dump(),
            excluded_nodes={},
            created_by=sweep.created_by,
            created_at=sweep.created_at,
        )
        .returning(sweeps.c.pk)
    ).scalar_one()
    count = 0
    rows = (planned_row(trial, spec, sweep.created_at) for trial in planned)
    while chunk := list(islice(rows, _INSERT_CHUNK)):
        values = [{"sweep_pk": key, **convert.trial_values(row)} for row in chunk]
        connection.execute(insert(trials), values)
        count += len(chunk)
    code.tie(connection, key, spec, now=sweep.created_at)  # late: it may lock the archive's row
    connection.execute(update(sweeps).where(sweeps.c.pk == key).values(num_trials=count))
    audit.record(
        connection,
        "sweep.created",
        actor=sweep.created_by,
        now=sweep.created_at,
        sweep_id=sweep.id,
        detail={"name": spec.name, "trials": count},
    )
    return get(connection, sweep.id)


def find(connection: Connection, sweep_id: str) -> convert.AnyRow:
    """The sweep's row.

    Raises:
        NotFound: when there is none.
    """
    return _first(connection, sweep_id, select(sweeps).where(sweeps.c.id == sweep_id))


def lock(connection: Connection, sweep_id: str) -> convert.AnyRow:
    """The sweep's row, locked until the end of the transaction.

    Raises:
        NotFound: when there is none.
    """
    query = select(sweeps).where(sweeps.c.id == sweep_id).with_for_update()
    return _first(connection, sweep_id, query)


def change(connection: Connection, row: convert.AnyRow, **values: Any) -> None:
    """Write to a locked sweep, and say that it or its trials changed.

    Every change goes through here, also one of trials alone, whose rows then get
    `next_version` too. Since the sweep is locked, versions are committed in order: a
    reader that has seen all up to one misses nothing when it asks for higher ones.
    """
    changed = update(sweeps).where(sweeps.c.pk == row.pk)
    connection.execute(changed.values(version=next_version(row), **values))


def next_version(row: convert.AnyRow) -> int:
    """The version of a locked sweep, and of trials that change, after this transaction."""
    version: int = row.version + 1
    return version


def _first(connection: Connection, sweep_id: str, query: Select[tuple[Any, ...]]) -> convert.AnyRow:
    row = None
    if sweep_id.isascii() and "\x00" not in sweep_id:  # PostgreSQL refuses the question itself
        row = connection.execute(query).first()
    if row is None:
        raise NotFound(f"there is no sweep {sweep_id!r}")
    return row


def get(connection: Connection, sweep_id: str) -> SweepRecord:
    """One sweep."""
    return records(connection, [find(connection, sweep_id)])[0]


def list_page(connection: Connection, query: SweepQuery) -> Page[SweepRecord]:
    """One page of sweeps."""
    rows, more = _listing(connection, query).page(connection, select(sweeps))
    return Page(items=tuple(records(connection, rows)), next_cursor=more)


def project(
    connection: Connection, query: SweepQuery, fields: Sequence[Named]
) -> Page[Mapping[str, Any]]:
    """One page of some fields of sweeps."""
    listing = _listing(connection, query)
    projection = Projection(fields, listing.compiler)
    rows, more = listing.page(connection, select(*projection.columns).select_from(sweeps))
    items = tuple(named(projection.names, projection.values(row)) for row in rows)
    return Page(items=items, next_cursor=more)


def count(connection: Connection, query: SweepQuery) -> int:
    """How many sweeps match."""
    listing = _listing(connection, replace(query, cursor=None))
    selected = listing.narrowed(select(func.count()).select_from(sweeps))
    return int(connection.execute(selected).scalar_one())


def _listing(connection: Connection, query: SweepQuery) -> Listing:
    last_key = Key(sweeps.c.pk, "number", descending=True, nullable=False)
    return Listing(query, SWEEPS, connection.dialect.name, last_key=last_key, scope="")


def end(
    connection: Connection,
    row: convert.AnyRow,
    state: SweepState,
    *,
    reason: str | None,
    actor: str,
    now: datetime,
) -> bool:
    """Move a locked sweep to a final state, its unfinished trials to cancelled."""
    if SweepState(row.state) not in sources_of_sweep(state):
        return False
    change(
        connection,
        row,
        state=state.value,
        reason=reason,
        ended_at=now,
        waiting=None,
        places=None,
    )
    connection.execute(
        update(trials)
        .where(
            trials.c.sweep_pk == row.pk,
            trials.c.state.not_in([s.value for s in FINAL_TRIAL_STATES]),
        )
        .values(
            state=TrialState.CANCELLED.value,
            reason=reason or "sweep ended",
            ended_at=now,
            version=next_version(row),
        )
    )
    kind = f"sweep.{state.value}"
    audit.record(connection, kind, actor=actor, now=now, sweep_id=row.id, detail={"reason": reason})
    return True


def set_aside(connection: Connection, row: convert.AnyRow, *, actor: str, now: datetime) -> bool:
    """Move a locked, running sweep that has no driver any more to paused.

    When it was resumed meanwhile, it is queued instead; when its cancellation was asked for,
    it is cancelled. Trials that a driver left running wait again.
    """
    if SweepState(row.state) is not SweepState.RUNNING:
        return False
    if row.wanted == WantedState.CANCEL.value:
        return end(connection, row, SweepState.CANCELLED, reason="cancelled", actor=actor, now=now)
    resumed = row.wanted == WantedState.RUN.value
    state = SweepState.QUEUED if resumed else SweepState.PAUSED
    change(connection, row, state=state.value, waiting=None, places=None, fruitless_drivers=0)
    connection.execute(
        update(trials)
        .where(trials.c.sweep_pk == row.pk, trials.c.state == TrialState.RUNNING.value)
        .values(state=TrialState.PENDING.value, reason="sweep paused", version=next_version(row))
    )
    audit.record(connection, f"sweep.{state.value}", actor=actor, now=now, sweep_id=row.id)
    return True


def delete(connection: Connection, sweep_id: str, *, actor: str, now: datetime) -> None:
    """Delete a final sweep."""
    row = lock(connection, sweep_id)
    if SweepState(row.state) not in FINAL_SWEEP_STATES:
        raise Conflict(f"sweep {sweep_id} is {row.state}: cancel it before you delete it")
    connection.execute(sql_delete(sweeps).where(sweeps.c.pk == row.pk))
    audit.record(connection, "sweep.deleted", actor=actor, now=now, sweep_id=sweep_id)


def records(connection: Connection, rows: Sequence[convert.AnyRow]) -> list[SweepRecord]:
    """Sweeps with their trials by state and the best of them."""
    keys = [row.pk for row in rows]
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    tally = (
        select(trials.c.sweep_pk, trials.c.state, func.count())
        .where(trials.c.sweep_pk.in_(keys))
        .group_by(trials.c.sweep_pk, trials.c.state)
    )
    for key, state, count in connection.execute(tally):
        counts[key][state] = count
    return [convert.sweep_record(row, counts[row.pk], _best(connection, row)) for row in rows]


def _best(connection: Connection, row: convert.AnyRow) -> convert.AnyRow | None:
    best = trials.c.best.desc() if row.mode == "max" else trials.c.best.asc()
    return connection.execute(
        select(trials.c["index"], trials.c.best, trials.c.best_step)
        .where(trials.c.sweep_pk == row.pk, trials.c.best.is_not(None))
        .order_by(best, trials.c["index"])
        .limit(1)
    ).first()
