"""Three hosts with their own addresses; one is cut off, and the sweep still ends whole."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.postgres import start_postgres
from sweep.records import SweepRecord, TrialRecord
from sweep.states import SweepState, TrialState
from tests.cluster import hosts
from tests.cluster.deployment import CPUS, Deployment, deployed
from tests.integration.service_process import wait_for
from tests.integration.test_sweeps import spec

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

TRIALS = 24
STEPS = 25


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with (
        start_postgres(tmp_path / "postgres") as url,
        hosts.network(["alpha", "beta", "gamma"], folder=tmp_path / "hosts") as (network, all_),
        deployed(network, all_, database_url=url, folder=tmp_path) as deployment,
    ):
        yield deployment


def submit(deployment: Deployment) -> SweepRecord:
    parameters = {"x": {"grid": list(range(TRIALS))}, "steps": STEPS, "pace": 0.15}
    return deployment.client.submit(spec("steady", parameters=parameters, reuse_actors=True))


def running_on(deployment: Deployment, sweep: SweepRecord) -> dict[str, list[TrialRecord]]:
    """The running trials that have reported, by their host's name."""
    running = deployment.client.trials(sweep.id, filter="state == 'running'")
    names = {host.name: host for host in deployment.hosts}
    found: dict[str, list[TrialRecord]] = {name: [] for name in names}
    for trial in running:
        for name, host in names.items():
            if trial.reports and trial.node and (name in trial.node or host.address in trial.node):
                found[name].append(trial)
    return found


def check_whole(deployment: Deployment, sweep: SweepRecord) -> None:
    """Every trial completed, each of its reports there once, with the values of any run."""
    client = deployment.client
    assert client.wait(sweep.id, poll=0.2).state is SweepState.COMPLETED
    trials = list(client.trials(sweep.id))
    assert len(trials) == TRIALS
    assert Counter(trial.state for trial in trials) == {TrialState.COMPLETED: TRIALS}
    for trial in trials:
        reports = [(report.step, report.values["score"]) for report in client.reports(trial.id)]
        x = trial.parameters["x"]
        assert reports == [(step, x * 100 + step) for step in range(1, STEPS + 1)]


def test_a_sweep_outlives_a_host_that_is_cut_off_and_an_api_server(deployment: Deployment) -> None:
    _, _, third = deployment.hosts
    first_api, _ = deployment.apis
    sweep = submit(deployment)
    wait_for(lambda: all(running_on(deployment, sweep).values()), "trials on all three hosts")
    lost = {trial.id for trial in running_on(deployment, sweep)[third.name]}
    assert 0 < len(lost) <= CPUS
    deployment.network.cut(third)
    first_api.kill()
    check_whole(deployment, sweep)
    moved = [trial for trial in deployment.client.trials(sweep.id) if trial.id in lost]
    assert all(trial.attempts > 1 for trial in moved)
    assert not [t for t in moved if third.name in str(t.node) or third.address in str(t.node)]
