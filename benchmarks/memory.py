"""Memory of the driver and the API server over a long sweep of trials that do nothing.

Resident memory is read every half second; the slope of the line that fits best after the
first fifth of the trials is what a thousand more trials cost. `--trials` sets how many.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.growth import slope
from benchmarks.noop import CONCURRENT, serving
from service.ray_head import RayHead, RayResources
from sweep.client import Client
from sweep.records import SweepRecord
from sweep.states import FINAL_SWEEP_STATES, FINAL_TRIAL_STATES, SweepState

TRIALS = 4_000
WARM_UP = 0.2
_EVERY_S = 0.5
_PATIENCE_S = 300.0


@dataclass(frozen=True)
class Sample:
    """Resident megabytes when so many trials had ended."""

    ended: int
    driver: float
    server: float


def main(argv: Sequence[str] = ()) -> None:
    """Run the sweep and print the slopes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        head = RayHead(Path(folder), RayResources(cpus=CONCURRENT))
        head.start()
        try:
            began = time.perf_counter()
            samples = _sampled_sweep({**os.environ, **head.environment}, options.trials)
            took = time.perf_counter() - began
        finally:
            head.stop()
    print(f"{options.trials:,} trials in {took:.0f} s; resident MB as trials ended:")
    for sample in samples[:: max(1, len(samples) // 10)]:
        print(f"  {sample.ended:9,}  driver {sample.driver:7.1f}  server {sample.server:7.1f}")
    warm = [sample for sample in samples if sample.ended >= WARM_UP * options.trials]
    ended = [sample.ended / 1000 for sample in warm]
    for name, values in (
        ("driver", [sample.driver for sample in warm]),
        ("server", [sample.server for sample in warm]),
    ):
        print(f"{name}: {slope(ended, values):6.3f} MB per 1,000 trials after warm-up")


def _sampled_sweep(environment: dict[str, str], trials: int) -> list[Sample]:
    with serving(environment) as url, Client(url, timeout=_PATIENCE_S) as client:
        sweep = client.submit(
            {
                "name": "memory",
                "trainable": "noop",
                "metric": {"name": "value", "mode": "max"},
                "parameters": {"x": {"uniform": {"min": 0, "max": 1}}},
                "search": {"type": "random", "num_trials": trials},
                "max_concurrent": CONCURRENT,
            }
        )
        server = _one_of(psutil.Process(), "service")
        samples: list[Sample] = []
        while (sweep := client.sweep(sweep.id)).state not in FINAL_SWEEP_STATES:
            ended = _ended(sweep)
            if ended:
                driver = _one_of(server, "workers.driver")
                samples.append(Sample(ended, _resident(driver), _resident(server)))
            time.sleep(_EVERY_S)
        assert sweep.state is SweepState.COMPLETED
        return samples


def _ended(sweep: SweepRecord) -> int:
    return sum(count for state, count in sweep.trials.items() if state in FINAL_TRIAL_STATES)


def _one_of(parent: psutil.Process, module: str) -> psutil.Process:
    """The child that runs a module."""
    (found,) = [child for child in parent.children() if module in child.cmdline()]
    return found


def _resident(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


if __name__ == "__main__":
    main(sys.argv[1:])
