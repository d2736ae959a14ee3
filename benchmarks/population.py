"""`python -m benchmarks.population`: population based training against random search.

The problem: a quadratic whose gradients are noisy. A large learning rate is fast and then
cannot settle, a small one settles and is slow, so a schedule beats every constant. Both
searches train the same number of trials for the same number of steps, through the
project's own driver in one process, and draw from the same distribution; only the rule
differs. The script prints the best final losses by seed and a paired sign-flip test.
"""

import argparse
import math
import random
import statistics
import time
from dataclasses import dataclass
from typing import Any

from sweep.run import Run
from sweep.states import TrialState
from sweep.submission import read_submission
from workers.local import Options, run

STEPS = 400
INTERVAL = 20
TRIALS = 12
REPORT_EVERY = 10
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


def sign_flip_test(differences: list[float], *, seed: int = 0) -> float:
    """The chance of a mean at least this low when each sign is as likely as the other."""
    source = random.Random(seed)
    seen = sum(differences)
    low = sum(
        sum(d if source.random() < 0.5 else -d for d in differences) <= seen for _ in range(_FLIPS)
    )
    return (low + 1) / (_FLIPS + 1)


def main() -> None:
    """Compare over seeds and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=TRIALS)
    arguments = parser.parse_args()
    pbt = {"type": "pbt", "interval": INTERVAL, "perturb": ["lr"]}
    differences, begun = [], time.perf_counter()
    print("seed  random search  population  exploits  trial-steps (each)")
    for seed in range(arguments.seeds):
        plain = sweep_once({"type": "none"}, seed, trials=arguments.trials)
        trained = sweep_once(pbt, seed, trials=arguments.trials)
        differences.append(math.log(trained.best) - math.log(plain.best))
        print(
            f"{seed:4}  {plain.best:13.5f}  {trained.best:10.5f}  {trained.exploits:8}  "
            f"{plain.steps:,} {trained.steps:,}",
            flush=True,
        )
    better = sum(d < 0 for d in differences)
    ratio = math.exp(statistics.fmean(differences))
    print(f"population better in {better} of {len(differences)} seeds")
    print(f"geometric mean of the ratio of the losses: {ratio:.3f}")
    print(f"paired sign-flip test on log losses, one-sided: p = {sign_flip_test(differences):.5f}")
    print(f"{time.perf_counter() - begun:.0f} s in all")


if __name__ == "__main__":
    main()
