"""Model-based search on real Ray: what kills its driver changes nothing of what it tries."""

from typing import Any

import pytest

from sweep.client import Client
from sweep.states import SweepState, TrialState
from tests.integration.service_process import ServiceProcess, wait_for
from tests.integration.test_sweeps import spec

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long]

TRIALS = 12
SEARCH = {"num_trials": TRIALS, "startup_trials": 4, "parallel": 2, "seed": 5}


def searched(kind: str) -> dict[str, Any]:
    parameters = {
        "x": {"uniform": {"min": -1, "max": 1}},
        "y": {"uniform": {"min": 0, "max": 1}},  # CMA-ES moves in two dimensions or more
        "kind": {"choice": ["plain", "odd"]},
        "width": {"when": "kind == 'odd'", "lograndint": {"min": 1, "max": 64}},
        "steps": 4,
        "pace": 0.1,
    }
    return spec(
        "steady",
        parameters=parameters,
        search={"type": kind, **SEARCH, **({"population": 4} if kind == "nsga2" else {})},
        exclude=["x > 0.5 and kind == 'odd'"],
        max_concurrent=2,
        reuse_actors=True,
    )


def tried(client: Client, sweep_id: str) -> list[tuple[int, int, Any]]:
    """What was tried, once all of it has ended."""
    assert client.wait(sweep_id, poll=0.2).state is SweepState.COMPLETED
    trials = list(client.trials(sweep_id))
    assert {trial.state for trial in trials} == {TrialState.COMPLETED}
    return [(trial.assignment, trial.seed, dict(trial.parameters)) for trial in trials]


@pytest.mark.parametrize("kind", ["tpe", "cmaes", "nsga2"])
def test_a_search_whose_driver_is_killed_twice_tries_the_same(
    service: ServiceProcess, kind: str
) -> None:
    client = service.start()
    unbroken = tried(client, client.submit(searched(kind)).id)
    assert [assignment for assignment, _, _ in unbroken] == list(range(TRIALS))
    sweep = client.submit(searched(kind))
    for epoch, enough in ((1, 5), (2, 8)):
        wait_for(
            lambda enough=enough: client.sweep(sweep.id).trials[TrialState.COMPLETED] >= enough,
            f"{enough} trials",
        )
        (driver,) = service.drivers(sweep.id)
        driver.kill()
        wait_for(lambda epoch=epoch: client.sweep(sweep.id).epoch > epoch, "a successor")
    assert tried(client, sweep.id) == unbroken
    print(f"the same {TRIALS} trials by {client.sweep(sweep.id).epoch} drivers and by one")
