"""Bodies: who is heard first, what is refused, and that reading holds nobody up."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.api import bodies
from service.auth import issue_token, new_driver_token
from service.store.interface import Store
from tests.unit.api.test_sweeps import SPEC
from tests.unit.store.builders import LEASE, START

JSON = {"Content-Type": "application/json"}
POSTS = ["/v1/sweeps", "/v1/tokens", "/v1/driver/batch", "/v1/driver/heartbeat"]
TYPED = POSTS[1:]


@pytest.fixture
def bearers(guarded: TestClient, store: Store) -> dict[str, dict[str, str]]:
    """For each route that takes a body, a token that opens it."""
    user = issue_token(store, token_id="t1", name="ann", now=START).secret
    guarded.post("/v1/sweeps", json=SPEC, headers={"Authorization": f"Bearer {user}"})
    driver, digest = new_driver_token()
    store.start_driver("id1", after_epoch=0, token_hash=digest, now=START, lease=LEASE)
    return {
        path: {"Authorization": f"Bearer {driver if 'driver' in path else user}"} for path in POSTS
    }


@pytest.mark.parametrize("path", POSTS)
def test_nobodys_body_is_read_before_the_token(guarded: TestClient, path: str) -> None:
    for content in (b"{", b"[" * 100_000, b" " * 2_000_000):
        answer = guarded.post(path, content=content, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("said", [None, "5"])
def test_a_body_past_its_limit_is_refused_whatever_its_length_is_said_to_be(
    guarded: TestClient,
    bearers: dict[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    said: str | None,
) -> None:
    monkeypatch.setattr(bodies, "MAX_DRIVER_BYTES", 1_500_000)
    headers = {**JSON, **bearers[path], **({"Content-Length": said} if said else {})}
    chunks = (b" " * 100_000 for _ in range(16))
    answer = guarded.post(path, content=chunks, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_is_said_to_be_past_its_limit_is_not_read(
    guarded: TestClient, bearers: dict[str, dict[str, str]], path: str
) -> None:
    def body() -> Iterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {**JSON, **bearers[path], "Content-Length": "10000000000"}
    answer = guarded.post(path, content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize("path", TYPED)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"\\ud800": 1}',
        b'{"name": "\\ud800", "known": "\\ud800"}',
        b'{"name": NaN, "known": NaN}',
        b'{"name": %b, "known": %b}' % (b"1" * 5_000, b"1" * 5_000),
    ],
    ids=["empty", "broken", "list", "bytes", "deep", "key", "surrogate", "nan", "huge"],
)
def test_a_body_that_is_not_what_the_route_takes(
    guarded: TestClient, bearers: dict[str, dict[str, str]], path: str, body: bytes
) -> None:
    answer = guarded.post(path, content=body, headers={**JSON, **bearers[path]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert all(p["path"].startswith("body") for p in answer.json()["problems"])


@pytest.mark.parametrize("path", TYPED)
def test_a_body_of_another_type_is_refused(
    guarded: TestClient, bearers: dict[str, dict[str, str]], path: str
) -> None:
    headers = {"Content-Type": "text/plain", **bearers[path]}
    answer = guarded.post(path, content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


def test_a_metric_named_by_half_a_surrogate_pair_is_refused(
    guarded: TestClient, bearers: dict[str, dict[str, str]]
) -> None:
    path = "/v1/driver/batch"
    time = '"time": "2026-01-01T00:00:00Z"'
    row = f'{{"step": 1, {time}, "values": {{"\\ud800": 1.0}}}}'
    message = f'{{"kind": "reports", "trial": 0, "attempt": 1, "rows": [{row}]}}'
    body = f'{{"known": {{"trials": 6}}, "messages": [{message}]}}'
    answer = guarded.post(path, content=body, headers={**JSON, **bearers[path]})
    assert answer.status_code == 422, answer.text


def test_a_heartbeat_and_the_rungs_of_a_driver(
    guarded: TestClient, bearers: dict[str, dict[str, str]]
) -> None:
    headers = bearers["/v1/driver/batch"]
    beat = guarded.post("/v1/driver/heartbeat", json={"known": {"trials": 4}}, headers=headers)
    assert beat.status_code == 200
    assert beat.json()["wanted"] == "run"
    assert [t["index"] for t in beat.json()["trials"]] == [4, 5]
    entry = {"step": 1, "trial": 0, "group": "{}", "value": 0.5, "peers": 3, "decision": "stop"}
    told = {"kind": "rung", "entry": {**entry, "time": "2026-01-01T00:00:00Z"}}
    batch = {"known": {"trials": 6}, "messages": [told]}
    assert guarded.post("/v1/driver/batch", json=batch, headers=headers).status_code == 200
    page = guarded.get("/v1/driver/rungs", headers=headers).json()
    assert [(e["trial"], e["decision"]) for e in page["items"]] == [(0, "stop")]
    history = guarded.get("/v1/driver/history", headers=headers).json()
    assert history == {"items": [], "next_after": None}


def test_a_document_that_is_slow_to_read_holds_nobody_up(app: FastAPI) -> None:
    body = b"a:\n" + b"  - {x: 1, y: 2}\n" * 10_000

    async def answered_meanwhile() -> tuple[int, int]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            headers = {"Content-Type": "application/yaml"}
            post = asyncio.create_task(client.post("/v1/sweeps", content=body, headers=headers))
            answered = 0
            while not post.done():
                answered += (await client.get("/healthz")).status_code == 200
            return answered, post.result().status_code

    answered, status = asyncio.run(answered_meanwhile())
    assert status == 422
    assert answered >= 10  # one or two when the event loop itself reads it


def test_the_openapi_document_describes_every_body(client: TestClient) -> None:
    document: dict[str, Any] = client.get("/v1/openapi.json").json()
    names = document["components"]["schemas"]
    for path in POSTS:
        content = document["paths"][path]["post"]["requestBody"]["content"]
        name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert names[name]["properties"]


def test_an_answer_is_short_however_much_is_wrong(
    guarded: TestClient, bearers: dict[str, dict[str, str]]
) -> None:
    batch = {"known": {"trials": 6}, "messages": [{"kind": "nope"}] * 2_000}
    headers = bearers["/v1/driver/batch"]
    answer = guarded.post("/v1/driver/batch", json=batch, headers=headers)
    assert answer.status_code == 422
    assert len(answer.json()["problems"]) == 100
    spec = {**SPEC, "tags": ["\x00"] * 5_000}
    answer = guarded.post("/v1/sweeps", json=spec, headers=bearers["/v1/sweeps"])
    assert answer.status_code == 422
    assert len(answer.content) < 30_000
