"""Engines and transactions for SQLite and PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sweep.errors import ServiceUnavailable

_BUSY_TIMEOUT_S = 30


def make_engine(url: str) -> Engine:
    """An engine for a database URL.

    SQLite gets write-ahead logging, foreign keys, and transactions that begin when
    SQLAlchemy says so: writers take their lock at once, so that none fails half-way.
    """
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def transaction(engine: Engine, *, writes: bool) -> Iterator[Connection]:
    """One transaction, committed at the end of the block.

    Raises:
        ServiceUnavailable: when the database is away or too busy.
    """
    try:
        with engine.execution_options(writes=writes).begin() as connection:
            yield connection
    except (OperationalError, PoolTimeoutError) as error:
        raise ServiceUnavailable(f"the database does not answer: {error}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise ServiceUnavailable(f"the database connection was lost: {error}") from error
        raise
