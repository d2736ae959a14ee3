"""The same data in MLflow and Optuna, on SQLite and with no HTTP between."""

import json
import logging
import os
import random
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from benchmarks.results_data import TASKS, parameters_of


@dataclass(frozen=True)
class Peer:
    """What one peer did on SQLite."""

    name: str
    reports_s: float
    size: int
    """Runs or trials in it when it was asked."""
    query: str
    seconds: float


def mlflow_peer(*, reports: int, ingest: int, seconds: float) -> Peer:
    """MLflow: `log_batch` of metrics, `search_runs` for the best twenty.

    Raises:
        RuntimeError: when it cannot be installed or run.
    """
    given = [str(ingest), str(reports), str(seconds)]
    answer = subprocess.run(
        [_mlflow_python(), "-m", "benchmarks.results_mlflow", *given],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(f"MLflow cannot be measured: {answer.stderr[-500:]}")
    return Peer(
        "MLflow log_batch",
        query="search_runs, top 20",
        **json.loads(answer.stdout.splitlines()[-1]),
    )


def _mlflow_python() -> str:
    """The interpreter of a virtual environment with MLflow, made at the first run.

    MLflow's pins exclude this project's pandas, so it cannot be an extra of it.
    """
    if given := os.environ.get("MLFLOW_PYTHON"):
        return given
    folder = Path(platformdirs.user_cache_dir("sweep")) / "mlflow"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing MLflow in {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        done = subprocess.run(
            [python, "-m", "pip", "install", "-q", "mlflow>=3"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"MLflow cannot be installed: {done.stderr[-500:]}")
        (folder / "installed").touch()
    return str(python)


def optuna_peer(*, reports: int, ingest: int, seconds: float) -> Peer:
    """Optuna: `trial.report` of one of the two metrics, `trials_dataframe`."""
    import optuna

    optuna.logging.set_verbosity(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        study = optuna.create_study(storage=f"sqlite:///{Path(folder) / 'optuna.db'}")
        draw = random.Random(0)
        trial = study.ask()
        began = time.perf_counter()
        for step in range(1, ingest + 1):
            trial.report(draw.random(), step)
        rate = ingest / (time.perf_counter() - began)
        space = {
            "task": optuna.distributions.CategoricalDistribution(
                [f"task-{i}" for i in range(TASKS)]
            ),
            "lr": optuna.distributions.FloatDistribution(0, 1),
        }

        def add(index: int) -> None:
            values = {step: draw.random() for step in range(1, reports + 1)}
            given = {name: parameters_of(index)[name] for name in space}
            study.add_trial(
                optuna.create_trial(
                    params=given,
                    distributions=space,
                    value=max(values.values()),
                    intermediate_values=values,
                )
            )

        size = _until(seconds, add)
        began = time.perf_counter()
        frame: Any = optuna.load_study(
            study_name=study.study_name, storage=f"sqlite:///{Path(folder) / 'optuna.db'}"
        ).trials_dataframe()
        frame[frame["params_task"] == "task-3"].sort_values("value").head(20)
        took = time.perf_counter() - began
    return Peer("Optuna report", rate, size, "trials_dataframe, top 20", took)


def _until(seconds: float, add: Callable[[int], None]) -> int:
    """Add one after the other for so long; how many there are."""
    end = time.perf_counter() + seconds
    count = 0
    while time.perf_counter() < end:
        add(count)
        count += 1
    return count
