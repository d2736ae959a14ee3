"""MLflow on SQLite, for `benchmarks.results`: runs in a virtual environment of MLflow's own.

Prints what it measured as one line of JSON. Takes the reports of one long run, of each of
the many others, and the seconds in which to make those.
"""

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from benchmarks.results_data import parameters_of, values_of

BATCH = 1_000
"""What MLflow takes in one call."""


def add(client: MlflowClient, experiment: str, index: int, steps: int) -> None:
    """One run with its parameters and all of its metrics, by `log_batch`."""
    draw = random.Random(index)
    run = client.create_run(experiment).info.run_id
    params = [Param(name, str(value)) for name, value in parameters_of(index).items()]
    client.log_batch(run, params=params)
    points = [
        Metric(name, value, 0, step)
        for step in range(1, steps + 1)
        for name, value in values_of(draw, step).items()
    ]
    for at in range(0, len(points), BATCH):
        client.log_batch(run, metrics=points[at : at + BATCH])


def main(ingest: int, reports: int, seconds: float) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        client = MlflowClient(f"sqlite:///{Path(folder) / 'mlflow.db'}")
        experiment = client.create_experiment("results")
        began = time.perf_counter()
        add(client, experiment, 0, ingest)
        rate = ingest / (time.perf_counter() - began)
        end, size = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            add(client, experiment, size, reports)
            size += 1
        times = []
        for _ in range(5):
            began = time.perf_counter()
            client.search_runs(
                [experiment],
                filter_string="params.task = 'task-3' and metrics.accuracy > 0.5",
                order_by=["metrics.accuracy DESC"],
                max_results=20,
            )
            times.append(time.perf_counter() - began)
    print(json.dumps({"reports_s": rate, "size": size, "seconds": sorted(times)[2]}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
