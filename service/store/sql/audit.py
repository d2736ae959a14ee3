"""The audit: who changed what, when."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from service.store import cursors
from service.store.interface import EventOrder
from service.store.sql import convert
from service.store.tables import events
from sweep.records import EventRecord, Page

DRIVER = "driver"
DISPATCHER = "dispatcher"

_BEYOND = 2**62
"""Later than every event."""


def record(
    connection: Connection,
    kind: str,
    *,
    actor: str,
    now: datetime,
    sweep_id: str | None = None,
    trial_id: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write an event."""
    connection.execute(
        insert(events).values(
            time=now,
            actor=actor,
            kind=kind,
            sweep_id=sweep_id,
            trial_id=trial_id,
            detail=dict(detail or {}),
        )
    )


def list_page(
    connection: Connection,
    sweep_id: str | None,
    *,
    kind: str | None,
    trial_id: str | None,
    order: EventOrder,
    limit: int,
    cursor: str | None,
) -> Page[EventRecord]:
    """Events, the oldest or the newest first."""
    question = ("events", sweep_id, kind, trial_id, order)
    newest = order == "newest"
    start = cursors.decode_int(cursor, question=question, start=_BEYOND if newest else 0)
    key = events.c.pk
    query = select(events).where(key < start if newest else key > start)
    if sweep_id is not None:
        query = query.where(events.c.sweep_id == sweep_id)
    if kind is not None:
        query = query.where(events.c.kind == kind)
    if trial_id is not None:
        query = query.where(events.c.trial_id == trial_id)
    query = query.order_by(key.desc() if newest else key.asc()).limit(limit + 1)
    rows = connection.execute(query).all()
    more = cursors.encode([rows[limit - 1].pk], question=question) if len(rows) > limit else None
    return Page(items=tuple(map(convert.event_record, rows[:limit])), next_cursor=more)
