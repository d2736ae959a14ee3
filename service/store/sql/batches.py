"""What a driver sends, written in one transaction each."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from service.store.interface import DriverIdentity
from service.store.sql import audit, bulk, convert, history, logs
from service.store.sql import sweeps as sweep_rows
from service.store.tables import drivers, reports, rung_decisions, trials
from sweep.applying import Changes, apply, event_trial, trials_named
from sweep.errors import Fenced
from sweep.rows import TrialRow, to_task
from sweep.spec import Budget
from sweep.states import FINAL_SWEEP_STATES, SweepState, WantedState
from sweep.wire import Ack, Batch, Heartbeat, Known, ReportRow, RestartAsked, SweepFinished

_NEW_TRIALS = 1_000
_IN_CHUNK = 500


def heartbeat(
    connection: Connection,
    driver: DriverIdentity,
    beat: Heartbeat,
    *,
    expires: datetime,
) -> Ack:
    """Extend a driver's lease and keep what it sees."""
    sweep = _hold(connection, driver, expires)
    signs = beat.signs
    connection.execute(
        update(drivers)
        .where(drivers.c.sweep_pk == sweep.pk, drivers.c.epoch == driver.epoch)
        .values(
            pid=signs.pid,
            host=signs.host,
            cluster=dict(signs.cluster),
            need=dict(signs.need),
            places=signs.places,
        )
    )
    used = signs.used.model_dump()
    if (signs.waiting, used) != (sweep.waiting, sweep.used):
        sweep_rows.change(connection, sweep, waiting=signs.waiting, used=used)
    return _ack(connection, sweep, beat.known)


def apply_batch(
    connection: Connection,
    driver: DriverIdentity,
    batch: Batch,
    *,
    now: datetime,
    expires: datetime,
) -> Ack:
    """Apply a driver's messages and extend its lease."""
    sweep = _hold(connection, driver, expires)
    if SweepState(sweep.state) not in FINAL_SWEEP_STATES:
        _write(connection, sweep, driver, batch, now)
        sweep = sweep_rows.find(connection, driver.sweep_id)
    return _ack(connection, sweep, batch.known)


def _hold(connection: Connection, driver: DriverIdentity, expires: datetime) -> convert.AnyRow:
    """The driver's sweep, locked, once it is known that the driver still holds the lease."""
    sweep = sweep_rows.lock(connection, driver.sweep_id)
    final = SweepState(sweep.state) in FINAL_SWEEP_STATES
    held = connection.execute(
        update(drivers)
        .where(
            drivers.c.sweep_pk == sweep.pk,
            drivers.c.epoch == driver.epoch,
            drivers.c.ended_at.is_(None),
        )
        .values(lease_expires_at=expires)
    )
    if sweep.epoch != driver.epoch or not (held.rowcount or final):
        raise Fenced(
            f"driver {driver.epoch} of sweep {driver.sweep_id} has ended or has a successor "
            f"({sweep.epoch}): its messages are refused"
        )
    return sweep


def _ack(connection: Connection, sweep: convert.AnyRow, known: Known) -> Ack:
    """What the driver has not seen: new trials first, then one edit after the other."""
    index = trials.c["index"]
    mine = select(trials).where(trials.c.sweep_pk == sweep.pk).order_by(index)
    rows = connection.execute(mine.where(index >= known.trials).limit(_NEW_TRIALS)).all()
    edits = known.edits
    if not rows and sweep.edits > edits:
        edits += 1
        rows = connection.execute(mine.where(trials.c.edit == edits)).all()
    over = SweepState(sweep.state) in FINAL_SWEEP_STATES
    return Ack(
        wanted=WantedState.CANCEL if over else WantedState(sweep.wanted),
        max_concurrent=sweep.spec.get("max_concurrent"),
        budget=Budget.model_validate(sweep.spec.get("budget", {})),
        places=sweep.places,
        trials=tuple(to_task(convert.trial_row(row), sweep.id) for row in rows),
        edits=edits,
    )


def _write(
    connection: Connection,
    sweep: convert.AnyRow,
    driver: DriverIdentity,
    batch: Batch,
    now: datetime,
) -> None:
    keys, rows = _load(connection, sweep.pk, trials_named(batch))
    changes = apply(
        batch,
        rows,
        spec=convert.spec_of(sweep),
        next_index=sweep.num_trials,
        restarted=_restarted(connection, sweep.pk, batch),
        reports_up_to=lambda index, step: _reports_up_to(connection, keys[index], step),
        excluded=sweep.excluded_nodes,
        next_assignment=history.next_assignment(connection, sweep.pk, batch),
    )
    _write_trials(connection, sweep, keys, changes)
    _write_reports(connection, keys, changes)
    _write_rungs(connection, sweep.pk, changes)
    logs.write(connection, sweep.pk, changes.logs)
    for event in changes.events:
        audit.record(
            connection,
            event.kind,
            actor=audit.DRIVER,
            now=now,
            sweep_id=sweep.id,
            trial_id=event_trial(sweep.id, event),
            detail=event.detail,
        )
    if values := _sweep_values(sweep, changes):
        sweep_rows.change(connection, sweep, **values)
    elif changes.seen:
        sweep_rows.change(connection, sweep)
    if changes.finished is not None:
        done = changes.finished
        actor = audit.DRIVER
        if done.state is SweepState.PAUSED or _has_more(sweep, done, batch.known):
            sweep_rows.set_aside(connection, sweep, actor=actor, now=done.time)
        else:
            sweep_rows.end(
                connection, sweep, done.state, reason=done.reason, actor=actor, now=done.time
            )
        connection.execute(
            update(drivers)
            .where(drivers.c.sweep_pk == sweep.pk, drivers.c.epoch == driver.epoch)
            .values(ended_at=now, ended_reason=f"sweep {done.state.value}")
        )


def _has_more(sweep: convert.AnyRow, done: SweepFinished, known: Known) -> bool:
    """Whether trials were added, or are to be tried again, that an ending driver never saw."""
    if done.state not in (SweepState.COMPLETED, SweepState.FAILED):
        return False
    return bool(known.trials < sweep.num_trials or known.edits < sweep.edits)


def _sweep_values(sweep: convert.AnyRow, changes: Changes) -> dict[str, Any]:
    """The columns of the sweep that a batch changes, its end apart."""
    values: dict[str, Any] = {}
    if changes.added:
        values["num_trials"] = sweep.num_trials + len(changes.added)
    if changes.fruitful and sweep.fruitless_drivers:
        values["fruitless_drivers"] = 0
    if changes.excluded:
        values["excluded_nodes"] = {**sweep.excluded_nodes, **changes.excluded}
    if changes.finished is not None and changes.finished.used is not None:
        values["used"] = changes.finished.used.model_dump()
    return values


def _load(
    connection: Connection, sweep_pk: int, indexes: set[int]
) -> tuple[dict[int, int], dict[int, TrialRow]]:
    keys: dict[int, int] = {}
    rows: dict[int, TrialRow] = {}
    for chunk in convert.chunks(sorted(indexes), _IN_CHUNK):
        found = connection.execute(
            select(trials).where(trials.c.sweep_pk == sweep_pk, trials.c["index"].in_(list(chunk)))
        )
        for row in found:
            trial = convert.trial_row(row)
            keys[trial.index], rows[trial.index] = row.pk, trial
    return keys, rows


def _restarted(connection: Connection, sweep_pk: int, batch: Batch) -> frozenset[int]:
    """Which of the winners that the batch names are trained again already."""
    asked = {m.parent for m in batch.messages if isinstance(m, RestartAsked)}
    found: set[int] = set()
    for chunk in convert.chunks(sorted(asked), _IN_CHUNK):
        parents = select(trials.c.parent).where(
            trials.c.sweep_pk == sweep_pk, trials.c.parent.in_(list(chunk))
        )
        found.update(connection.execute(parents).scalars())
    return frozenset(found)


def _reports_up_to(connection: Connection, trial_pk: int, step: int) -> list[ReportRow]:
    rows = connection.execute(
        select(reports)
        .where(reports.c.trial_pk == trial_pk, reports.c.step <= step)
        .order_by(reports.c.step)
    )
    return [convert.report_row(row) for row in rows]


def _write_trials(
    connection: Connection, sweep: convert.AnyRow, keys: dict[int, int], changes: Changes
) -> None:
    version = sweep_rows.next_version(sweep)
    if changes.touched:
        rows = [(keys[index], changes.rows[index]) for index in sorted(changes.touched)]
        bulk.update_trials(connection, rows, version=version)
    for index in sorted(changes.reassigned):
        connection.execute(
            update(trials)
            .where(trials.c.pk == keys[index])
            .values(parameters=dict(changes.rows[index].parameters))
        )
    if changes.added:
        values = [
            {"sweep_pk": sweep.pk, "version": version, **convert.trial_values(row)}
            for row in changes.added
        ]
        connection.execute(insert(trials), values)


def _write_reports(connection: Connection, keys: dict[int, int], changes: Changes) -> None:
    for index, step in changes.dropped.items():
        connection.execute(
            delete(reports).where(reports.c.trial_pk == keys[index], reports.c.step > step)
        )
    bulk.insert_reports(connection, ((keys[index], report) for index, report in changes.reports))


def _write_rungs(connection: Connection, sweep_pk: int, changes: Changes) -> None:
    if not changes.rungs:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(rung_decisions).on_conflict_do_nothing(),
        [convert.rung_values(sweep_pk, entry) for entry in changes.rungs],
    )
