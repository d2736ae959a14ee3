"""Runs 40 no-op trials on Ray Tune as a driver does, and says how many Tune trials are left.

For `test_memory`, in a process of its own: Tune may run once in one. RAY_ADDRESS names the
cluster.
"""

import gc
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import ray
from ray.tune.experiment import Trial

from sweep.rows import planned_row, to_task
from sweep.space import Space
from sweep.spec import Resources, parse_spec
from sweep.wire import Assignment
from workers.driver.breaker import Breaker
from workers.driver.core import SweepCore
from workers.driver.nodes import request_of
from workers.driver.running import RunningSweep
from workers.driver.tuning import run_on_tune

TRIALS = 40


def now() -> datetime:
    return datetime.now(UTC)


class CountingSweep(RunningSweep):
    """Counts Tune's trials when the last of the sweep has ended."""

    most_ended = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        is_done = super().done
        if is_done:
            kept = [o for o in gc.get_objects() if isinstance(o, Trial) and o.is_finished()]
            self.most_ended = max(self.most_ended, len(kept))
        return is_done


def main() -> None:
    spec = parse_spec(
        {
            "name": "kept",
            "trainable": "noop",
            "metric": {"name": "value", "mode": "max"},
            "parameters": {"x": {"grid": [float(i) for i in range(TRIALS)]}},
            "max_concurrent": 2,
        }
    )
    tasks = [to_task(planned_row(trial, spec, now()), "kept") for trial in Space(spec).trials()]
    assignment = Assignment(
        sweep_id="kept",
        epoch=1,
        spec=spec,
        code="workers.trainables.noop_train:train",
        resources=Resources(),
        reuse_actors=True,
        max_concurrent=2,
        lease_s=30,
        checkpoint_root=str(Path.cwd()),
    )
    breaker = Breaker(request_of(assignment.resources), {})
    core = SweepCore(spec, tasks, (), max_concurrent=2, now=now(), breaker=breaker)
    sweep = CountingSweep(core, assignment, clock=now, emit=lambda messages: None)
    ray.init(namespace="kept", log_to_driver=False, logging_level="ERROR")
    run_on_tune(sweep, settle=lambda: None, left=lambda: None)
    sys.stdout.write(f"LEFT {sweep.most_ended} DONE {sweep.done}\n")
    sys.stdout.flush()
    os._exit(0)  # as a driver ends: without Tune's tidying up


if __name__ == "__main__":
    main()
