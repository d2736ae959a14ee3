"""The migrations make exactly the declared schema, on both databases, and can be undone."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from service.store.open import migrate, open_store
from service.store.sql.engine import make_engine
from service.store.sql.schema import downgrade, upgrade
from service.store.tables import metadata
from sweep.errors import ServiceUnavailable, SweepError


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sweep.db'}"
    server: str = request.getfixturevalue("postgres")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS migrated"))
        connection.execute(text("CREATE DATABASE migrated"))
    engine.dispose()
    return server.replace("/postgres?", "/migrated?")


def test_the_migrated_schema_is_the_declared_one(url: str) -> None:
    migrate(url)
    migrate(url)
    engine = make_engine(url)
    with engine.connect() as connection:
        found = connection.dialect.name

        def is_declared(_: Any, name: str | None, *others: Any) -> bool:
            return (name, found) != ("ix_trials_parameters", "sqlite")

        options = {"include_object": is_declared}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_migrations_can_be_undone(url: str) -> None:
    engine = make_engine(url)
    upgrade(engine)
    downgrade(engine)
    assert inspect(engine).get_table_names() == ["alembic_version"]
    upgrade(engine)
    engine.dispose()


def test_tokens_of_before_roles_have_none(url: str) -> None:
    engine = make_engine(url)
    upgrade(engine, "0003")
    row = "INSERT INTO tokens (id, name, token_hash, created_at) VALUES ('t', 'ann', 'h', :now)"
    with engine.begin() as connection:
        connection.execute(text(row), {"now": "2026-01-01 00:00:00"})
    engine.dispose()
    migrate(url)
    with closing(open_store(url)) as store:
        assert [(token.name, token.roles) for token in store.list_tokens()] == [("ann", ())]


def test_a_schema_that_is_behind_is_not_ready(url: str) -> None:
    store = open_store(url)
    with pytest.raises(ServiceUnavailable, match="migrate"):
        store.check()
    store.close()


def test_a_database_that_is_away_or_of_another_kind_is_said_so(tmp_path: Path) -> None:
    away = open_store("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    with pytest.raises(ServiceUnavailable):
        away.on_duty()
    away.close()
    for bad in ("mysql://host/db", "not a url"):
        with pytest.raises(SweepError):
            open_store(bad)
