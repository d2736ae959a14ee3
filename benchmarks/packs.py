"""The learning-rate search of 24 experiments: packs, no packs, and bare Ray Tune.

Twenty-four experiments drawn at random from the arithmetic study, nine rates each, 1,000
steps, evaluated every 100 and ended at an accuracy of 0.99: 216 trainings on the same
batches from the same seeds. Each side ends with the same rows in SQLite (every report
of every trial) and is timed from its submission to its last row, the start of its
driver or `Tuner` included. Bare Ray Tune runs a plain PyTorch training with the default
Adam, on the same Ray head, with the same two CPUs.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import studies
from benchmarks.noop import serving
from service.ray_head import RayHead, RayResources
from sweep.client import Client
from sweep.loading import load_yaml
from sweep.space import Space
from sweep.spec import parse_spec
from sweep.states import SweepState

CONCURRENT = 2
STEPS = 1_000

Side = Callable[[Path, Mapping[str, str]], tuple[float, int]]
"""Runs the search in a folder with an environment: seconds and reports."""

BARE = """
import json, os, sqlite3, sys, time
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
began = time.perf_counter()
import ray
from ray import tune

def train(config):
    import torch
    from torch.nn import functional
    from workers.trainables.arithmetic.tasks import accuracy
    from workers.trainables.arithmetic.training import train as study
    config = {**config, **config["trial"]}
    params = config["params"]
    device = torch.device("cpu")
    model = study.build(params, config["seed"])
    optimizer = torch.optim.Adam(model.parameters(), lr=params["lr"])
    stream = study.stream(params, config["seed"], device)
    test_a, test_b, test_wanted = study.evaluation(params)
    for step in range(1, config["steps"] + 1):
        a, b, wanted = (part[0] for part in stream.take(step, 1))
        optimizer.zero_grad()
        functional.mse_loss(model(a, b), wanted).backward()
        optimizer.step()
        if step % 100 == 0:
            with torch.no_grad():
                predicted = model(test_a, test_b)
                right = accuracy(predicted, test_wanted).item()
                loss = functional.mse_loss(predicted, test_wanted).item()
            tune.report({"step": step, "accuracy": right, "loss": loss})
            if right >= 0.99:
                return

class Rows(tune.Callback):
    def __init__(self, path):
        self.path = path
    def setup(self, **info):
        self.base = sqlite3.connect(self.path)
        self.base.execute("create table reports (trial int, step int, accuracy, loss)")
    def on_trial_result(self, iteration, trials, trial, result, **info):
        row = (trial.config["trial"]["index"], result["step"], result["accuracy"], result["loss"])
        self.base.execute("insert into reports values (?, ?, ?, ?)", row)
        self.base.commit()

trials, reuse, folder = json.loads(open(sys.argv[1]).read()), sys.argv[2] == "reuse", sys.argv[3]
ray.init(log_to_driver=False, logging_level="ERROR")
tune.Tuner(
    tune.with_resources(train, {"cpu": 1}),
    param_space={"trial": tune.grid_search(trials), "steps": int(sys.argv[4])},
    tune_config=tune.TuneConfig(max_concurrent_trials=2, reuse_actors=reuse),
    run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Rows(folder + "/rows")]),
).fit()
print("SECONDS", time.perf_counter() - began)
base = sqlite3.connect(folder + "/rows")
print("ROWS", base.execute("select count(*) from reports").fetchone()[0])
"""


def spec(**fields: Any) -> dict[str, Any]:
    """The search over the rates of 3 tasks x 2 data sets x 4 networks, as a sweep."""
    study: dict[str, Any] = load_yaml(studies.read("arithmetic"))
    draw = random.Random(0)
    parameters = dict(study["parameters"])
    for name, count in (("task", 3), ("dataset", 2), ("network", 4)):
        parameters[name] = {"grid": draw.sample(parameters[name]["grid"], count)}
    return {
        "name": "rates",
        "trainable": "arithmetic",
        "metric": study["metric"],
        "parameters": parameters,
        "early_stopping": {"type": "none", "max_t": STEPS},
        **fields,
    }


def main(argv: Sequence[str] = ()) -> None:
    """Run sides one after the other on one Ray head and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sides",
        nargs="+",
        choices=SIDES,
        default=list(SIDES),
        help="in the order in which to run",
    )
    chosen = parser.parse_args(argv).sides
    drawn = spec()["parameters"]
    for name in ("task", "dataset", "network"):
        print(f"{name}: {json.dumps(drawn[name]['grid'])}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        head = RayHead(folder, RayResources(cpus=CONCURRENT))
        head.start()
        environment = {**os.environ, **head.environment}
        try:
            found = []
            for side in chosen:
                print(f"running: {side}", flush=True)
                home = Path(tempfile.mkdtemp(dir=folder))
                found.append((side, *SIDES[side](home, environment)))
        finally:
            head.stop()
    first, one, _ = found[0]
    print(f"216 trainings of {STEPS} steps at most, {CONCURRENT} CPUs:")
    for side, took, rows in found:
        print(f"  {side:12} {took:7.1f} s, {rows} rows; {first} is {took / one:5.2f} x as fast")


def _packs(folder: Path, environment: Mapping[str, str]) -> tuple[float, int]:
    return _service(environment, spec())


def _unpacked(folder: Path, environment: Mapping[str, str]) -> tuple[float, int]:
    return _service(environment, spec(pack="off"))


def _reused(folder: Path, environment: Mapping[str, str]) -> tuple[float, int]:
    return _bare(folder, environment, "reuse")


def _new(folder: Path, environment: Mapping[str, str]) -> tuple[float, int]:
    return _bare(folder, environment, "new")


SIDES: dict[str, Side] = {
    "packs": _packs,
    "pack-off": _unpacked,
    "tune-reuse": _reused,
    "tune-new": _new,
}
"""This service with packs and without; bare Ray Tune with reused actors, and an actor each."""


def _service(environment: Mapping[str, str], search: Mapping[str, Any]) -> tuple[float, int]:
    with serving(environment) as url, Client(url) as client:
        began = time.perf_counter()
        sweep = client.wait(client.submit(dict(search)).id, poll=0.05)
        took = time.perf_counter() - began
        assert sweep.state is SweepState.COMPLETED, sweep.reason
        return took, sum(trial.reports for trial in client.trials(sweep.id))


def _bare(folder: Path, environment: Mapping[str, str], actors: str) -> tuple[float, int]:
    trials = [
        {"index": t.index, "seed": t.seed, "params": t.parameters}
        for t in Space(parse_spec(spec())).trials()
    ]
    (folder / "trials.json").write_text(json.dumps(trials))
    home = folder / actors
    home.mkdir()
    answer = subprocess.run(
        [sys.executable, "-c", BARE, folder / "trials.json", actors, home, str(STEPS)],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise RuntimeError(answer.stderr[-3_000:])
    words = answer.stdout.split()
    took, rows = (words[words.index(name) + 1] for name in ("SECONDS", "ROWS"))
    return float(took), int(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
