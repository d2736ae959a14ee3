"""`python -m benchmarks.searchers`: the service's searcher against Optuna's own loop.

Branin and Hartmann-6, from which the best of 100 trials is taken: proposed once by
`workers.driver.search` (`parallel: 1`), and once by `Study.optimize` with the same
sampler. One pair a seed; a one-sided Wilcoxon test and a paired t test say whether ours is
worse. The exit code is 1 when either does, at 5%. That neither does shows no more than that
so many seeds do not tell them apart: the 95% interval of the mean difference, for the t test,
says how much worse ours could be.
"""

import argparse
import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler
from scipy.stats import ttest_rel, wilcoxon

from sweep.space import Space
from sweep.spec import SweepSpec, parse_spec
from workers.driver.search.outcomes import Outcome, Seen
from workers.driver.search.searcher import Searcher

STARTUP = 10
ALPHA = 0.05

SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(n_startup_trials=STARTUP, seed=seed, multivariate=True),
    "cmaes": lambda seed: CmaEsSampler(n_startup_trials=STARTUP, seed=seed),
    "gp": lambda seed: GPSampler(n_startup_trials=STARTUP, seed=seed),
}

Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Problem:
    """A function to be minimised, with a known minimum."""

    name: str
    ranges: Ranges
    minimum: float
    value: Callable[[Mapping[str, float]], float]


def branin(p: Mapping[str, float]) -> float:
    """Branin's function (Dixon and Szegő 1978): three equal minima."""
    x, y = p["x1"], p["x2"]
    bowl = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(p: Mapping[str, float]) -> float:
    """Hartmann's function of six variables (Dixon and Szegő 1978): four minima."""
    x = np.array([p[f"x{i}"] for i in range(1, 7)])
    return -float(_ALPHA @ np.exp(-(_A * (x - _P) ** 2).sum(axis=1)))


PROBLEMS = (
    Problem("Branin", {"x1": (-5, 10), "x2": (0, 15)}, 0.397887, branin),
    Problem("Hartmann-6", {f"x{i}": (0, 1) for i in range(1, 7)}, -3.322368, hartmann6),
)


def spec_of(problem: Problem, search: str, *, trials: int, seed: int) -> SweepSpec:
    """The problem as a sweep."""
    ranges = problem.ranges.items()
    return parse_spec(
        {
            "name": problem.name,
            "trainable": "noop",
            "metric": {"name": "value", "mode": "min"},
            "parameters": {k: {"uniform": {"min": low, "max": high}} for k, (low, high) in ranges},
            "search": {
                "type": search,
                "num_trials": trials,
                "startup_trials": STARTUP,
                "parallel": 1,
                "seed": seed,
            },
        }
    )


def ours(problem: Problem, search: str, *, trials: int, seed: int) -> float:
    """The best value of a sweep's trials."""
    spec = spec_of(problem, search, trials=trials, seed=seed)
    searcher, seen = Searcher(spec), []

    def evaluate(parameters: Mapping[str, Any]) -> None:
        seen.append(Seen(parameters, Outcome("complete", (problem.value(parameters),), 1)))

    for trial in Space(spec).trials():
        evaluate(trial.parameters)
    while searcher.is_due(seen):
        evaluate(searcher.propose(seen))
    return min(one.outcome.values[0] for one in seen if one.outcome is not None)


def optunas(problem: Problem, search: str, *, trials: int, seed: int) -> float:
    """The best value of a study of Optuna's."""

    def objective(trial: optuna.Trial) -> float:
        ranges = problem.ranges.items()
        return problem.value({k: trial.suggest_float(k, low, high) for k, (low, high) in ranges})

    study = optuna.create_study(sampler=SAMPLERS[search](seed))
    study.optimize(objective, n_trials=trials)
    return float(study.best_value)


def judge(name: str, mine: Sequence[float], theirs: Sequence[float], minimum: float) -> bool:
    """Print how two lists of best values compare; whether mine are not worse."""
    a, b = np.array(mine) - minimum, np.array(theirs) - minimum
    rank = float(wilcoxon(a, b, alternative="greater").pvalue)
    mean = float(ttest_rel(a, b, alternative="greater").pvalue)
    low, high = ttest_rel(a, b).confidence_interval(0.95)
    worse = min(rank, mean) < ALPHA
    print(
        f"{name:20} regret {a.mean():.4g} (ours) {b.mean():.4g} (Optuna)   "
        f"better on {int((a < b).sum())} of {len(a)}   "
        f"mean difference {np.mean(a - b):.4g}, 95% interval {low:.4g} to {high:.4g}   "
        f"p that ours is worse by chance alone: Wilcoxon {rank:.3f}, t {mean:.3f}   "
        f"{'WORSE' if worse else 'not worse'}",
        flush=True,
    )
    return not worse


def main(arguments: Sequence[str] = ()) -> int:
    """Compare; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--search", choices=sorted(SAMPLERS), default="tpe")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    fine = True
    for problem in PROBLEMS:
        mine, theirs = [], []
        for seed in range(options.seeds):
            begun = time.perf_counter()
            mine.append(ours(problem, options.search, trials=options.trials, seed=seed))
            middle = time.perf_counter()
            theirs.append(optunas(problem, options.search, trials=options.trials, seed=seed))
            print(
                f"{problem.name} seed {seed}: {mine[-1]:.5f} in {middle - begun:.1f} s (ours), "
                f"{theirs[-1]:.5f} in {time.perf_counter() - middle:.1f} s (Optuna)",
                file=sys.stderr,
                flush=True,
            )
        fine &= judge(f"{options.search} {problem.name}", mine, theirs, problem.minimum)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
