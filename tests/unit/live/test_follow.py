"""Following a sweep with the client, with a new service and with an older one."""

import threading
from pathlib import Path

from fastapi import FastAPI
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from service.store.interface import Store
from sweep.cli import progress
from sweep.client import Client
from sweep.records import SweepRecord
from sweep.states import SweepState, TrialState
from sweep.wire import SweepFinished
from tests.fixtures import serve
from tests.unit.api.conftest import Clock, make_app
from tests.unit.store.builders import at, create, drive, moved, reported, send, started


def older(app: FastAPI) -> Starlette:
    """The service before it had live events."""

    async def missing(request: Request) -> JSONResponse:
        problem = {"title": "none", "status": 404, "code": "not-found", "detail": "Not Found"}
        return JSONResponse(problem, status_code=404)

    return Starlette(routes=[Route("/v1/sweeps/{id}/events", missing), Mount("/", app)])


def finish(store: Store, told: threading.Event) -> threading.Thread:
    """End the sweep once its first state was told."""

    def work() -> None:
        driver = drive(store)
        assert told.wait(30)
        send(store, driver, started(), reported((1, 0.5)), moved(TrialState.COMPLETED))
        send(store, driver, SweepFinished(state=SweepState.COMPLETED, time=at(9)))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def follow(url: str, store: Store) -> list[SweepRecord]:
    seen: list[SweepRecord] = []
    told = threading.Event()

    def on_update(sweep: SweepRecord) -> None:
        seen.append(sweep)
        told.set()

    thread = finish(store, told)
    with Client(url) as client:
        last = client.follow("s1", on_update, poll=0.01)
    thread.join()
    assert last.state is SweepState.COMPLETED
    assert seen[-1] == last
    return seen


def test_a_sweep_is_followed_by_its_events(store: Store, url: str) -> None:
    create(store)
    seen = follow(url, store)
    assert seen[0].state in (SweepState.QUEUED, SweepState.RUNNING)
    assert seen[0].spec.name == "test"


def test_an_older_service_is_polled(store: Store, home: Path) -> None:
    create(store)
    with serve(older(make_app(store, Clock(), home, embedded=True))) as url:
        follow(url, store)


def test_watch_tells_by_lines_where_there_is_no_terminal(store: Store, url: str) -> None:
    create(store)
    store.cancel_sweep("s1", actor="me", now=at(1))
    console = Console(force_terminal=False)
    with Client(url) as client, console.capture() as said:
        sweep = progress.watch(client, "s1", console, rows=5)
    assert sweep.state is SweepState.CANCELLED
    assert "cancelled: 3 of 3 trials ended" in said.get()
