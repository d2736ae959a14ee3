"""Sweeps paused, resumed, retried, changed and outranked while real trials train."""

from pathlib import Path
from typing import Any

import pytest

from sweep.client import Client
from sweep.records import SweepRecord
from sweep.states import SweepState, TrialState
from tests.fixtures import RayCluster
from tests.integration.service_process import ServiceProcess, trial_actors, wait_for
from tests.integration.test_sweeps import spec

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def submit(client: Client, *, trials: int, steps: int, **fields: Any) -> SweepRecord:
    parameters = {"x": {"grid": list(range(trials))}, "steps": steps, "pace": 0.1}
    return client.submit(spec("steady", parameters=parameters, **fields))


def running(client: Client, sweep: SweepRecord) -> int:
    return client.sweep(sweep.id).trials[TrialState.RUNNING]


def made_room(client: Client, sweep: SweepRecord) -> int:
    yielded = client.trials(sweep.id, filter="reason == 'yielded'").page(limit=20).items
    assert {trial.state for trial in yielded} <= {TrialState.PAUSED}
    return len(yielded)


def check_whole(client: Client, sweep: SweepRecord, steps: int) -> None:
    """Every trial completed, with every step of an unbroken training once."""
    assert client.wait(sweep.id, poll=0.2).state is SweepState.COMPLETED
    for trial in client.trials(sweep.id):
        assert trial.state is TrialState.COMPLETED
        reports = [(r.step, r.values["score"]) for r in client.reports(trial.id)]
        x = trial.parameters["x"]
        assert reports == [(step, x * 100 + step) for step in range(1, steps + 1)]


def test_a_paused_sweep_frees_the_cluster_and_goes_on_from_its_states(
    service: ServiceProcess, ray_cluster: RayCluster
) -> None:
    client = service.start()
    sweep = submit(client, trials=4, steps=60)
    wait_for(lambda: running(client, sweep) == 4, "four running trials")
    assert client.pause(sweep.id).state is SweepState.RUNNING
    wait_for(lambda: client.sweep(sweep.id).state is SweepState.PAUSED, "the pause")
    wait_for(lambda: not trial_actors(sweep.id, ray_cluster.environment), "actors' end")
    paused = {t.index: t.step or 0 for t in client.trials(sweep.id, filter="state == 'paused'")}
    assert len(paused) == 4
    assert client.resume(sweep.id).state is SweepState.QUEUED
    check_whole(client, sweep, 60)
    kinds = [event.kind for event in client.audit(sweep.id)]
    assert [k for k in kinds if k.startswith("sweep.")] == [
        "sweep.created",
        "sweep.pause_asked",
        "sweep.paused",
        "sweep.resumed",
        "sweep.completed",
    ]
    assert client.sweep(sweep.id).used.trial_steps >= 4 * 60


def test_limits_trials_and_retries_reach_a_running_sweep(
    service: ServiceProcess, tmp_path: Path
) -> None:
    client = service.start()
    sweep = submit(client, trials=6, steps=40, max_concurrent=1)
    wait_for(lambda: running(client, sweep) == 1, "a running trial")
    client.edit(sweep.id, {"max_concurrent": 4, "add": {"grid": {"x": [6]}}})
    wait_for(lambda: running(client, sweep) == 4, "four running trials")
    assert client.sweep(sweep.id).num_trials == 7
    check_whole(client, sweep, 40)
    parameters = {"mood": {"grid": ["fine", "once"]}, "folder": str(tmp_path)}
    moody = client.submit(spec("moody", parameters=parameters, max_failures=0))
    assert client.wait(moody.id, poll=0.2).trials[TrialState.FAILED] == 1
    assert client.retry(moody.id).state is SweepState.QUEUED
    assert client.wait(moody.id, poll=0.2).trials[TrialState.COMPLETED] == 2


def test_a_sweep_of_higher_priority_takes_the_places_of_a_lower_one(
    service: ServiceProcess,
) -> None:
    """On eight CPUs, all of which the higher one needs: no process of the lower one may stay."""
    client = service.start()
    low = submit(client, trials=4, steps=150, resources={"cpu": 2}, reuse_actors=True)
    wait_for(lambda: running(client, low) == 4, "a full cluster")
    high = submit(client, trials=1, steps=20, resources={"cpu": 8}, priority=1)
    wait_for(lambda: client.sweep(low.id).places == 0, "no places for the lower sweep")
    wait_for(lambda: made_room(client, low) == 4, "trials that made room")
    check_whole(client, high, 20)
    check_whole(client, low, 150)
    assert client.sweep(low.id).epoch == 1


def test_equal_sweeps_share_the_cluster_by_weight(service: ServiceProcess) -> None:
    client = service.start()
    first = submit(client, trials=4, steps=150, resources={"cpu": 2})
    wait_for(lambda: running(client, first) == 4, "a full cluster")
    second = submit(client, trials=5, steps=20, resources={"cpu": 2}, weight=3)
    wait_for(lambda: client.sweep(first.id).places == 1, "a quarter of the cluster")
    assert client.sweep(second.id).places == 3
    wait_for(lambda: made_room(client, first) >= 1, "a trial that made room")
    check_whole(client, second, 20)
    check_whole(client, first, 150)


def test_a_budget_ends_a_sweep_cleanly(service: ServiceProcess) -> None:
    client = service.start()
    sweep = submit(client, trials=4, steps=500, budget={"trial_steps": 40})
    ended = client.wait(sweep.id, poll=0.2)
    assert ended.state is SweepState.COMPLETED
    assert "of 40 trial-steps used" in (ended.reason or "")
    assert ended.trials[TrialState.STOPPED] >= 1
    assert ended.used.trial_steps >= 40
