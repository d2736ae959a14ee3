"""The quickstart itself, a short one: packs of torch networks, struck in their middle."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Engine

import studies
from sweep.client import Client
from sweep.loading import load_yaml
from sweep.records import SweepRecord, TrialRecord
from sweep.states import FINAL_SWEEP_STATES, SweepState, TrialState
from tests.chaos.conftest import Note
from tests.chaos.deployment import Deployment
from tests.chaos.faults import DriverKilled, Fault, TrialKilled, seconds_to_recover
from tests.chaos.runs import Outcome, Recovery, check_nothing_left
from tests.integration.service_process import wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

STEPS = 400
_EVERY = 100
_END_WITHIN_S = 240.0


def submit(client: Client) -> SweepRecord:
    """Without early stopping, so that all that is trained is compared to its end."""
    spec: dict[str, Any] = load_yaml(studies.read("arithmetic-quickstart"))
    spec["metric"] = {"name": "accuracy", "mode": "max"}
    spec["early_stopping"] = {"type": "none", "max_t": STEPS}
    return client.submit({**spec, "max_failures": 20})


def whole(at: Deployment, sweep: SweepRecord) -> Mapping[int, TrialRecord]:
    """Its trials, all completed, each report there once, and nothing left behind."""
    client = at.client
    wait_for(
        lambda: client.sweep(sweep.id).state in FINAL_SWEEP_STATES, "the end", timeout=_END_WITHIN_S
    )
    assert client.sweep(sweep.id).state is SweepState.COMPLETED
    trials = {trial.index: trial for trial in client.trials(sweep.id)}
    for trial in trials.values():
        assert (trial.state, trial.reason) == (TrialState.COMPLETED, "max_t")
        steps = [report.step for report in client.reports(trial.id)]
        assert steps == list(range(_EVERY, STEPS + 1, _EVERY))
    check_nothing_left(at)
    return trials


def in_the_middle(client: Client, sweep: SweepRecord) -> bool:
    """Whether most trials have reported, and few have ended."""
    trials = list(client.trials(sweep.id))
    ended = sum(trial.state is TrialState.COMPLETED for trial in trials)
    return sum(trial.reports > 0 for trial in trials) > len(trials) / 4 and ended < len(trials) / 2


@pytest.fixture(scope="module")
def undisturbed(deployment: Deployment) -> Mapping[int, TrialRecord]:
    return whole(deployment, submit(deployment.client))


@pytest.mark.parametrize("kind", [DriverKilled, TrialKilled])
def test_the_quickstart_outlives_it(
    kind: type[Fault],
    deployment: Deployment,
    engine: Engine,
    undisturbed: Mapping[int, TrialRecord],
    note: Note,
) -> None:
    sweep = submit(deployment.client)
    wait_for(lambda: in_the_middle(deployment.client, sweep), "packs in training")
    fault = kind(deployment, sweep.id)
    recovery = Recovery(engine, sweep.id)
    took = seconds_to_recover(fault, recovery, recovery.all)
    trials = whole(deployment, sweep)
    assert max(trial.attempts for trial in trials.values()) > 1
    expected = len(trials) * STEPS // _EVERY
    note(
        Outcome(
            f"the quickstart: {fault.name}",
            took,
            expected - sum(trial.reports for trial in trials.values()),
        )
    )
    for index, trial in trials.items():
        theirs = undisturbed[index].metrics
        assert trial.parameters == undisturbed[index].parameters
        assert trial.metrics["loss"] == pytest.approx(theirs["loss"], rel=0.02)
        assert trial.metrics["accuracy"] == pytest.approx(theirs["accuracy"], abs=0.02)
