"""The stores that the contract suite runs over."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from service.store.interface import Store
from service.store.open import migrate, open_store


@pytest.fixture(scope="session")
def postgres_schema(postgres: str) -> str:
    """The PostgreSQL server's URL, its schema up to date."""
    migrate(postgres)
    return postgres


def empty(url: str) -> None:
    """Take everything out of a PostgreSQL database."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE sweeps, events, tokens, code RESTART IDENTITY CASCADE"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'sweep.db'}"
        migrate(url)
    else:
        url = request.getfixturevalue("postgres_schema")
        empty(url)
    opened = open_store(url)
    yield opened
    opened.close()
