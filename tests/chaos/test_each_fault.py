"""Each fault by itself, in the middle of a sweep: it ends whole, every row once."""

import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from tests.chaos.conftest import Note
from tests.chaos.deployment import Deployment
from tests.chaos.faults import REPEATABLE, Fault
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
    sweep = submit(deployment.client, kind.__name__)
    wait_for(lambda: in_the_middle(deployment.client, sweep.id), "ended and running trials")
    fault = kind(deployment, sweep.id)
    recovery = Recovery(engine, sweep.id)
    fault.strike()
    wait_for(fault.felt, "what the fault stops to stop")
    recovery.begin(datetime.now(UTC))
    wait_for(fault.passed, "the fault's length")
    fault.undo()
    wait_for(recovery.all, "reports of all trials that had trained")
    took = time.monotonic() - fault.struck_at
    deployment.wait_until_well()
    fault.check()
    ends = check_whole(deployment, sweep)
    note(Outcome(fault.name, took, lost_rows(engine, sweep.id)))
    assert ends == calm
