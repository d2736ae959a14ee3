"""Who may call what."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import ValidationError

from service.app import PARTS
from service.auth import hash_secret, issue_token, new_driver_token
from service.settings import Settings
from service.store.interface import Store
from tests.unit.api.conftest import Clock
from tests.unit.api.test_sweeps import SPEC
from tests.unit.store.builders import LEASE, START


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def ann(store: Store) -> dict[str, str]:
    return bearer(issue_token(store, token_id="t1", name="ann", now=START).secret)


USER_PATHS = ["/v1/sweeps", "/v1/trainables", "/v1/schema/sweep", "/v1/tokens", "/v1/studies"]
SIGNING_IN = [("POST", "/v1/session"), ("DELETE", "/v1/session")]
DRIVER_PATHS = [
    f"/v1/driver/{name}"
    for name in ("assignment", "trials", "rungs", "results", "history", "past-reports", "code")
]


@pytest.mark.parametrize("path", [*USER_PATHS, *DRIVER_PATHS])
@pytest.mark.parametrize("header", [None, "Bearer", "Bearer nope", "Basic x", "nope", "Bearer é"])
def test_without_a_good_token_every_route_is_closed(
    guarded: TestClient, path: str, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    answer = guarded.get(path, headers=headers)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_no_route_but_health_and_the_pages_shells_is_open(guarded: TestClient) -> None:
    app = guarded.app
    assert isinstance(app, FastAPI)
    closed = set()
    for context in _routes(app):
        path = context.path.replace("{sweep_id}", "x").replace("{trial_id}", "x-1")
        for method in context.methods or ():
            answer = guarded.request(method, path.replace("{token_id}", "x"))
            if context.path.startswith("/v1/") and (method, path) not in SIGNING_IN:
                assert answer.status_code == 401, (method, path)
                closed.add(context.path)
    assert {"/v1/openapi.json", "/v1/sweeps", "/v1/driver/batch", "/v1/session"} <= closed


def _routes(app: FastAPI) -> list[Any]:
    found = [*app.routes, *(r for part in PARTS for r in part.router.routes)]
    return [route for route in found if isinstance(route, APIRoute)]


def test_a_token_opens_the_users_routes_until_it_is_revoked(
    guarded: TestClient, store: Store, ann: dict[str, str], clock: Clock
) -> None:
    sweep = guarded.post("/v1/sweeps", json=SPEC, headers=ann).json()
    assert sweep["created_by"] == "ann"
    made = guarded.post("/v1/tokens", json={"name": "bob"}, headers=ann).json()
    assert made["secret"].startswith("swp_")
    bob = bearer(made["secret"])
    assert guarded.get("/v1/sweeps", headers=bob).status_code == 200
    listed = guarded.get("/v1/tokens", headers=ann)
    assert made["secret"] not in listed.text
    assert [t["name"] for t in listed.json()["items"]] == ["ann", "bob"]
    stored = {t.name: h for t, h in store.live_token_hashes()}
    assert stored["bob"] == hash_secret(made["secret"])
    assert guarded.delete("/v1/tokens/bob", headers=ann).status_code == 200
    assert guarded.get("/v1/sweeps", headers=bob).status_code == 401
    assert guarded.delete("/v1/tokens/bob", headers=ann).status_code == 404
    answer = guarded.post("/v1/tokens", json={"name": "ann"}, headers=ann)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_a_drivers_token_is_good_for_its_own_routes_alone(
    guarded: TestClient, store: Store, ann: dict[str, str]
) -> None:
    for _ in range(2):
        guarded.post("/v1/sweeps", json=SPEC, headers=ann)
    secret, digest = new_driver_token()
    store.start_driver("id2", after_epoch=0, token_hash=digest, now=START, lease=LEASE)
    driver = bearer(secret)
    assert guarded.get("/v1/driver/assignment", headers=driver).json()["sweep_id"] == "id2"
    ids = {t["id"] for t in guarded.get("/v1/driver/trials", headers=driver).json()["items"]}
    assert ids == {f"id2-{i}" for i in range(6)}
    for path in USER_PATHS:
        assert guarded.get(path, headers=driver).status_code == 403
    for path in DRIVER_PATHS:
        assert guarded.get(path, headers=ann).status_code == 403


def batch(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"messages": list(messages), "known": {"trials": 6}}


STARTED = {"kind": "started", "trial": 0, "attempt": 1, "time": "2026-01-01T00:00:00Z"}


def test_a_late_driver_is_fenced_out_over_rest(
    client: TestClient, store: Store, clock: Clock
) -> None:
    client.post("/v1/sweeps", json=SPEC)
    tokens = []
    for epoch in range(2):
        secret, digest = new_driver_token()
        tokens.append(bearer(secret))
        now = clock.now
        store.start_driver("id1", after_epoch=epoch, token_hash=digest, now=now, lease=LEASE)
        clock.pass_by(60)
    late = client.post("/v1/driver/batch", json=batch(STARTED), headers=tokens[0])
    assert (late.status_code, late.json()["code"]) == (409, "fenced")
    beat = client.post("/v1/driver/heartbeat", json={"known": {"trials": 6}}, headers=tokens[0])
    assert beat.status_code == 409
    good = client.post("/v1/driver/batch", json=batch(STARTED), headers=tokens[1])
    assert (good.status_code, good.json()["wanted"]) == (200, "run")
    assert client.get("/v1/trials/id1-0").json()["state"] == "running"


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "nope"},
        {**STARTED, "extra": 1},
        {**STARTED, "attempt": 0},
        {"kind": "reports", "trial": 0, "attempt": 1, "rows": [{"step": 0}]},
        {"kind": "finished", "state": "nope", "time": "2026-01-01T00:00:00Z"},
    ],
)
def test_a_bad_message_is_refused(
    client: TestClient, store: Store, message: dict[str, Any]
) -> None:
    client.post("/v1/sweeps", json=SPEC)
    secret, digest = new_driver_token()
    store.start_driver("id1", after_epoch=0, token_hash=digest, now=START, lease=LEASE)
    answer = client.post("/v1/driver/batch", json=batch(message), headers=bearer(secret))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8080"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "[::1"},
        {"Host": "a]b"},
        {"Host": ""},
        {"Origin": "http://[x"},
    ],
)
def test_another_site_cannot_drive_a_service_that_asks_for_no_token(
    client: TestClient, headers: dict[str, str]
) -> None:
    answer = client.post("/v1/sweeps", json=SPEC, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert client.get("/v1/sweeps").json()["items"] == []
    same = client.get("/v1/sweeps", headers={"Origin": "http://127.0.0.1:8080"})
    assert same.status_code == 200


def test_embedded_mode_is_for_loopback_addresses_alone() -> None:
    with pytest.raises(ValidationError, match="embedded mode"):
        Settings(host="0.0.0.0", embedded=True)
    assert Settings(host="0.0.0.0").embedded is False
