"""What changed since a reader last looked, in SQL."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select, tuple_

from service.store.interface import ListChanges, SweepChanges
from service.store.sql import convert
from service.store.sql import sweeps as sweep_rows
from service.store.tables import events, sweeps, trials
from sweep.errors import NotFound
from sweep.live import Position
from sweep.records import SweepRecord, TrialRecord
from sweep.rows import to_record
from sweep.states import FINAL_SWEEP_STATES, SweepState

_IN_CHUNK = 500


def of_sweep(
    connection: Connection,
    sweep_id: str,
    *,
    after: Position | None,
    upto: Position | None,
    limit: int,
) -> SweepChanges | None:
    """A sweep's trials that changed past a position."""
    sweep = _version(connection, sweep_id)
    end = Position(sweep.version) if upto is None else min(upto, Position(sweep.version))
    if after is not None and end <= after:
        return None
    found = () if after is None else _trials(connection, sweep, after, end, limit)
    complete = len(found) < limit
    return SweepChanges(
        trials=found,
        reached=end if complete else found[-1][0],
        complete=complete,
    )


def _version(connection: Connection, sweep_id: str) -> convert.AnyRow:
    """The little of a sweep that is read twice a second."""
    row = None
    if sweep_id.isascii() and "\x00" not in sweep_id:
        few = select(sweeps.c.pk, sweeps.c.id, sweeps.c.version)
        row = connection.execute(few.where(sweeps.c.id == sweep_id)).first()
    if row is None:
        raise NotFound(f"there is no sweep {sweep_id!r}")
    return row


def _trials(
    connection: Connection, sweep: convert.AnyRow, after: Position, end: Position, limit: int
) -> tuple[tuple[Position, TrialRecord], ...]:
    place = tuple_(trials.c.version, trials.c["index"])
    rows = connection.execute(
        select(trials)
        .where(
            trials.c.sweep_pk == sweep.pk,
            place > (after.version, after.index),
            place <= (end.version, end.index),
        )
        .order_by(trials.c.version, trials.c["index"])
        .limit(limit)
    )
    return tuple(
        (
            Position(row.version, row._mapping["index"]),
            to_record(convert.trial_row(row), sweep.id),
        )
        for row in rows
    )


def of_list(
    connection: Connection, versions: Mapping[str, int], *, after_event: int | None
) -> ListChanges:
    """The sweeps that changed, whichever they are."""
    last = connection.execute(select(func.max(events.c.pk))).scalar() or 0
    live = connection.execute(
        select(sweeps.c.id, sweeps.c.version).where(
            sweeps.c.state.in_([s.value for s in SweepState if s not in FINAL_SWEEP_STATES])
        )
    )
    now = {row.id: row.version for row in live}
    found: list[SweepRecord] = []
    if after_event is not None:
        ids = {id_ for id_, version in now.items() if versions.get(id_) != version}
        ids |= versions.keys() - now.keys()
        ids |= _named(connection, after_event) - now.keys()
        for chunk in convert.chunks(sorted(ids), _IN_CHUNK):
            rows = connection.execute(select(sweeps).where(sweeps.c.id.in_(list(chunk))))
            found += sweep_rows.records(connection, rows.all())
    return ListChanges(sweeps=tuple(found), versions=now, last_event=last)


def _named(connection: Connection, after_event: int) -> set[str]:
    """The sweeps that the audit names after an event."""
    rows = connection.execute(
        select(events.c.sweep_id)
        .where(events.c.pk > after_event, events.c.sweep_id.is_not(None))
        .distinct()
    )
    return {str(row.sweep_id) for row in rows}
