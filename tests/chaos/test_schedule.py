"""Faults at random, one after another, while sweeps run: each sweep ends whole."""

import os
import random
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from sweep.records import SweepRecord
from sweep.states import TrialState
from tests.chaos.conftest import Note
from tests.chaos.deployment import Deployment
from tests.chaos.faults import REPEATABLE, seconds_to_recover
from tests.chaos.runs import TRIALS, Ends, Outcome, Recovery, check_whole, lost_rows, submit
from tests.integration.service_process import wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FAULTS = 20
SEED = int(os.environ.get("CHAOS_SEED") or 20)
LONGEST_PAUSE_S = 1.5


@pytest.mark.timeout(1_800)
def test_sweeps_outlive_faults_at_random(
    deployment: Deployment, engine: Engine, calm: Ends, note: Note
) -> None:
    print(f"CHAOS_SEED={SEED}")
    chaos = random.Random(SEED)
    sweeps: list[SweepRecord] = []
    took = []
    for number in range(FAULTS):
        sweep = with_much_to_do(deployment, sweeps, number)
        kind = chaos.choice(REPEATABLE)
        pause = chaos.uniform(0, LONGEST_PAUSE_S)
        print(f"{number}: {kind.__name__} {pause:.1f} s after a report of {sweep.id}", flush=True)
        wait_for_a_report(engine, sweep)
        time.sleep(pause)
        recovery = Recovery(engine, sweep.id)
        took.append(seconds_to_recover(kind(deployment, sweep.id), recovery, recovery.some))
        deployment.wait_until_well()
    ends = [check_whole(deployment, sweep) for sweep in sweeps]
    lost = sum(lost_rows(engine, sweep.id) for sweep in sweeps)
    name = f"{FAULTS} at random (CHAOS_SEED={SEED}), the longest"
    note(Outcome(name, max(took), lost))
    assert ends == [calm] * len(sweeps)


def with_much_to_do(deployment: Deployment, sweeps: list[SweepRecord], number: int) -> SweepRecord:
    """The sweep that was submitted last, or a further one when that is half over."""
    if sweeps:
        counts = deployment.client.sweep(sweeps[-1].id).trials
        if counts[TrialState.COMPLETED] <= TRIALS // 3:
            return sweeps[-1]
    sweeps.append(submit(deployment.client, f"random {number}"))
    return sweeps[-1]


def wait_for_a_report(engine: Engine, sweep: SweepRecord) -> None:
    recovery = Recovery(engine, sweep.id)
    recovery.begin(datetime.now(UTC))
    wait_for(recovery.some, "a report")
