"""The app over a SQLite store, called in this process."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict

from service.app import create_app
from service.settings import Settings
from service.store.interface import Store
from sweep.trainables import PublishedLayout, Trainable


class ToyParameters(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    x: float
    kind: str = "a"


TOY = Trainable(
    name="toy",
    description="For tests.",
    code="tests.toy:train",
    parameters=ToyParameters,
    metrics=("score", "loss"),
    published=PublishedLayout(
        columns=("kind", "score"),
        experiment=lambda parameters: parameters.get("kind"),
        row=lambda trial: {
            "kind": str(trial.parameters.get("kind")),
            "score": str(trial.best.value if trial.best else None),
        },
    ),
)
UNBOUNDED = Trainable(
    name="unbounded", description="Never ends.", code="tests.toy:train", needs_max_t=True
)


@dataclass
class Clock:
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_app(store: Store, clock: Clock, home: Path, *, embedded: bool) -> FastAPI:
    numbers = itertools.count(1)
    return create_app(
        store=store,
        settings=Settings(home=home, embedded=embedded, max_trials=10_000),
        clock=clock,
        new_id=lambda: f"id{next(numbers)}",
        trainables={"toy": TOY, "unbounded": UNBOUNDED},
    )


@pytest.fixture
def app(store: Store, clock: Clock, home: Path) -> FastAPI:
    return make_app(store, clock, home, embedded=True)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def guarded(store: Store, clock: Clock, home: Path) -> Iterator[TestClient]:
    """The app with token authentication."""
    app = make_app(store, clock, home, embedded=False)
    with TestClient(app, base_url="http://sweeps.example", raise_server_exceptions=False) as made:
        yield made
