"""The real app over real HTTP, on SQLite."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from service.app import create_app
from service.settings import Settings
from service.store.interface import Store
from sweep.client import Client
from sweep.trainables import Trainable
from tests.fixtures import serve
from tests.unit.api.conftest import TOY, Clock


@pytest.fixture
def trainables() -> Mapping[str, Trainable]:
    return {"toy": TOY}


@pytest.fixture
def url(
    store: Store,
    home: Path,
    trainables: Mapping[str, Trainable],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    numbers = itertools.count(1)
    app = create_app(
        store=store,
        settings=Settings(home=home, embedded=True),
        clock=Clock(),
        new_id=lambda: f"id{next(numbers)}",
        trainables=trainables,
    )
    with serve(app) as address:
        monkeypatch.setenv("SWEEP_URL", address)
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as made:
        yield made
