"""Real processes killed with real signals: every sweep ends whole, every row once."""

from typing import Any

import httpx
import pytest

from service.auth import hash_secret
from service.store.open import open_store
from sweep.client import Client
from sweep.records import SweepRecord
from sweep.states import SweepState, TrialState
from tests.fixtures import RayCluster
from tests.integration.service_process import ServiceProcess, trial_actors, wait_for
from tests.integration.test_sweeps import spec

pytestmark = [pytest.mark.ray, pytest.mark.slow]

STEPS = 40


def submit(client: Client) -> SweepRecord:
    parameters = {"x": {"grid": list(range(12))}, "steps": STEPS, "pace": 0.05}
    return client.submit(spec("steady", parameters=parameters, max_concurrent=4))


def in_the_middle(client: Client, sweep: SweepRecord) -> bool:
    trials = client.sweep(sweep.id).trials
    return trials[TrialState.COMPLETED] >= 4 and trials[TrialState.RUNNING] > 0


def check_whole(client: Client, sweep: SweepRecord) -> None:
    """Every trial completed, each of its reports there once, with the values of any run."""
    assert client.wait(sweep.id, poll=0.2).state is SweepState.COMPLETED
    for trial in client.trials(sweep.id):
        assert (trial.state, trial.reports) == (TrialState.COMPLETED, STEPS)
        reports = [(r.step, r.values["score"]) for r in client.reports(trial.id)]
        x = trial.parameters["x"]
        assert reports == [(step, x * 100 + step) for step in range(1, STEPS + 1)]


def attempts(client: Client, sweep: SweepRecord) -> dict[int, int]:
    return {t.index: t.attempts for t in client.trials(sweep.id)}


def test_a_killed_driver_has_a_successor_that_runs_only_what_is_left(
    service: ServiceProcess, ray_cluster: RayCluster
) -> None:
    client = service.start()
    sweep = submit(client)
    wait_for(lambda: in_the_middle(client, sweep), "some ended and some running trials")
    (driver,) = service.drivers(sweep.id)
    token = driver.environ()["SWEEP_DRIVER_TOKEN"]
    done = {t.index: t.ended_at for t in client.trials(sweep.id, filter="state == 'completed'")}
    driver.kill()
    wait_for(lambda: client.sweep(sweep.id).epoch == 2, "a successor", timeout=20)
    late = httpx.post(
        f"{client.url}/v1/driver/batch",
        headers={"Authorization": f"Bearer {token}"},
        json=late_report(),
    )
    assert (late.status_code, late.json()["code"]) == (409, "fenced")
    check_whole(client, sweep)
    tried = attempts(client, sweep)
    assert {tried[index] for index in done} == {1}
    assert 2 in tried.values()
    ended = {t.index: t.ended_at for t in client.trials(sweep.id)}
    assert {index: ended[index] for index in done} == done
    wait_for(lambda: not trial_actors(sweep.id, ray_cluster.environment), "actors' end")


def late_report() -> dict[str, Any]:
    row = {"step": 10_000, "time": "2030-01-01T00:00:00Z", "values": {"score": 1e9}}
    message = {"kind": "reports", "trial": 11, "attempt": 1, "rows": [row]}
    return {"messages": [message], "known": {"trials": 12}}


def test_server_and_driver_killed_together(service: ServiceProcess) -> None:
    client = service.start()
    sweep = submit(client)
    wait_for(lambda: in_the_middle(client, sweep), "some ended and some running trials")
    (driver,) = service.drivers(sweep.id)
    service.kill()
    driver.kill()
    client = service.start()
    check_whole(client, sweep)
    assert client.sweep(sweep.id).epoch == 2


def test_a_driver_that_cannot_start_fails_the_sweep_with_its_log(
    service: ServiceProcess,
) -> None:
    client = service.start()
    sweep = submit(client)
    wait_for(lambda: service.drivers(sweep.id), "a driver")
    store = open_store(f"sqlite:///{service.home / 'sweep.db'}")
    try:
        killed = set()
        while client.sweep(sweep.id).state is SweepState.RUNNING:
            for driver in service.drivers(sweep.id):
                driver.kill()
                killed.add(driver.pid)  # it is listed until the dispatcher has seen it end
        assert len(killed) == 5
        ended = client.sweep(sweep.id)
        assert ended.state is SweepState.FAILED
        assert "5 drivers in a row" in (ended.reason or "")
        assert ended.trials[TrialState.CANCELLED] == 12
        reasons = [e.detail.get("reason", "") for e in client.audit(sweep.id)]
        assert any("signal 9" in str(reason) for reason in reasons)
        assert store.identify_driver(hash_secret("nobody's")) is None
    finally:
        store.close()
