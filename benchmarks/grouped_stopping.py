"""Early stopping over two data sets of unlike difficulty: one group, or a group each.

Real trainings: a small network on scikit-learn's handwritten digits, with the true labels
(`clean`) and with four of five labels drawn at random, in training and test alike
(`noisy`, where an accuracy near 0.28 is all there is). One sweep draws learning rates and
widths for both. Each rule is run with one group and with `group_by: [dataset]`, packed, in
this process; what it saves and loses is measured against the same trials unstopped.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweep.rows import TrialRow
from sweep.submission import read_submission
from workers.fusion import Packable
from workers.local import Options, run

MAX_T = 810
DATASETS = ("clean", "noisy")
RULES: Mapping[str, Mapping[str, Any]] = {
    "asha": {"type": "asha", "grace_period": 30, "max_t": MAX_T, "min_peers": 1},
    "hyperband": {"type": "hyperband", "max_t": MAX_T, "brackets": 4},
    "median": {"type": "median", "grace_period": 30, "interval": 30, "max_t": MAX_T},
}
_TRAIN = 1_300
_BATCH = 64
_RANDOM_LABELS = 0.8

Examples = tuple[Tensor, Tensor]


@lru_cache
def digits(dataset: str) -> Examples:
    """The 1,797 images, in a fixed random order, and their labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(data.target), generator=generator)
    images = torch.as_tensor(data.data, dtype=torch.float32)[order] / 16
    labels = torch.as_tensor(data.target, dtype=torch.int64)[order]
    if dataset == "noisy":
        drawn = torch.randint(0, 10, labels.shape, generator=generator)
        replaced = torch.rand(labels.shape, generator=generator) < _RANDOM_LABELS
        labels = torch.where(replaced, drawn, labels)
    return images, labels


class Digits(Packable):
    """One hidden layer; trials that differ in rate and data set train as one program."""

    member_parameters = Packable.member_parameters | {"dataset"}

    def model(self, params: Mapping[str, Any]) -> nn.Module:
        """The network."""
        width = params["width"]
        return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def loss(self, model: Callable[..., Tensor], batch: Examples) -> Tensor:
        """The cross-entropy."""
        images, labels = batch
        return functional.cross_entropy(model(images), labels)

    def batches(self, params: Mapping[str, Any], seed: int) -> Iterator[Examples]:
        """Images of the training part, drawn with replacement."""
        images, labels = digits(params["dataset"])
        generator = torch.Generator().manual_seed(seed)
        while True:
            chosen = torch.randint(0, _TRAIN, (_BATCH,), generator=generator)
            yield images[chosen], labels[chosen]

    def evaluation(self, params: Mapping[str, Any]) -> Examples:
        """The images that no training sees."""
        images, labels = digits(params["dataset"])
        return images[_TRAIN:], labels[_TRAIN:]

    def metrics(self, model: Callable[..., Tensor], batch: Examples) -> dict[str, Tensor]:
        """The share of images that are told right."""
        images, labels = batch
        return {"accuracy": (model(images).argmax(dim=1) == labels).float().mean()}

    def report_every(self, params: Mapping[str, Any]) -> int:
        """Ten steps."""
        return 10

    def stream_key(self, params: Mapping[str, Any], seed: int) -> tuple[int, str]:
        """Trials of one data set and seed share batches."""
        return seed, str(params["dataset"])

    def evaluation_key(self, params: Mapping[str, Any]) -> str:
        """Trials of one data set share its test images."""
        return str(params["dataset"])


training = Digits()


@dataclass(frozen=True)
class Outcome:
    """What became of one data set's trials."""

    steps: int
    finished: int
    """Trials that were not stopped."""
    best: float


def spec_of(rule: Mapping[str, Any], *, trials: int, seed: int) -> dict[str, Any]:
    """The sweep: as many trials for each data set, in turn."""
    return {
        "name": "grouped stopping",
        "trainable": "benchmarks.grouped_stopping:training",
        "metric": {"name": "accuracy", "mode": "max"},
        "parameters": {
            "dataset": {"grid": list(DATASETS)},
            "lr": {"loguniform": {"min": 1e-5, "max": 0.3}},
            "width": {"choice": [8, 32]},
        },
        "search": {"type": "random", "num_trials": trials * len(DATASETS), "seed": seed},
        "early_stopping": dict(rule),
        "pack": 8,
    }


def outcomes(rule: Mapping[str, Any], *, trials: int, seed: int) -> dict[str, Outcome]:
    """Run the sweep; what became of each data set's trials."""
    spec = spec_of(rule, trials=trials, seed=seed)
    submission = read_submission(spec, trainables={}, max_trials=100_000)
    rows = list(run(submission, Options()).rows.values())
    return {
        name: _outcome([r for r in rows if r.parameters["dataset"] == name]) for name in DATASETS
    }


def _outcome(rows: list[TrialRow]) -> Outcome:
    return Outcome(
        steps=sum(row.step or 0 for row in rows),
        finished=sum(row.step == MAX_T for row in rows),
        best=max(row.best or 0 for row in rows),
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=27, help="of each data set (%(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="sweeps of each kind (%(default)s)")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=["asha", "median"])
    arguments, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    rules = {name: RULES[name] for name in arguments.rules}
    kinds = {f"{name}, one group": rule for name, rule in rules.items()}
    kinds |= {f"{name}, grouped": {**rule, "group_by": ["dataset"]} for name, rule in rules.items()}
    seeds = range(arguments.seeds)
    plain = {"type": "none", "max_t": MAX_T}
    whole = [outcomes(plain, trials=arguments.trials, seed=seed) for seed in seeds]
    print(
        "| rule | data set | unstopped trials | trial-steps saved | best | regret, mean | largest |"
    )
    print("|---|---|---|---|---|---|---|")
    _print("none", whole, whole)
    for kind in sorted(kinds):
        found = [outcomes(kinds[kind], trials=arguments.trials, seed=seed) for seed in seeds]
        _print(kind, found, whole)


def _print(kind: str, found: list[dict[str, Outcome]], whole: list[dict[str, Outcome]]) -> None:
    for name in DATASETS:
        ours, theirs = [f[name] for f in found], [w[name] for w in whole]
        saved = 1 - fmean(o.steps for o in ours) / fmean(t.steps for t in theirs)
        regret = [t.best - o.best for o, t in zip(ours, theirs, strict=True)]
        print(
            f"| {kind} | {name} | {fmean(o.finished for o in ours):.1f} | {saved:.0%} "
            f"| {fmean(o.best for o in ours):.3f} | {fmean(regret):.3f} | {max(regret):.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
