"""Opening the store that a database URL names."""

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from service.store.interface import Store
from service.store.sql.engine import make_engine
from service.store.sql.schema import upgrade
from service.store.sql.store import SqlStore
from sweep.errors import ServiceUnavailable, SweepError


def open_store(url: str) -> Store:
    """The store at `sqlite:///PATH` or `postgresql+psycopg://…`; its schema is not touched."""
    return SqlStore(make_engine(_checked(url)))


def migrate(url: str) -> None:
    """Bring a database's schema up to date, creating a SQLite file that is not there.

    Raises:
        SweepError: for a URL that is none, or of a database that is not supported.
        ServiceUnavailable: when the database is away.
    """
    engine = make_engine(_checked(url))
    try:
        upgrade(engine)
    except SQLAlchemyError as error:
        raise ServiceUnavailable(f"the database cannot be brought up to date: {error}") from error
    finally:
        engine.dispose()


def _checked(url: str) -> str:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SweepError(f"the database URL cannot be read: {error}") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise SweepError(
            f"databases of kind {parsed.get_backend_name()!r} are not supported: "
            "use sqlite:///PATH or postgresql+psycopg://…"
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)
