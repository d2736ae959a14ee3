"""Bearer tokens."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, or_, select, update

from service.store.sql import audit, convert
from service.store.tables import tokens
from sweep.errors import Conflict, NotFound
from sweep.records import TokenRecord


def create(connection: Connection, record: TokenRecord, *, token_hash: str) -> TokenRecord:
    """Store a token."""
    name, now = record.name, record.created_at
    taken = select(tokens.c.pk).where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
    if connection.execute(taken).first():
        raise Conflict(f"there is a token {name!r} already: revoke it first, or use another name")
    values = {"id": record.id, "name": name, "token_hash": token_hash, "created_at": now}
    connection.execute(insert(tokens).values(**values, roles=list(record.roles)))
    detail = {"token": record.id, **({"roles": list(record.roles)} if record.roles else {})}
    audit.record(connection, "token.created", actor=name, now=now, detail=detail)
    return record


def list_all(connection: Connection) -> Sequence[TokenRecord]:
    """All tokens by time of creation."""
    rows = connection.execute(select(tokens).order_by(tokens.c.pk))
    return [convert.token_record(row) for row in rows]


def revoke(connection: Connection, token_id: str, *, now: datetime) -> TokenRecord:
    """Make a token worthless."""
    named = or_(tokens.c.id == token_id, tokens.c.name == token_id)
    live = tokens.c.revoked_at.is_(None)
    row = connection.execute(select(tokens).where(named, live).with_for_update()).first()
    if row is None:
        raise NotFound(f"there is no live token {token_id!r}")
    connection.execute(update(tokens).where(tokens.c.pk == row.pk).values(revoked_at=now))
    audit.record(connection, "token.revoked", actor=row.name, now=now, detail={"token": row.id})
    return convert.token_record(row).model_copy(update={"revoked_at": now})


def live_hashes(connection: Connection) -> Sequence[tuple[TokenRecord, str]]:
    """Every live token with its hash."""
    rows = connection.execute(select(tokens).where(tokens.c.revoked_at.is_(None)))
    return [(convert.token_record(row), row.token_hash) for row in rows]


def touch(connection: Connection, token_id: str, *, now: datetime) -> None:
    """Record a token's last use."""
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at=now))
