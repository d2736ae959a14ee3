"""A cluster of two real raylets: one that is bad, one that is killed."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from service.ray_head import RayHead, RayResources
from sweep.client import Client
from sweep.records import SweepRecord
from sweep.states import SweepState, TrialState
from tests.integration.service_process import ServiceProcess, wait_for
from tests.integration.test_sweeps import spec

pytestmark = [pytest.mark.ray, pytest.mark.slow]

STEPS = 20


class SecondNode:
    """Another raylet on this machine, as `ray start` would run it on another one."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                    f"--address={environment['RAY_ADDRESS']}",
                    "--num-cpus=2",
                    '--resources={"second": 1}',
                    "--disable-usage-stats",
                ],
                env={**os.environ, **environment, "TEST_NODE": "second"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill_raylet(self) -> None:
        """SIGKILL to the raylet alone."""
        raylets = [p for p in self._family() if p.name() == "raylet"]
        assert len(raylets) == 1
        raylets[0].kill()

    def stop(self) -> None:
        """End all of it."""
        family = self._family()
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(family, timeout=10)
        self._process.wait()

    def _family(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayHead]:
    started = RayHead(tmp_path_factory.mktemp("head"), RayResources(cpus=2))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def second(head: RayHead, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondNode]:
    node = SecondNode(head.environment, tmp_path_factory.mktemp("second") / "log")
    yield node
    node.stop()


@pytest.fixture
def client(home: Path, head: RayHead) -> Iterator[Client]:
    service = ServiceProcess(home, head.environment, SWEEP_LEASE_S="60")
    yield service.start()
    service.stop()


def parameters(trials: int, pace: float, **others: str) -> dict[str, object]:
    return {"x": {"grid": list(range(trials))}, "steps": STEPS, "pace": pace, **others}


def check_whole(client: Client, sweep: SweepRecord) -> SweepRecord:
    """Every trial completed, each of its reports there once, and none counted a failure."""
    ended = client.wait(sweep.id, poll=0.2)
    assert (ended.state, ended.reason) == (SweepState.COMPLETED, None)
    for trial in client.trials(sweep.id):
        assert trial.state is TrialState.COMPLETED
        reports = [(r.step, r.values["score"]) for r in client.reports(trial.id)]
        x = trial.parameters["x"]
        assert reports == [(step, x * 100 + step) for step in range(1, STEPS + 1)]
    return ended


def test_a_request_that_no_node_can_hold_is_said_until_one_joins(
    client: Client, head: RayHead, request: pytest.FixtureRequest
) -> None:
    resources = {"cpu": 1, "memory": 0.25, "custom": {"second": 1}}
    wanted = {"parameters": parameters(2, 0.2), "resources": resources}
    sweep = client.submit(spec("steady", **wanted))
    text = "waiting for 1 of 'second': the cluster has none"
    wait_for(lambda: client.sweep(sweep.id).waiting == text, text)
    request.getfixturevalue("second")
    wait_for(lambda: client.sweep(sweep.id).waiting is None, "the end of the wait")
    check_whole(client, sweep)


def test_a_node_on_which_trials_fail_in_a_row_is_excluded_for_the_sweep(
    client: Client, second: SecondNode
) -> None:
    # Each trial in a process of its own: the good node's would else soon train all of them.
    wanted = {"parameters": parameters(12, 0.05)}
    sweep = client.submit(spec("choosy", **wanted))
    ended = check_whole(client, sweep)
    ((node, reason),) = ended.excluded_nodes.items()
    assert reason.endswith(
        "3 trials in a row failed there; the last: OSError: the disk of this node is broken"
    )
    excluded = [e for e in client.audit(sweep.id) if e.kind == "node.excluded"]
    assert [event.detail for event in excluded] == [{"node": node, "reason": reason}]


def test_a_node_that_is_killed_costs_no_trial_and_no_report(
    client: Client, second: SecondNode, tmp_path: Path
) -> None:
    folder = tmp_path / "marks"
    folder.mkdir()
    wanted = {"parameters": parameters(16, 0.15, folder=str(folder)), "reuse_actors": True}
    sweep = client.submit(spec("marked", **wanted))

    def both_train() -> bool:
        trials = client.sweep(sweep.id).trials
        marks = {mark.name for mark in folder.iterdir()}
        return marks == {"first", "second"} and trials[TrialState.RUNNING] == 4

    wait_for(both_train, "trials on both nodes")
    second.kill_raylet()
    check_whole(client, sweep)
    kinds = [event.kind for event in client.audit(sweep.id)]
    assert not {"trial.failed", "trial.retried", "node.excluded"} & set(kinds)
    assert 2 in [trial.attempts for trial in client.trials(sweep.id)]
