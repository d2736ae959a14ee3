"""Archives of code in SQL, in pieces."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, Update, delete, exists, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from service.store.code import NewCode, unknown_code
from service.store.sql import audit, convert
from service.store.tables import code, code_chunks, sweep_code, sweeps
from sweep.code_names import address_of, digest_of
from sweep.errors import NotFound
from sweep.records import CodeRecord
from sweep.spec import SweepSpec

_ACTOR = "service"
_USED_WITHIN = timedelta(minutes=5)
"""How old the time of an archive's last use may be; far less than what unused ones are kept."""


def add(connection: Connection, new: NewCode, chunks: Iterable[bytes]) -> CodeRecord:
    """Keep an archive, unless it is there already; what is known of it."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    values = {
        "digest": new.digest,
        "size": new.size,
        "files": new.files,
        "unpacked": new.unpacked,
        "created_by": new.created_by,
        "created_at": new.created_at,
        "used_at": new.created_at,
    }
    wanted = dialect.insert(code).values(values).on_conflict_do_nothing().returning(code.c.pk)
    key = connection.execute(wanted).scalar()
    if key is not None:
        _fill(connection, key, new, chunks)
    return use(connection, new.digest, now=new.created_at)


def _fill(connection: Connection, key: int, new: NewCode, chunks: Iterable[bytes]) -> None:
    for seq, data in enumerate(chunks):
        connection.execute(insert(code_chunks).values(code_pk=key, seq=seq, data=data))
    detail = {"code": new.digest, "bytes": new.size, "files": new.files}
    audit.record(connection, "code.added", actor=new.created_by, now=new.created_at, detail=detail)


def use(connection: Connection, digest: str, *, now: datetime) -> CodeRecord:
    """What is known of an archive, which is used now."""
    connection.execute(_touch(digest, now))
    row = connection.execute(select(code).where(code.c.digest == digest)).first()
    if row is None:
        raise NotFound(f"there is no code {address_of(digest)}")
    return _record(row)


def tie(connection: Connection, sweep_pk: int, spec: SweepSpec, *, now: datetime) -> None:
    """Tie a new sweep to the archive that its spec names, if it names one.

    An archive that was not used for some minutes is locked by that, so that it is not removed
    meanwhile. Nobody else can use it until the transaction ends: do this last.

    Raises:
        SpecError: when there is no such archive.
    """
    if spec.code is None:
        return
    digest = digest_of(spec.code)
    connection.execute(_touch(digest, now))
    key = connection.execute(select(code.c.pk).where(code.c.digest == digest)).scalar()
    if key is None:
        raise unknown_code(spec.code)
    connection.execute(insert(sweep_code).values(sweep_pk=sweep_pk, code_pk=key))


def of_sweep(connection: Connection, sweep_id: str) -> CodeRecord:
    """The archive that a sweep names."""
    joined = code.join(sweep_code).join(sweeps, sweeps.c.pk == sweep_code.c.sweep_pk)
    row = connection.execute(
        select(code).select_from(joined).where(sweeps.c.id == sweep_id)
    ).first()
    if row is None:
        raise NotFound(f"sweep {sweep_id!r} names no code")
    return _record(row)


def chunk(connection: Connection, digest: str, seq: int) -> bytes | None:
    """A piece of an archive."""
    found: bytes | None = connection.execute(
        select(code_chunks.c.data)
        .select_from(code_chunks.join(code))
        .where(code.c.digest == digest, code_chunks.c.seq == seq)
    ).scalar()
    return found


def remove_unused(connection: Connection, *, used_before: datetime, now: datetime) -> None:
    """Remove archives that no sweep names and that were last used before a time."""
    unnamed = ~exists().where(sweep_code.c.code_pk == code.c.pk)
    gone = delete(code).where(code.c.used_at < used_before, unnamed).returning(code.c.digest)
    for row in connection.execute(gone).all():
        detail = {"code": row.digest}
        audit.record(connection, "code.removed", actor=_ACTOR, now=now, detail=detail)


def _touch(digest: str, now: datetime) -> Update:
    """Note a use, unless one was noted just before: a row that is left alone locks nobody out."""
    stale = code.c.used_at < now - _USED_WITHIN
    return update(code).where(code.c.digest == digest, stale).values(used_at=now)


def _record(row: convert.AnyRow) -> CodeRecord:
    return CodeRecord(
        code=address_of(row.digest),
        size=row.size,
        files=row.files,
        unpacked=row.unpacked,
        created_by=row.created_by,
        created_at=row.created_at,
    )
