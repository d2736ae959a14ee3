"""The app over real HTTP, and somebody who listens."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.store.interface import Store
from sweep.client import Client
from sweep.live import LiveEvent
from tests.fixtures import serve
from tests.unit.api.conftest import Clock, make_app


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def url(store: Store, home: Path) -> Iterator[str]:
    """The service over a SQLite store."""
    with serve(make_app(store, Clock(), home, embedded=True)) as url:
        yield url


@dataclass
class Heard:
    """The events that a thread hears, in order."""

    events: list[LiveEvent] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    error: Exception | None = None

    def listen(self, url: str, sweep_id: str, last: str | None) -> None:
        try:
            with Client(url) as client:
                for event in client.events(sweep_id, last_event_id=last):
                    with self.changed:
                        self.events.append(event)
                        self.changed.notify_all()
        except Exception as error:  # noqa: BLE001 - told where the test waits
            with self.changed:
                self.error = error
                self.changed.notify_all()

    def wait_for(self, count: int, kind: str) -> list[LiveEvent]:
        """Wait until so many events of a kind were heard; all of them."""
        with self.changed:
            found = self.changed.wait_for(
                lambda: self.error or len(self.of(kind)) >= count, timeout=30
            )
        assert self.error is None, self.error
        assert found, f"heard only {[event.kind for event in self.events]}"
        return self.of(kind)

    def of(self, kind: str) -> list[LiveEvent]:
        return [event for event in self.events if event.kind == kind]

    @property
    def steps(self) -> list[tuple[int, int | None]]:
        """Which trials were told, with their steps, in order."""
        return [(trial.index, trial.step) for event in self.events for trial in event.trials]


@contextmanager
def listening(url: str, sweep_id: str, last: str | None = None) -> Iterator[Heard]:
    """Listen in a thread until `end`."""
    heard = Heard()
    thread = threading.Thread(target=heard.listen, args=(url, sweep_id, last))
    thread.start()
    try:
        yield heard
    finally:
        thread.join(30)
        assert not thread.is_alive()
