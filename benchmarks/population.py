"""`python -m benchmarks.population`: population based training against random search.

The problem: a quadratic whose gradients are noisy. A large learning rate is fast and then
cannot settle, a small one settles and is slow, so a schedule beats every constant. Both
searches train the same number of trials for the same number of steps, through the
project's own driver in one process, and draw from the same distribution; only the rule
differs. A third side takes states over and explores nothing, to tell the worth of schedules
from that of picking lucky states. The script prints the best final losses by
seed and paired sign-flip tests.
"""

import argparse
import math
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import permutation_test

from sweep.run import Run
from sweep.states import TrialState
from sweep.submission import read_submission
from workers.local import Options, run

STEPS = 400
INTERVAL = 20
TRIALS = 12
REPORT_EVERY = 10
_PBT = {"type": "pbt", "interval": INTERVAL}
RULES: dict[str, dict[str, Any]] = {
    "random search": {"type": "none"},
    "copies alone": {**_PBT, "resample_probability": 0.0, "perturb": {"lr": {"factors": [1.0]}}},
    "population": {**_PBT, "perturb": ["lr"]},
}
"""`copies alone` takes states and learning rates over and explores nothing."""

_CURVATURES = (1.0, 3.0, 10.0)
_NOISE = 1.0
_FLIPS = 100_000


def noisy_quadratic(params: dict[str, Any], run: Run) -> None:
    """Descend along noisy gradients; report the loss without noise."""
    state = run.restore() or {"step": 0, "theta": [3.0] * len(_CURVATURES)}
    theta = list(state["theta"])
    for step in range(state["step"] + 1, STEPS + 1):
        noise = random.Random(f"{run.seed}/{step}")
        for i, curvature in enumerate(_CURVATURES):
            slope = curvature * theta[i] + noise.gauss(0, _NOISE)
            theta[i] = max(-1e6, min(1e6, theta[i] - params["lr"] * slope))
        if step % REPORT_EVERY == 0:
            run.report(step, loss=loss_of(theta))
            run.save({"step": step, "theta": theta})


def loss_of(theta: list[float]) -> float:
    """The loss without noise."""
    return 0.5 * sum(c * t * t for c, t in zip(_CURVATURES, theta, strict=True))


@dataclass(frozen=True)
class Outcome:
    """What one sweep reached."""

    best: float
    """The lowest of its trials' losses at their last step."""
    steps: int
    exploits: int


def sweep_once(rule: dict[str, Any], seed: int, *, trials: int, steps: int = STEPS) -> Outcome:
    """Run one sweep to its end.

    Args:
        rule: the spec's early stopping.
        seed: the search's.
        trials: how many.
        steps: the step at which each is completed.
    """
    spec = {
        "name": "noisy-quadratic",
        "trainable": "benchmarks.population:noisy_quadratic",
        "metric": {"name": "loss", "mode": "min"},
        "parameters": {"lr": {"loguniform": {"min": 1e-4, "max": 0.19}}},
        "search": {"type": "random", "num_trials": trials, "seed": seed},
        "early_stopping": {"max_t": steps, **rule},
    }
    ledger = run(read_submission(spec, trainables={}, max_trials=trials), Options())
    rows = ledger.rows.values()
    if any(row.state is not TrialState.COMPLETED for row in rows):
        raise RuntimeError(f"trials did not end well: {[row.error for row in rows]}")
    losses = [row.last["loss"] for row in rows]
    best = min(loss for loss in losses if loss is not None)
    return Outcome(best, ledger.steps, ledger.exploits)


def sign_flip_test(differences: list[float]) -> float:
    """The chance of a mean at least this low when each sign is as likely as the other."""
    found = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        alternative="less",
        n_resamples=_FLIPS,
        random_state=0,
    )
    return float(found.pvalue)


def compared(name: str, ours: list[float], theirs: list[float]) -> str:
    """A line that says how the population's losses compare with another side's, by seed."""
    differences = [math.log(a) - math.log(b) for a, b in zip(ours, theirs, strict=True)]
    better = sum(d < 0 for d in differences)
    ratio = math.exp(statistics.fmean(differences))
    return (
        f"against {name}: better in {better} of {len(differences)} seeds, geometric mean of the "
        f"ratio of the losses {ratio:.3f}, paired sign-flip test on log losses, one-sided: "
        f"p = {sign_flip_test(differences):.5f}"
    )


def main(arguments: Sequence[str] = ()) -> None:
    """Compare over seeds and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=TRIALS)
    options = parser.parse_args(arguments)
    begun = time.perf_counter()
    losses: dict[str, list[float]] = {name: [] for name in RULES}
    print("seed  " + "  ".join(f"{name:>13}" for name in RULES) + "  exploits  trial-steps of each")
    for seed in range(options.seeds):
        found = {
            name: sweep_once(rule, seed, trials=options.trials) for name, rule in RULES.items()
        }
        for name, outcome in found.items():
            losses[name].append(outcome.best)
        print(
            f"{seed:4}  "
            + "  ".join(f"{outcome.best:13.5f}" for outcome in found.values())
            + f"  {found['population'].exploits:8}  "
            + " ".join(f"{outcome.steps:,}" for outcome in found.values()),
            flush=True,
        )
    ours = losses.pop("population")
    for name, theirs in losses.items():
        print(compared(name, ours, theirs))
    print(f"{time.perf_counter() - begun:.0f} s in all")


if __name__ == "__main__":
    main(sys.argv[1:])
