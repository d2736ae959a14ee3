"""Model-based searches as they are posted, and what their drivers read."""

from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.auth import new_driver_token
from service.store.interface import Store
from sweep.states import TrialState
from tests.unit.api.conftest import Clock
from tests.unit.store.builders import LEASE, START, drive, moved, reported, send, started

SPEC: dict[str, Any] = {
    "name": "search",
    "trainable": "toy",
    "metric": {"name": "score", "mode": "max"},
    "parameters": {"x": {"uniform": {"min": 0, "max": 9}}},
    "search": {"type": "tpe", "num_trials": 40, "startup_trials": 4},
    "early_stopping": {"type": "none", "max_t": 10},
}


def searched(**fields: Any) -> dict[str, Any]:
    return {**SPEC, "search": {**SPEC["search"], **fields}}


def problems(client: TestClient, spec: dict[str, Any]) -> dict[str, str]:
    answer = client.post("/v1/sweeps", json=spec)
    assert answer.status_code == 422, answer.text
    return {problem["path"]: problem["message"] for problem in answer.json()["problems"]}


def test_what_a_search_is_given_is_stored_and_what_it_proposes_is_planned(
    client: TestClient,
) -> None:
    plan = client.post("/v1/sweeps?dry_run=true", json=SPEC).json()
    assert (plan["trials"], plan["trial_steps"], plan["startup_trials"]) == (40, 400, 4)
    sweep = client.post("/v1/sweeps", json=SPEC).json()
    assert sweep["trials"]["pending"] == 4
    assert sweep["spec"]["search"]["parallel"] == 4


def test_points_to_evaluate_count_towards_what_it_is_given(client: TestClient) -> None:
    sweep = client.post("/v1/sweeps", json=searched(points_to_evaluate=[{"x": 7}])).json()
    items = client.get(f"/v1/sweeps/{sweep['id']}/trials").json()["items"]
    assert (len(items), items[0]["parameters"]) == (4, {"x": 7.0})


@pytest.mark.parametrize("kind", ["tpe", "gp", "cmaes", "nsga2"])
def test_halving_is_refused_with_every_such_search(client: TestClient, kind: str) -> None:
    rule = {"type": "halving", "max_t": 10}
    found = problems(client, {**searched(type=kind), "early_stopping": rule})
    assert kind in found["early_stopping.type"]


def test_an_objective_that_is_the_metric_or_comes_twice_is_refused(client: TestClient) -> None:
    metric, loss = {"name": "score", "mode": "max"}, {"name": "loss", "mode": "min"}
    found = problems(client, searched(type="nsga2", objectives=[loss, metric]))
    assert "already" in found["search.objectives[1].name"]
    found = problems(client, searched(type="nsga2", objectives=[loss, loss]))
    assert ["twice" in message for message in found.values()] == [True]


def test_a_warm_start_names_sweeps_that_sought_the_same(client: TestClient) -> None:
    other = {**SPEC, "metric": {"name": "loss", "mode": "min"}}
    named = [client.post("/v1/sweeps", json=spec).json()["id"] for spec in (SPEC, other)]
    found = problems(client, searched(warm_start={"sweeps": [*named, "gone"]}))
    assert set(found) == {"search.warm_start.sweeps[1]", "search.warm_start.sweeps[2]"}
    assert "'loss'" in found["search.warm_start.sweeps[1]"]
    assert "no sweep 'gone'" in found["search.warm_start.sweeps[2]"]
    fine = client.post("/v1/sweeps", json=searched(warm_start={"sweeps": named[:1]}))
    assert fine.status_code == 201


def bearer(store: Store, sweep: str, *, after: int = 0, now: datetime = START) -> dict[str, str]:
    """A new driver's headers."""
    secret, digest = new_driver_token()
    store.start_driver(sweep, after_epoch=after, token_hash=digest, now=now, lease=LEASE)
    return {"Authorization": f"Bearer {secret}"}


def pages(
    client: TestClient, path: str, headers: dict[str, str], *, limit: int, size: int
) -> list[dict[str, Any]]:
    """Every item past what a path's query names, from pages of `limit`; `size`: how many."""
    found: list[dict[str, Any]] = []
    at: dict[str, Any] = {}
    for _ in range(20):  # pages may be empty
        answer = client.get(f"/v1/driver{path}", params={**at, "limit": limit}, headers=headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        after = page["next_after"]
        if after is None:
            break
        at = {"after": after} if isinstance(after, int) else {"trial": after[0], "step": after[1]}
    assert after is None
    assert len(found) == size
    return found


def test_a_driver_reads_results_and_the_history_of_a_warm_start(
    client: TestClient, store: Store, clock: Clock
) -> None:
    past = client.post("/v1/sweeps", json=SPEC).json()["id"]
    driver = drive(store, past)
    for trial in (2, 0):
        done = (reported((1, trial / 4), trial=trial), moved(TrialState.COMPLETED, trial=trial))
        send(store, driver, started(trial), *done, known=4)
    clock.pass_by(3600)
    sweep = client.post("/v1/sweeps", json=searched(warm_start={"sweeps": [past]})).json()["id"]
    send(store, drive(store, sweep, now=clock.now), started(1), known=4)
    clock.pass_by(3600)
    headers = bearer(store, sweep, after=1, now=clock.now)
    for limit in (1, 3, 1_000):
        history = pages(client, "/history", headers, limit=limit, size=2)
        assert [r["best"] for r in history] == [0.0, 0.5]
        assert [r["last"] for r in history] == [{"score": 0.0}, {"score": 0.5}]
        results = pages(client, "/results", headers, limit=limit, size=4)
        assert [(r["index"], r["assignment"]) for r in results] == [(i, i) for i in range(4)]
        assert [r["state"] for r in results] == ["pending", "running", "pending", "pending"]
    late = client.get("/v1/driver/results", params={"after": 2}, headers=headers).json()
    assert [r["index"] for r in late["items"]] == [3]
    late = client.get("/v1/driver/results", params={"after": 3}, headers=headers).json()
    assert late == {"items": [], "next_after": None}


def test_a_driver_reads_what_was_reported_of_the_metric_that_rungs_compare(
    client: TestClient, store: Store, clock: Clock
) -> None:
    rule = {
        "type": "median",
        "grace_period": 1,
        "max_t": 10,
        "metric": {"name": "loss", "mode": "min"},
    }
    sweep = client.post("/v1/sweeps", json={**SPEC, "early_stopping": rule}).json()["id"]
    driver = drive(store, sweep)
    for trial in (0, 2):
        rows = reported((1, 0.5), (2, 0.6), (3, None), trial=trial, loss=1.5 + trial)
        without = reported((4, 0.7), trial=trial)
        send(store, driver, started(trial), rows, without, known=4)
    clock.pass_by(3600)
    headers = bearer(store, sweep, after=1, now=clock.now)
    every = [(trial, step, 1.5 + trial) for trial in (0, 2) for step in (1, 2, 3)]
    for limit in (1, 2, 3, 10_000):
        found = pages(client, "/past-reports", headers, limit=limit, size=6)
        assert [(r["trial"], r["step"], r["value"]) for r in found] == every

    def past(trial: int, step: int) -> list[tuple[int, int]]:
        place = {"trial": trial, "step": step}
        answer = client.get("/v1/driver/past-reports", params=place, headers=headers)
        return [(r["trial"], r["step"]) for r in answer.json()["items"]]

    assert past(0, 2) == [(0, 3), (2, 1), (2, 2), (2, 3)]
    assert past(1, 9) == past(0, 3) == [(2, 1), (2, 2), (2, 3)]
    assert past(2, 3) == []


def test_what_a_driver_may_not_ask_is_refused(client: TestClient, store: Store) -> None:
    sweep = client.post("/v1/sweeps", json=SPEC).json()["id"]
    headers = bearer(store, sweep)
    for query in (
        *("results?after=-2", "results?limit=0", "history?limit=1001", "history?after=x"),
        *("past-reports?trial=-1", "past-reports?step=-1", "past-reports?limit=10001"),
    ):
        assert client.get(f"/v1/driver/{query}", headers=headers).status_code == 422, query
