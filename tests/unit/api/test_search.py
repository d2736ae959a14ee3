"""Model-based searches as they are posted, and what their drivers read."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.store.interface import Store
from sweep.states import TrialState
from tests.unit.api.conftest import Clock
from tests.unit.store.builders import drive, moved, reported, send, started

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


def test_a_driver_reads_results_and_the_history_of_a_warm_start(
    client: TestClient, store: Store, clock: Clock
) -> None:
    past = client.post("/v1/sweeps", json=SPEC).json()["id"]
    done = (started(), reported((1, 0.5)), moved(TrialState.COMPLETED))
    send(store, drive(store, past), *done, known=4)
    clock.pass_by(3600)
    sweep = client.post("/v1/sweeps", json=searched(warm_start={"sweeps": [past]})).json()["id"]
    drive(store, sweep, now=clock.now)
    results, history = store.search_results, store.search_history
    assert [r.state for r in results(sweep, after=1, limit=9).items] == [TrialState.PENDING] * 2
    assert [r.best for r in history(sweep, after=-1, limit=9).items] == [0.5]
