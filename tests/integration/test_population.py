"""Population based training on a real Ray cluster, alone and past a killed driver."""

from itertools import pairwise
from typing import Any

import pytest

from sweep.client import Client
from sweep.states import SweepState, TrialState
from tests.integration.service_process import ServiceProcess, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long]


def submit(client: Client, **rule: Any) -> str:
    """Trials whose score is their `x` for the most part, and their step."""
    spec = {
        "name": "population",
        "trainable": "tests.integration.trainings:steady",
        "metric": {"name": "score", "mode": "max"},
        "parameters": {"x": {"uniform": {"min": 0, "max": 10}}, "steps": 12, "pace": 0.08},
        "search": {"type": "random", "num_trials": 4, "seed": 3},
        "early_stopping": {
            "type": "pbt",
            "interval": 4,
            "max_t": 12,
            "perturb": ["x"],
            **rule,
        },
        "resources": {"cpu": 1},
        "max_concurrent": 1,
        "reuse_actors": True,
    }
    return client.submit(spec).id


def test_a_population_outlives_its_driver_and_records_each_exploit_once(
    service: ServiceProcess,
) -> None:
    client = service.start()
    sweep_id = submit(client)
    exploits = client.audit(sweep_id, kind="trial.exploited")
    wait_for(lambda: exploits.page(limit=1).items, "an exploit")
    (driver,) = service.drivers(sweep_id)
    driver.kill()
    sweep = client.wait(sweep_id, poll=0.2)
    assert (sweep.state, sweep.epoch) == (SweepState.COMPLETED, 2)
    trials = list(client.trials(sweep_id))
    ends = {(t.state, t.reason, t.step) for t in trials}
    assert ends == {(TrialState.COMPLETED, "max_t", 12)}
    found = list(exploits)
    assert len({(e.trial_id, e.detail["step"]) for e in found}) == len(found) >= 1
    for trial in trials:
        mine = [e.detail for e in found if e.trial_id == trial.id]
        for before, after in pairwise(mine):
            assert after["old"] == before["parameters"]
        if mine:
            assert trial.parameters == mine[-1]["parameters"]
        for detail in mine:
            assert detail["value"] <= detail["donor_value"]
            assert 0 <= detail["parameters"]["x"] <= 10
        assert trial.metrics["score"] == pytest.approx(trial.parameters["x"] * 100 + 12)
