"""Whole sweeps on a real Ray cluster: REST in, SQL out."""

import csv
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sweep.records import Origin
from sweep.states import SweepState, TrialState
from tests.fixtures import RayCluster
from tests.integration.service_process import ServiceProcess, trial_actors, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def spec(function: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": function,
        "trainable": f"tests.integration.trainings:{function}",
        "metric": {"name": "score", "mode": "max"},
        "resources": {"cpu": 1},
        **fields,
    }


def test_failures_are_retried_recorded_and_told_apart(
    service: ServiceProcess, tmp_path: Path
) -> None:
    client = service.start()
    moods = ["fine", "raises", "once", "dies", "nan"]
    parameters = {"mood": {"grid": moods}, "folder": str(tmp_path)}
    sweep = client.submit(spec("moody", parameters=parameters, max_failures=1))
    sweep = client.wait(sweep.id, poll=0.2)
    assert sweep.state is SweepState.COMPLETED
    assert sweep.reason == "1 of 5 trials failed"
    trials = {trial.parameters["mood"]: trial for trial in client.trials(sweep.id)}
    found = {mood: (t.state, t.reason, t.attempts) for mood, t in trials.items()}
    assert found == {
        "fine": (TrialState.COMPLETED, "finished", 1),
        "raises": (TrialState.FAILED, "error", 2),
        "once": (TrialState.COMPLETED, "finished", 2),
        "dies": (TrialState.COMPLETED, "finished", 2),
        "nan": (TrialState.DIVERGED, "nonfinite", 1),
    }
    assert "always in a bad mood" in (trials["raises"].error or "")
    assert "only this once" in (trials["once"].error or "")
    assert "actor died" in (trials["dies"].error or "")
    assert trials["nan"].nonfinite == {"score": "nan"}
    for trial in trials.values():
        steps = [report.step for report in client.reports(trial.id)]
        assert steps == sorted(set(steps))


def test_a_trial_that_does_not_end_costs_its_process_and_no_other_trial(
    service: ServiceProcess,
) -> None:
    client = service.start()
    sweep = client.submit(
        spec(
            "stubborn",
            parameters={"x": {"grid": [1, 2, 3]}},
            early_stopping={"type": "none", "max_t": 1},
            max_concurrent=1,
            max_failures=0,
            reuse_actors=True,
        )
    )
    assert client.wait(sweep.id, poll=0.2).state is SweepState.COMPLETED
    ends = [(trial.state, trial.error) for trial in client.trials(sweep.id)]
    assert ends == [(TrialState.COMPLETED, None)] * 3


def test_missing_code_fails_without_retries(service: ServiceProcess) -> None:
    client = service.start()
    sweep = client.submit(spec("not_there", parameters={"x": {"grid": [1, 2]}}))
    sweep = client.wait(sweep.id, poll=0.2)
    assert (sweep.state, sweep.reason) == (SweepState.FAILED, "all 2 trials failed")
    for trial in client.trials(sweep.id):
        assert trial.attempts == 1
        assert "has no function 'not_there'" in (trial.error or "")


def test_the_documented_example_runs_as_a_sweep(service: ServiceProcess) -> None:
    client = service.start()
    sweep = client.submit(
        {
            "name": "quadratic",
            "trainable": "docs.examples.my_training:train",
            "metric": {"name": "loss", "mode": "min", "target": 1e-6},
            "parameters": {"lr": {"loguniform": {"min": 1e-3, "max": 0.9}}},
            "search": {"type": "sobol", "num_trials": 8, "seed": 1},
            "early_stopping": {"type": "asha", "grace_period": 10, "max_t": 100, "min_peers": 2},
            "reuse_actors": True,
        }
    )
    sweep = client.wait(sweep.id, poll=0.2)
    assert sweep.state is SweepState.COMPLETED
    trials = list(client.trials(sweep.id, sort="best"))
    assert trials[0].reason == "target"
    stopped = [t for t in trials if t.state is TrialState.STOPPED]
    rungs = list(client.rungs(sweep.id))
    assert {r.trial_id for r in rungs if r.decision == "stop"} == {t.id for t in stopped}
    for trial in stopped:
        assert trial.step in (10, 30, 90)


def test_halving_is_exact_pauses_and_trains_the_winner_again(service: ServiceProcess) -> None:
    client = service.start()
    rule = {
        "type": "halving",
        "grace_period": 2,
        "max_t": 6,
        "reduction_factor": 3,
        "group_by": ["side"],
        "restart_winner": {"max_t": 9},
    }
    parameters = {
        "side": {"grid": ["left", "right"]},
        "x": {"grid": [1, 2, 3]},
        **{"steps": 20, "pace": 0.01},
    }
    sweep = client.submit(
        spec("steady", parameters=parameters, early_stopping=rule, max_concurrent=2)
    )
    sweep = client.wait(sweep.id, poll=0.2)
    assert sweep.state is SweepState.COMPLETED
    trials = list(client.trials(sweep.id))
    ends = {(t.group, t.parameters["x"], t.origin): (t.state, t.step) for t in trials}
    for side in ("left", "right"):
        group = f'{{"side":"{side}"}}'
        assert ends[group, 1, Origin.SEARCH] == (TrialState.STOPPED, 2)
        assert ends[group, 2, Origin.SEARCH] == (TrialState.STOPPED, 2)
        assert ends[group, 3, Origin.SEARCH] == (TrialState.COMPLETED, 6)
        assert ends[group, 3, Origin.RESTART] == (TrialState.COMPLETED, 9)
    assert len(trials) == 8


def test_cancelling_ends_a_stuck_sweep_within_seconds_and_leaves_no_actor(
    service: ServiceProcess, ray_cluster: RayCluster
) -> None:
    client = service.start()
    sweep = client.submit(spec("stuck", parameters={"x": {"grid": [1, 2, 3]}}))
    wait_for(lambda: client.sweep(sweep.id).trials[TrialState.RUNNING] == 3, "running trials")
    assert client.cancel(sweep.id).state is SweepState.RUNNING
    wait_for(lambda: client.sweep(sweep.id).state is SweepState.CANCELLED, "the end", timeout=5)
    assert client.sweep(sweep.id).trials[TrialState.CANCELLED] == 3
    wait_for(lambda: not service.drivers(sweep.id), "the driver's end", timeout=10)
    wait_for(
        lambda: not trial_actors(sweep.id, ray_cluster.environment), "the actors' end", timeout=30
    )


def test_curl_alone_can_do_it(service: ServiceProcess, tmp_path: Path) -> None:
    url = service.start().url
    text = Path("studies/arithmetic-quickstart.yaml").read_text()
    text = text.replace("max_t: 3000", "max_t: 200").replace(
        "grace_period: 500", "grace_period: 100"
    )
    (tmp_path / "spec.yaml").write_text(text)

    def curl(*arguments: str) -> str:
        command = ["curl", "--silent", "--show-error", "--fail-with-body", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    posted = curl("--data-binary", f"@{tmp_path / 'spec.yaml'}", f"{url}/v1/sweeps")
    sweep_id = posted.split('"id":"')[1].split('"')[0]
    here = f"{url}/v1/sweeps/{sweep_id}"
    wait_for(lambda: '"state":"completed"' in curl(here).split('"spec"')[0], "completion")
    filtered = curl(
        "--get",
        *("--data-urlencode", "filter=parameters.network.type == 'multiply' and best > 0"),
        *("--data-urlencode", "sort=-best"),
        f"{here}/trials",
    )
    assert '"type":"multiply"' in filtered
    assert '"type":"dense"' not in filtered
    lines = curl(f"{here}/export?format=csv&layout=published").splitlines()
    assert lines[0] == (
        "task,dataset,network_type,network_depth,network_activation,"
        "accuracy_pct,accuracy,loss,lr,global_step,datetime"
    )
    rows = list(csv.reader(lines[1:]))
    assert len(rows) == 8
    assert len({tuple(row[:5]) for row in rows}) == 8


def test_priority_goes_first_and_no_more_than_the_limit_run(
    home: Path, ray_cluster: RayCluster
) -> None:
    service = ServiceProcess(home, ray_cluster.environment, SWEEP_MAX_RUNNING_SWEEPS="1")
    try:
        client = service.start()
        parameters = {"x": {"grid": [1]}, "steps": 3, "pace": 0.05}
        first = client.submit(spec("steady", parameters=parameters, priority=1))
        wait_for(lambda: client.sweep(first.id).state is not SweepState.QUEUED, "a start")
        low = client.submit(spec("steady", parameters=parameters))
        high = client.submit(spec("steady", parameters=parameters, priority=1))
        ended = [client.wait(sweep.id, poll=0.2) for sweep in (first, high, low)]
        starts = [sweep.started_at for sweep in ended]
        assert starts == sorted(s for s in starts if s is not None)
        for before, after in pairwise(ended):
            assert before.ended_at is not None
            assert after.started_at is not None
            assert before.ended_at <= after.started_at
    finally:
        service.stop()
