"""One deployment for all faults."""

from collections.abc import Callable, Iterator
from dataclasses import astuple

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from tests.chaos.deployment import Deployment
from tests.chaos.runs import FAULT, Ends, Outcome, check_whole, submit

Note = Callable[[Outcome], None]


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Adds a line to the table; as a property, it reaches the process that prints it."""
    return lambda outcome: record_property(FAULT, list(astuple(outcome)))


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The whole service, for all tests of this folder."""
    started = Deployment(tmp_path_factory.mktemp("chaos"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def engine(deployment: Deployment) -> Iterator[Engine]:
    """The deployment's database, with a connection a query: it comes and goes."""
    made = create_engine(deployment.postgres.url, poolclass=NullPool)
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def calm(deployment: Deployment) -> Ends:
    """How the trials of a sweep without faults end."""
    return check_whole(deployment, submit(deployment.client, "no faults"))
