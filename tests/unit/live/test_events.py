"""Live events over real HTTP: live, resumed, ended."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service.store.interface import Store
from sweep.states import SweepState, TrialState
from sweep.wire import SweepFinished
from tests.fixtures import serve
from tests.unit.api.conftest import Clock, make_app
from tests.unit.live.conftest import listening
from tests.unit.store.builders import at, create, drive, moved, reported, send, started

DONE = SweepFinished(state=SweepState.COMPLETED, reason=None, time=at(90))


def sse(answer: httpx.Response) -> Iterator[tuple[str, str, str]]:
    """Event, id, data of each event of a stream."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line == "" and fields:
            yield fields["event"], fields["id"], fields["data"]
            fields = {}
        elif name:
            fields[name] = value


def test_changes_are_told_as_they_happen(store: Store, url: str) -> None:
    create(store)
    driver = drive(store)
    with listening(url, "s1") as heard:
        first = heard.wait_for(1, "sweep")[0]
        assert first.sweep is not None
        assert first.sweep.state is SweepState.RUNNING
        send(store, driver, started(0), reported((1, 0.5), (2, 0.75)))
        told = heard.wait_for(1, "trials")[0]
        assert [(t.index, t.state, t.step) for t in told.trials] == [(0, TrialState.RUNNING, 2)]
        assert heard.wait_for(2, "sweep")[1].sweep.best.value == 0.75  # type: ignore[union-attr]
        send(store, driver, moved(TrialState.COMPLETED), DONE)
        assert heard.wait_for(1, "end")[0].state is SweepState.COMPLETED
    assert [event.kind for event in heard.events][-3:] == ["trials", "sweep", "end"]
    assert [trial.index for trial in heard.events[-3].trials] == [0, 1, 2]


def test_who_comes_again_misses_nothing_and_hears_nothing_twice(store: Store, url: str) -> None:
    create(store, parameters={"x": {"grid": list(range(450))}})
    driver = drive(store)
    version = store.get_sweep("s1").version
    send(store, driver, *(m for i in range(450) for m in (started(i), reported((1, 0.1), trial=i))))
    send(store, driver, reported((2, 0.2), trial=7), DONE, known=450)
    with httpx.stream("GET", f"{url}/v1/sweeps/s1/events?last_event_id={version}") as answer:
        told = [(event, id_, data) for event, id_, data in sse(answer)]
    assert [event for event, _, _ in told] == ["trials"] * 3 + ["sweep", "end"]
    assert max(len(json.loads(data).get("trials", [])) for _, _, data in told) == 200
    middle = told[1][1]
    headers = {"Last-Event-ID": middle}
    again = f"{url}/v1/sweeps/s1/events?last_event_id={version}"
    with httpx.stream("GET", again, headers=headers) as answer:
        rest = list(sse(answer))
    assert [id_ for _, id_, _ in rest] == [id_ for _, id_, _ in told[2:]]
    indexes = [
        t["index"]
        for e, _, d in [*told[:2], *rest]
        if e == "trials"
        for t in json.loads(d)["trials"]
    ]
    assert sorted(indexes) == list(range(450))
    assert "error" not in json.loads(told[0][2])["trials"][0]
    assert "spec" not in json.loads(told[3][2])


def test_a_server_that_starts_again_is_no_gap(store: Store, home: Path) -> None:
    create(store)
    driver = drive(store)
    with ExitStack() as rest:
        with serve(make_app(store, Clock(), home, embedded=True)) as url:
            heard = rest.enter_context(listening(url, "s1"))
            heard.wait_for(1, "sweep")
            send(store, driver, started(0), reported((1, 0.5)))
            heard.wait_for(1, "trials")
        send(store, driver, reported((2, 0.6)))
        send(store, driver, started(1), reported((1, 0.1), trial=1))
        port = int(url.rpartition(":")[2])
        rest.enter_context(serve(make_app(store, Clock(), home, embedded=True), port=port))
        heard.wait_for(2, "trials")
        send(store, driver, moved(TrialState.COMPLETED), DONE)
        heard.wait_for(1, "end")
    assert heard.steps[:3] == [(0, 1), (0, 2), (1, 1)]
    assert sorted(heard.steps[3:]) == [(0, 2), (1, 1), (2, None)]


def test_two_servers_on_one_database_tell_the_same(store: Store, home: Path) -> None:
    create(store)
    driver = drive(store)
    with ExitStack() as both:
        urls = [
            both.enter_context(serve(make_app(store, Clock(), home, embedded=True)))
            for _ in range(2)
        ]
        for url in urls:  # FastAPI prepares routes with the first request; one process has one app
            httpx.get(f"{url}/healthz").raise_for_status()
        heard = [both.enter_context(listening(url, "s1")) for url in urls]
        for one in heard:
            one.wait_for(1, "sweep")
        send(store, driver, started(0), reported((1, 0.5)), moved(TrialState.COMPLETED), DONE)
        for one in heard:
            one.wait_for(1, "end")
    assert heard[0].events == heard[1].events


def test_the_stream_of_an_ended_sweep_ends(store: Store, url: str) -> None:
    create(store)
    store.cancel_sweep("s1", actor="me", now=at(1))
    with listening(url, "s1") as heard:
        assert heard.wait_for(1, "end")[0].state is SweepState.CANCELLED
    store.delete_sweep("s1", actor="me", now=at(2))
    assert httpx.get(f"{url}/v1/sweeps/s1/events").status_code == 404


def test_what_is_no_sweep_or_no_event_is_a_problem(url: str) -> None:
    missing = httpx.get(f"{url}/v1/sweeps/none/events")
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
    for bad in ("x", "1-x", "-1", "1-", "²"):
        answer = httpx.get(f"{url}/v1/sweeps/none/events", params={"last_event_id": bad})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-query"), bad
    assert httpx.get(f"{url}/v1/events?last_event_id=x").status_code == 422


def test_a_script_in_a_name_stays_json(store: Store, url: str) -> None:
    name = "<script>alert('\u2028')</script>\nevent: end\r\ndata: x\n\n"
    create(store, name=name, parameters={"x": {"grid": [name]}})
    store.cancel_sweep("s1", actor="me", now=at(1))
    with listening(url, "s1", "0") as heard:
        heard.wait_for(1, "end")
    kinds = [event.kind for event in heard.events]
    assert kinds == ["trials", "sweep", "end"]
    assert heard.events[0].trials[0].parameters == {"x": name}
    assert heard.events[1].sweep.name == name  # type: ignore[union-attr]


def test_every_sweep_that_changes_is_told_on_one_stream(store: Store, url: str) -> None:
    create(store, "old")
    with httpx.stream("GET", f"{url}/v1/events", timeout=30) as answer:
        events = sse(answer)
        create(store, "new")
        event, last, data = next(events)
        assert (event, json.loads(data)["id"]) == ("sweep", "new")
        store.cancel_sweep("old", actor="me", now=at(1))
        assert json.loads(next(events)[2])["state"] == "cancelled"
    store.cancel_sweep("new", actor="me", now=at(1))
    with httpx.stream("GET", f"{url}/v1/events?last_event_id={last}", timeout=30) as answer:
        events = sse(answer)
        told = [json.loads(next(events)[2]) for _ in range(2)]
    assert {(sweep["id"], sweep["state"]) for sweep in told} == {
        ("old", "cancelled"),
        ("new", "cancelled"),
    }


def test_a_stream_needs_a_token(store: Store, home: Path) -> None:
    create(store)
    with serve(make_app(store, Clock(), home, embedded=False)) as url:
        assert httpx.get(f"{url}/v1/sweeps/s1/events").status_code == 401
        assert httpx.get(f"{url}/v1/events").status_code == 401


@pytest.mark.parametrize("route", ["/v1/events", "/v1/sweeps/s1/events"])
def test_a_client_that_goes_is_forgotten(route: str, store: Store, home: Path) -> None:
    create(store)
    app = make_app(store, Clock(), home, embedded=True)
    hub = app.state.context.hub
    with serve(app) as url:
        for _ in range(3):
            with httpx.stream("GET", f"{url}{route}", timeout=30) as answer:
                chunks = answer.iter_bytes()  # kept: the stream closes with it
                assert next(chunks)
                assert hub.feeds == 1
        for _ in range(1_000):
            if hub.feeds == 0:
                break
            httpx.get(f"{url}/healthz")
        assert hub.feeds == 0
