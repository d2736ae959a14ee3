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
from tests.chaos.faults import REPEATABLE, Fault, seconds_to_recover
from tests.chaos.runs import TRIALS, Ends, Outcome, Recovery, check_whole, lost_rows, submit
from tests.integration.service_process import wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long]

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
    for number, kind in enumerate(drawn(chaos)):
        sweep = in_training(deployment, engine, sweeps, number)
        pause = chaos.uniform(0, LONGEST_PAUSE_S)
        print(f"{number}: {kind.__name__} {pause:.1f} s after a report of {sweep.id}", flush=True)
        time.sleep(pause)  # a moment at random, which nothing else stands for
        recovery = Recovery(engine, sweep.id)
        took.append(seconds_to_recover(kind(deployment, sweep.id), recovery, recovery.some))
        deployment.wait_until_well()
    ends = [check_whole(deployment, sweep) for sweep in sweeps]
    lost = sum(lost_rows(engine, sweep.id) for sweep in sweeps)
    name = f"{FAULTS} at random (CHAOS_SEED={SEED}), the longest"
    note(Outcome(name, max(took), lost))
    assert ends == [calm] * len(sweeps)


def drawn(chaos: random.Random) -> list[type[Fault]]:
    """Each kind at least twice, in any order."""
    kinds = [*REPEATABLE, *REPEATABLE]
    kinds += chaos.choices(REPEATABLE, k=FAULTS - len(kinds))
    chaos.shuffle(kinds)
    return kinds


def in_training(
    at: Deployment, engine: Engine, sweeps: list[SweepRecord], number: int
) -> SweepRecord:
    """A sweep that has just reported and has much left to do: the last one, or a further one."""
    while not sweeps or not trains(at, engine, sweeps[-1]):
        sweeps.append(submit(at.client, f"random {number}"))
    return sweeps[-1]


def trains(at: Deployment, engine: Engine, sweep: SweepRecord) -> bool:
    """Wait for the sweep's next report, or its end; whether it then has much left to do."""
    recovery = Recovery(engine, sweep.id)
    recovery.begin(datetime.now(UTC))
    wait_for(lambda: recovery.some() or completed(at, sweep) == TRIALS, "a report")
    return completed(at, sweep) <= TRIALS // 3  # what was told before that report is stored too


def completed(at: Deployment, sweep: SweepRecord) -> int:
    return at.client.sweep(sweep.id).trials[TrialState.COMPLETED]
