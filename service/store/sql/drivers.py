"""Drivers, their leases and what they start from, in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, bindparam, insert, select, update

from service.store import cursors
from service.store.interface import DriverIdentity, SweepOnDuty
from service.store.sql import audit, convert
from service.store.sql import sweeps as sweep_rows
from service.store.tables import drivers, rung_decisions, sweeps, trials
from sweep.records import Page, RungRecord
from sweep.rows import to_task
from sweep.states import SweepState, WantedState
from sweep.wire import RungPage, TaskPage


def on_duty(connection: Connection) -> Sequence[SweepOnDuty]:
    """Every sweep that is queued or running."""
    current = and_(drivers.c.sweep_pk == sweeps.c.pk, drivers.c.epoch == sweeps.c.epoch)
    rows = connection.execute(
        select(
            sweeps.c.id,
            sweeps.c.state,
            sweeps.c.wanted,
            sweeps.c.priority,
            sweeps.c.created_at,
            sweeps.c.epoch,
            sweeps.c.fruitless_drivers,
            sweeps.c.weight,
            sweeps.c.places,
            drivers.c.cluster,
            drivers.c.need,
            drivers.c.places.label("wanted_places"),
            drivers.c.lease_expires_at,
            drivers.c.ended_at,
        )
        .select_from(sweeps.outerjoin(drivers, current))
        .where(sweeps.c.state.in_([SweepState.QUEUED.value, SweepState.RUNNING.value]))
        .order_by(sweeps.c.pk)
    )
    return [
        SweepOnDuty(
            id=row.id,
            state=SweepState(row.state),
            wanted=WantedState(row.wanted),
            priority=row.priority,
            created_at=row.created_at,
            epoch=row.epoch,
            lease_expires_at=None if row.ended_at is not None else row.lease_expires_at,
            driver_ended_at=row.ended_at,
            fruitless_drivers=row.fruitless_drivers,
            weight=row.weight,
            places=row.places,
            cluster=row.cluster or {},
            need=row.need or {},
            wanted_places=row.wanted_places or 0,
        )
        for row in rows
    ]


def set_places(connection: Connection, places: Mapping[str, int | None]) -> None:
    """Say how many works each of these running sweeps may train at once."""
    connection.execute(
        update(sweeps)
        .where(sweeps.c.id == bindparam("this_id"), sweeps.c.state == SweepState.RUNNING.value)
        .values(places=bindparam("new_places"), version=sweeps.c.version + 1),
        [{"this_id": sweep_id, "new_places": count} for sweep_id, count in places.items()],
    )


def start(
    connection: Connection,
    sweep_id: str,
    *,
    after_epoch: int,
    token_hash: str,
    now: datetime,
    lease: timedelta,
) -> int | None:
    """Take the lease for a new driver, unless somebody else has it."""
    sweep = sweep_rows.lock(connection, sweep_id)
    startable = sweep.state in (SweepState.QUEUED.value, SweepState.RUNNING.value)
    if not startable or sweep.wanted != WantedState.RUN.value or sweep.epoch != after_epoch:
        return None
    last = _driver(connection, sweep.pk, after_epoch)
    if last is not None and last.ended_at is None and last.lease_expires_at > now:
        return None
    epoch = after_epoch + 1
    sweep_rows.change(
        connection,
        sweep,
        state=SweepState.RUNNING.value,
        epoch=epoch,
        started_at=sweep.started_at or now,
        fruitless_drivers=sweep.fruitless_drivers + 1,
    )
    connection.execute(
        insert(drivers).values(
            sweep_pk=sweep.pk,
            epoch=epoch,
            token_hash=token_hash,
            started_at=now,
            lease_expires_at=now + lease,
            cluster={},
            need={},
            places=0,
        )
    )
    _tell(connection, "driver.started", sweep_id, epoch, now)
    return epoch


def end(connection: Connection, sweep_id: str, epoch: int, *, reason: str, now: datetime) -> bool:
    """Record that a driver is gone."""
    sweep = sweep_rows.lock(connection, sweep_id)
    ended = connection.execute(
        update(drivers)
        .where(
            drivers.c.sweep_pk == sweep.pk,
            drivers.c.epoch == epoch,
            drivers.c.ended_at.is_(None),
        )
        .values(ended_at=now, ended_reason=reason)
    )
    if ended.rowcount:
        _tell(connection, "driver.ended", sweep_id, epoch, now, reason=reason)
    return bool(ended.rowcount)


def withdraw(
    connection: Connection, sweep_id: str, epoch: int, *, reason: str, now: datetime
) -> bool:
    """Record that a driver is gone through no fault of the sweep's."""
    ended = end(connection, sweep_id, epoch, reason=reason, now=now)
    if ended:
        count = sweeps.c.fruitless_drivers
        connection.execute(
            update(sweeps)
            .where(sweeps.c.id == sweep_id, count > 0)
            .values(fruitless_drivers=count - 1)
        )
    return ended


def finish_abandoned(
    connection: Connection,
    sweep_id: str,
    *,
    epoch: int,
    state: SweepState,
    reason: str,
    now: datetime,
) -> bool:
    """End a sweep that has no live driver, or set it aside as paused."""
    sweep = sweep_rows.lock(connection, sweep_id)
    last = _driver(connection, sweep.pk, epoch)
    alive = last is not None and last.ended_at is None and last.lease_expires_at > now
    if sweep.epoch != epoch or alive:
        return False
    if last is not None and last.ended_at is None:
        end(connection, sweep_id, epoch, reason="lease expired", now=now)
    actor = audit.DISPATCHER
    if state is SweepState.PAUSED:
        return sweep_rows.set_aside(connection, sweep, actor=actor, now=now)
    return sweep_rows.end(connection, sweep, state, reason=reason, actor=actor, now=now)


def identify(connection: Connection, token_hash: str) -> DriverIdentity | None:
    """Whose token that is."""
    row = connection.execute(
        select(sweeps.c.id, drivers.c.epoch)
        .join_from(drivers, sweeps)
        .where(drivers.c.token_hash == token_hash)
    ).first()
    return None if row is None else DriverIdentity(row.id, row.epoch)


def tasks(connection: Connection, sweep_id: str, *, after: int, limit: int) -> TaskPage:
    """The sweep's trials past an index."""
    sweep = sweep_rows.find(connection, sweep_id)
    index = trials.c["index"]
    rows = connection.execute(
        select(trials)
        .where(trials.c.sweep_pk == sweep.pk, index > after)
        .order_by(index)
        .limit(limit)
    ).all()
    items = tuple(to_task(convert.trial_row(row), sweep_id) for row in rows)
    return TaskPage(items=items, next_after=items[-1].index if len(items) == limit else None)


def rung_entries(connection: Connection, sweep_id: str, *, after: int, limit: int) -> RungPage:
    """The sweep's rung decisions past a position."""
    sweep = sweep_rows.find(connection, sweep_id)
    rows = connection.execute(
        select(rung_decisions)
        .where(rung_decisions.c.sweep_pk == sweep.pk, rung_decisions.c.pk > after)
        .order_by(rung_decisions.c.pk)
        .limit(limit)
    ).all()
    more = rows[-1].pk if len(rows) == limit else None
    return RungPage(items=tuple(map(convert.rung_entry, rows)), next_after=more)


def rungs_page(
    connection: Connection, sweep_id: str, *, limit: int, cursor: str | None
) -> Page[RungRecord]:
    """One page of a sweep's rung decisions, in order."""
    sweep = sweep_rows.find(connection, sweep_id)
    question = ("rungs", sweep_id)
    start_at = cursors.decode_int(cursor, question=question, start=0)
    rows = connection.execute(
        select(rung_decisions)
        .where(rung_decisions.c.sweep_pk == sweep.pk, rung_decisions.c.pk > start_at)
        .order_by(rung_decisions.c.pk)
        .limit(limit + 1)
    ).all()
    more = cursors.encode([rows[limit - 1].pk], question=question) if len(rows) > limit else None
    items = tuple(convert.rung_record(row, sweep_id) for row in rows[:limit])
    return Page(items=items, next_cursor=more)


def _driver(connection: Connection, sweep_pk: int, epoch: int) -> convert.AnyRow | None:
    return connection.execute(
        select(drivers).where(drivers.c.sweep_pk == sweep_pk, drivers.c.epoch == epoch)
    ).first()


def _tell(
    connection: Connection,
    kind: str,
    sweep_id: str,
    epoch: int,
    now: datetime,
    **detail: str,
) -> None:
    audit.record(
        connection,
        kind,
        actor=audit.DISPATCHER,
        now=now,
        sweep_id=sweep_id,
        detail={"epoch": epoch, **detail},
    )
