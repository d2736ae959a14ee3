"""Packs on a real Ray cluster: the same results, and nothing lost when processes die."""

from typing import Any

import pytest

import studies
from sweep.client import Client
from sweep.loading import load_yaml
from sweep.records import SweepRecord, TrialRecord
from sweep.states import SweepState, TrialState
from tests.integration.service_process import ServiceProcess, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def quickstart(**fields: Any) -> dict[str, Any]:
    spec: dict[str, Any] = load_yaml(studies.read("arithmetic-quickstart"))
    return {**spec, **fields}


def finished(client: Client, spec: dict[str, Any]) -> tuple[SweepRecord, list[TrialRecord]]:
    sweep = client.submit(spec)
    sweep = client.wait(sweep.id, poll=0.2)
    assert sweep.state is SweepState.COMPLETED, sweep.reason
    return sweep, list(client.trials(sweep.id))


@pytest.mark.long
def test_packed_and_alone_agree_to_sampling_noise(service: ServiceProcess) -> None:
    """Fixed seeds; without early stopping, so that every training is compared to its end."""
    client = service.start()
    fields = {
        "early_stopping": {"type": "none", "max_t": 200},
        "replicates": 1,
        "metric": {"name": "accuracy", "mode": "max"},
    }
    _, packed = finished(client, quickstart(**fields))
    _, alone = finished(client, quickstart(pack="off", **fields))
    assert all(trial.pack is not None for trial in packed)
    assert all(trial.pack is None for trial in alone)
    for ours, theirs in zip(packed, alone, strict=True):
        assert (ours.parameters, ours.seed) == (theirs.parameters, theirs.seed)
        assert ours.metrics["loss"] == pytest.approx(theirs.metrics["loss"], rel=0.02)
        assert ours.metrics["accuracy"] == pytest.approx(theirs.metrics["accuracy"], abs=0.02)
        first, second = (list(client.reports(trial.id)) for trial in (ours, theirs))
        assert [r.step for r in first] == [r.step for r in second] == [100, 200]


def test_the_quickstart_needs_no_change_to_be_packed(service: ServiceProcess) -> None:
    client = service.start()
    sweep, trials = finished(client, quickstart())
    assert sweep.spec.pack is None
    assert 4 <= len({trial.pack for trial in trials}) <= 8
    best = {}
    for trial in trials:
        assert trial.best is not None
        key = (trial.parameters["task"], trial.parameters["network"]["type"])
        best[key] = max(best.get(key, 0.0), trial.best.value)
    assert best["logical_xor", "multiply"] > 0.9
    assert best["logical_xor", "multiply_simple"] < 0.5
    assert best["elementwise_mul", "multiply_simple"] > 0.99
    rungs = list(client.rungs(sweep.id))
    stopped = {trial.id for trial in trials if trial.state is TrialState.STOPPED}
    assert stopped == {rung.trial_id for rung in rungs if rung.decision == "stop"}


STEPS = 6_000


def long_one() -> dict[str, Any]:
    """Eight members that train for some seconds and never reach a target."""
    return {
        "name": "long",
        "trainable": "arithmetic",
        "metric": {"name": "accuracy", "mode": "max"},
        "parameters": {
            "task": "logical_xor",
            "dataset": "many_hot",
            "network": {"type": "dense", "depth": 2, "activation": "relu"},
            "lr": {"grid": [1e-5, 2e-5, 3e-5, 4e-5, 1e-4, 2e-4, 3e-4, 4e-4]},
            "batch_seed": 1,
        },
        "early_stopping": {"type": "none", "max_t": STEPS},
        "max_failures": 0,
    }


def check_whole(client: Client, sweep: SweepRecord) -> list[TrialRecord]:
    """Every trial completed, each report there once."""
    assert client.wait(sweep.id, poll=0.2).state is SweepState.COMPLETED
    trials = list(client.trials(sweep.id))
    for trial in trials:
        assert (trial.state, trial.reason) == (TrialState.COMPLETED, "max_t")
        steps = [report.step for report in client.reports(trial.id)]
        assert steps == list(range(100, STEPS + 1, 100))
    return trials


def saved(service: ServiceProcess, sweep: SweepRecord) -> bool:
    """Whether every trial has a state to go on from."""
    folders = service.home.glob(f"checkpoints/{sweep.id}/*")
    return sum(any(folder.glob("*.state")) for folder in folders) == 8


def test_a_killed_pack_goes_on_in_halves_from_its_states(service: ServiceProcess) -> None:
    client = service.start()
    sweep = client.submit({**long_one(), "pack": 8})
    wait_for(lambda: saved(service, sweep), "saved states")
    (actor,) = service.trial_actors()
    actor.kill()
    trials = check_whole(client, sweep)
    assert client.sweep(sweep.id).epoch == 1
    assert {trial.attempts for trial in trials} == {2}
    assert len({trial.pack for trial in trials}) == 2
