"""Each fault by itself, in the middle of a sweep: it ends whole, every row once."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.chaos.conftest import Note
from tests.chaos.deployment import Deployment
from tests.chaos.faults import REPEATABLE, Fault, SpoolDiskFull, no_small_disk, seconds_to_recover
from tests.chaos.runs import (
    Ends,
    Outcome,
    Recovery,
    check_whole,
    in_the_middle,
    lost_rows,
    submit,
)
from tests.integration.service_process import wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.mark.parametrize("kind", REPEATABLE, ids=lambda kind: kind.__name__)
def test_a_sweep_outlives_it(
    kind: type[Fault], deployment: Deployment, engine: Engine, calm: Ends, note: Note
) -> None:
    assert outlived(kind, deployment, engine, note) == calm


def test_a_sweep_outlives_a_full_disk(
    deployment: Deployment, engine: Engine, calm: Ends, note: Note, tmp_path: Path
) -> None:
    reason = no_small_disk(tmp_path)
    if reason is not None:
        pytest.skip(reason)
    assert outlived(SpoolDiskFull, deployment, engine, note) == calm


def outlived(kind: type[Fault], deployment: Deployment, engine: Engine, note: Note) -> Ends:
    """How the trials of a sweep end that is struck in its middle."""
    sweep = submit(deployment.client, kind.__name__)
    wait_for(lambda: in_the_middle(deployment.client, sweep.id), "ended and running trials")
    fault = kind(deployment, sweep.id)
    recovery = Recovery(engine, sweep.id)
    try:
        took = seconds_to_recover(fault, recovery, recovery.all)
        deployment.wait_until_well()
        fault.check()
        ends = check_whole(deployment, sweep)
    finally:
        fault.clean()
    note(Outcome(fault.name, took, lost_rows(engine, sweep.id)))
    return ends
