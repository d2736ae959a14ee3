"""Assignments in the terminal: a row each, its mean over replicates and the 95% interval."""

import json
from typing import Any

import pytest

from service.store.interface import Store
from sweep.client import Client
from sweep.states import TrialState
from tests.unit.api.test_sweeps import SPEC
from tests.unit.cli.test_commands import run
from tests.unit.store.builders import drive, moved, reported, send, started


@pytest.fixture
def sweep_id(client: Client, store: Store) -> str:
    parameters = {"x": {"grid": [1.0, 2.0]}, "kind": "a"}
    spec: dict[str, Any] = {**SPEC, "parameters": parameters, "replicates": 3}
    spec["early_stopping"] = {"type": "none", "max_t": 9}
    sweep = client.submit(spec)
    driver = drive(store, sweep.id)
    for index, score in enumerate((0.1, 0.2, 0.3, 0.7, 0.9, 0.8)):
        send(store, driver, started(index), reported((1, score), trial=index))
        send(store, driver, moved(TrialState.COMPLETED, trial=index))
    return sweep.id


def test_assignments_are_listed_by_their_means(sweep_id: str) -> None:
    rows = json.loads(run("results", sweep_id, "--replicates", "mean", "--json").output)
    assert [(r["assignment"], r["parameters"]["x"], r["count"]) for r in rows] == [
        (1, 2.0, 3),
        (0, 1.0, 3),
    ]
    assert rows[0]["mean"] == pytest.approx(0.8)
    # by hand: a standard deviation of 0.1, and Student's t of 4.302653 with 2 degrees
    assert (rows[0]["low"], rows[0]["high"]) == pytest.approx((0.5515862, 1.0484138))
    assert rows[0]["best_trial"] == f"{sweep_id}-4"


def test_assignments_are_a_table_a_csv_or_a_count(sweep_id: str) -> None:
    mean = ("results", sweep_id, "--replicates", "mean")
    shown = run(*mean, "--limit", "1").output
    assert "0.5516 … 1.048" in shown
    assert "3 completed" in shown
    lines = run(*mean, "--format", "csv").output.splitlines()
    assert lines[0] == "assignment,parameters,trials,count,mean,low,high,best_trial"
    assert len(lines) == 3
    assert run(*mean, "--count", "--filter", "parameters.x > 1").output == "1\n"
    refused = run(*mean, "--sort", "best")
    assert refused.exit_code == 2
