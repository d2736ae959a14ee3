"""What users ask of sweeps that are there: pause, resume, cancel, retry, edit."""

from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from service.store.sql import audit, convert
from service.store.sql import sweeps as sweep_rows
from service.store.tables import trials
from sweep.editing import Edited, first_added, number
from sweep.errors import Conflict
from sweep.records import SweepRecord
from sweep.rows import planned_row
from sweep.states import SweepState, TrialState, WantedState

_CHUNK = 1_000
"""Trials of one edit: what a driver is told in one answer."""


def pause(connection: Connection, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
    """Pause at once what no driver runs; ask the driver otherwise."""
    row = _changeable(connection, sweep_id, "paused")
    state = SweepState(row.state)
    if state is SweepState.QUEUED:
        sweep_rows.change(connection, row, state=SweepState.PAUSED.value, waiting=None)
        _tell(connection, "sweep.paused", row, actor, now)
    elif state is SweepState.RUNNING and row.wanted != WantedState.PAUSE.value:
        sweep_rows.change(connection, row, wanted=WantedState.PAUSE.value)
        _tell(connection, "sweep.pause_asked", row, actor, now)
    return sweep_rows.get(connection, sweep_id)


def resume(connection: Connection, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
    """Queue a paused sweep again; take back a pause that was asked for."""
    row = _changeable(connection, sweep_id, "resumed")
    state = SweepState(row.state)
    if state is SweepState.PAUSED:
        _queue(connection, row)
        _tell(connection, "sweep.resumed", row, actor, now)
    elif row.wanted == WantedState.PAUSE.value:
        sweep_rows.change(connection, row, wanted=WantedState.RUN.value)
        _tell(connection, "sweep.resumed", row, actor, now)
    return sweep_rows.get(connection, sweep_id)


def cancel(connection: Connection, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
    """Cancel at once what no driver runs; ask the driver otherwise."""
    row = sweep_rows.lock(connection, sweep_id)
    state = SweepState(row.state)
    if state in (SweepState.QUEUED, SweepState.PAUSED):
        sweep_rows.end(
            connection, row, SweepState.CANCELLED, reason="cancelled", actor=actor, now=now
        )
    elif state is SweepState.RUNNING:
        if row.wanted != WantedState.CANCEL.value:
            sweep_rows.change(connection, row, wanted=WantedState.CANCEL.value)
            _tell(connection, "sweep.cancel_asked", row, actor, now)
    elif state is not SweepState.CANCELLED:
        raise Conflict(f"sweep {sweep_id} is {state.value} already and cannot be cancelled")
    return sweep_rows.get(connection, sweep_id)


def retry(connection: Connection, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
    """Have the failed trials tried again; of a failed sweep, also those it never got to."""
    row = _changeable(connection, sweep_id, "retried", also_ended=True)
    states = [TrialState.FAILED.value]
    if row.state == SweepState.FAILED.value:
        states.append(TrialState.CANCELLED.value)
    keys = list(
        connection.execute(
            select(trials.c.pk)
            .where(trials.c.sweep_pk == row.pk, trials.c.state.in_(states))
            .order_by(trials.c["index"])
        ).scalars()
    )
    if not keys:
        raise Conflict(f"sweep {sweep_id} has no failed trial: there is nothing to retry")
    connection.execute(
        update(trials)
        .where(trials.c.pk == bindparam("this_pk"))
        .values(
            state=TrialState.PENDING.value,
            reason="retried",
            failures=0,
            ended_at=None,
            edit=bindparam("this_edit"),
            version=sweep_rows.next_version(row),
        ),
        [{"this_pk": key, "this_edit": row.edits + 1 + i // _CHUNK} for i, key in enumerate(keys)],
    )
    sweep_rows.change(connection, row, edits=row.edits + 1 + (len(keys) - 1) // _CHUNK)
    if row.state in (SweepState.COMPLETED.value, SweepState.FAILED.value):
        _queue(connection, row)
    _tell(connection, "sweep.retried", row, actor, now, {"trials": len(keys)})
    return sweep_rows.get(connection, sweep_id)


def edit(
    connection: Connection,
    sweep_id: str,
    change: Callable[[SweepRecord], Edited],
    *,
    actor: str,
    now: datetime,
) -> SweepRecord:
    """Write what `change` makes of the sweep as it is now."""
    row = _changeable(connection, sweep_id, "changed", also_ended=True)
    edited = change(sweep_rows.get(connection, sweep_id))
    ended = row.state in (SweepState.COMPLETED.value, SweepState.FAILED.value)
    if ended and not edited.assignments:
        raise Conflict(
            f"sweep {sweep_id} is {row.state} already: only trials can be added to it, "
            "which queues it again"
        )
    spec = edited.spec
    sweep_rows.change(
        connection,
        row,
        spec=spec.model_dump(mode="json"),
        priority=spec.priority,
        weight=spec.weight,
    )
    added = _add_trials(connection, row, edited, now)
    if ended:
        _queue(connection, row)
    detail = {**edited.changed, **({"trials_added": added} if added else {})}
    _tell(connection, "sweep.edited", row, actor, now, detail)
    return sweep_rows.get(connection, sweep_id)


def _add_trials(connection: Connection, row: convert.AnyRow, edited: Edited, now: datetime) -> int:
    last = connection.execute(
        select(func.max(trials.c.assignment)).where(trials.c.sweep_pk == row.pk)
    ).scalar()
    planned = number(
        edited, next_index=row.num_trials, next_assignment=first_added(edited.spec, last)
    )
    rows = (planned_row(trial, edited.spec, now, added=True) for trial in planned)
    count = 0
    while chunk := list(islice(rows, _CHUNK)):
        connection.execute(
            insert(trials),
            [
                {
                    "sweep_pk": row.pk,
                    "version": sweep_rows.next_version(row),
                    **convert.trial_values(r),
                }
                for r in chunk
            ],
        )
        count += len(chunk)
    sweep_rows.change(connection, row, num_trials=row.num_trials + count)
    return count


def _changeable(
    connection: Connection, sweep_id: str, verb: str, *, also_ended: bool = False
) -> convert.AnyRow:
    """The sweep's locked row, unless it is cancelled, or ended where that matters."""
    row = sweep_rows.lock(connection, sweep_id)
    ended = row.state in (SweepState.COMPLETED.value, SweepState.FAILED.value)
    cancelled = row.state == SweepState.CANCELLED.value
    if cancelled or (ended and not also_ended):
        raise Conflict(f"sweep {sweep_id} is {row.state} already and cannot be {verb}")
    if row.wanted == WantedState.CANCEL.value and not ended:
        raise Conflict(f"sweep {sweep_id} is being cancelled and cannot be {verb}")
    return row


def _queue(connection: Connection, row: convert.AnyRow) -> None:
    """Have the dispatcher start it again, on any node."""
    sweep_rows.change(
        connection,
        row,
        state=SweepState.QUEUED.value,
        wanted=WantedState.RUN.value,
        reason=None,
        ended_at=None,
        fruitless_drivers=0,
        excluded_nodes={},
    )


def _tell(
    connection: Connection,
    kind: str,
    row: convert.AnyRow,
    actor: str,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    audit.record(connection, kind, actor=actor, now=now, sweep_id=row.id, detail=detail)
