"""No-op trials per second: this service, bare Ray Tune, Optuna with a database.

This service is timed from the REST call that submits the sweep to the last trial's
row in SQL, the start of its driver included. Bare Ray Tune runs the same number of
function trials with reused actors on the same Ray head with the same concurrency and
no loggers; its process's start and connection are left out. Optuna runs them in this
process with a SQLite database. Each trial reports one value.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from service.ray_head import RayHead, RayResources
from sweep.client import Client
from sweep.states import SweepState

TRIALS = 2_000
CONCURRENT = 2

BARE = """
import os, sys, time
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
import ray
from ray import tune

def train(config):
    tune.report({"value": config["x"]})

trials, concurrent, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ray.init(log_to_driver=False, logging_level="ERROR")
began = time.perf_counter()
tune.Tuner(
    tune.with_resources(train, {"cpu": 1}),
    param_space={"x": tune.grid_search([float(i) for i in range(trials)])},
    tune_config=tune.TuneConfig(max_concurrent_trials=concurrent, reuse_actors=True),
    run_config=tune.RunConfig(storage_path=folder, verbose=0),
).fit()
print("SECONDS", time.perf_counter() - began)
"""


def main() -> None:
    """Run the three, one after the other, twice; print the better of each."""
    with tempfile.TemporaryDirectory() as folder:
        head = RayHead(Path(folder), RayResources(cpus=CONCURRENT))
        head.start()
        environment = {**os.environ, **head.environment}
        try:
            bare, ours = [], []
            for _ in range(2):
                bare.append(_bare(Path(folder), environment))
                ours.append(_service(environment))
        finally:
            head.stop()
        optuna = _optuna(Path(folder))
    print(f"{TRIALS} trials, {CONCURRENT} at once, trials per second:")
    tune = max(bare)
    for name, rate in (
        ("this service, REST to SQL", max(ours)),
        ("bare Ray Tune, reused actors", tune),
        ("Optuna, SQLite", optuna),
    ):
        print(f"  {name:30} {rate:7.1f}   ratio to bare Ray Tune {rate / tune:5.2f}")


def _bare(folder: Path, environment: dict[str, str]) -> float:
    answer = subprocess.run(
        [sys.executable, "-c", BARE, str(TRIALS), str(CONCURRENT), str(folder / "tune")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return TRIALS / float(answer.stdout.split("SECONDS")[1])


def _service(environment: dict[str, str]) -> float:
    with serving(environment) as url, Client(url) as client:
        began = time.perf_counter()
        sweep = client.submit(
            {
                "name": "noop",
                "trainable": "noop",
                "metric": {"name": "value", "mode": "max"},
                "parameters": {"x": {"grid": [float(i) for i in range(TRIALS)]}},
                "max_concurrent": CONCURRENT,
            }
        )
        sweep = client.wait(sweep.id, poll=0.05)
        took = time.perf_counter() - began
        assert sweep.state is SweepState.COMPLETED
        assert sum(1 for t in client.trials(sweep.id, filter="reports == 1")) == TRIALS
    return TRIALS / took


@contextmanager
def serving(environment: Mapping[str, str]) -> Iterator[str]:
    """The service as a process on a Ray head; its URL."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "up", "--home", folder, "--port", "18090"],
            env={**environment, "SWEEP_RAY_ADDRESS": environment["RAY_ADDRESS"]},
        )
        try:
            while not (home / "server.json").exists():
                time.sleep(0.02)
            yield (home / "server.json").read_text().split('"')[3]
        finally:
            process.terminate()
            process.wait()


def _optuna(folder: Path) -> float:
    import optuna

    optuna.logging.set_verbosity(logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'optuna.db'}",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(),
        direction="maximize",
    )

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(x, 1)
        trial.should_prune()
        return x

    began = time.perf_counter()
    study.optimize(objective, n_trials=TRIALS)
    return TRIALS / (time.perf_counter() - began)
