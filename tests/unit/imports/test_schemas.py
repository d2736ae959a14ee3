"""Every key that a system documents changes the spec, or has a warning or note of its own."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sweep.errors import SpecError
from sweep.imports import determined, katib, wandb
from sweep.imports.common import Options

READERS = {"wandb": wandb.read, "determined": determined.read, "katib": katib.read}
NONE_NEEDED = {
    ("wandb", "apiVersion"),
    ("wandb", "kind"),
    ("katib", "metadata.namespace"),
    ("katib", "spec.objective.additionalMetricNames"),  # all that a trial reports is kept
}
"""Keys that ask for nothing that is not so here anyway."""

WANDB: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "sweep",
    "name": "n",
    "description": "d",
    "project": "p",
    "entity": "e",
    "program": "main.py",
    "command": ["${env}", "python", "${program}", "--fast", "${args}"],
    "run_cap": 7,
    "job": "j",
    "controller": {"type": "local"},
    "metric.target": 0.5,
    "metric.impute": "worst",
    "metric.goal": "maximize",
    "early_terminate": {"type": "hyperband", "min_iter": 3},
    "early_terminate.strict": False,
    "early_terminate.eta": 2,
    "early_terminate.min_iter": 2,
    "early_terminate.s": 1,
    "early_terminate.max_iter": 81,
    "parameters.x.distribution": "normal",
    "parameters.x.value": 3,
    "parameters.x.values": [4, 5, 6],
    "parameters.x.probabilities": [0.1, 0.9],
    "parameters.x.min": 0,
    "parameters.x.max": 9,
    "parameters.x.mu": 1,
    "parameters.x.sigma": 2,
    "parameters.x.q": 2,
    "parameters.x.a": 2,
    "parameters.x.b": 2,
    "parameters.x.parameters": {"y": {"value": 1}},
}
DETERMINED: dict[str, Any] = {
    "name": "n",
    "description": "d",
    "labels": ["a"],
    "workspace": "w",
    "project": "p",
    "data": {"url": "u"},
    "entrypoint": "train.py --fast",
    "bind_mounts": [],
    "checkpoint_policy": "all",
    "checkpoint_storage": {"type": "shared_fs"},
    "checkpoint_storage.save_trial_latest": 3,
    "checkpoint_storage.save_trial_best": 0,
    "checkpoint_storage.save_experiment_best": 2,
    "debug": True,
    "environment": {"image": "i"},
    "log_policies": [],
    "max_restarts": 1,
    "min_checkpoint_period": {"batches": 1},
    "min_validation_period": {"batches": 1},
    "optimizations": {"aggregation_frequency": 2},
    "perform_initial_validation": True,
    "profiling": {"enabled": True},
    "records_per_epoch": 10,
    "reproducibility": {"experiment_seed": 3},
    "scheduling_unit": 10,
    "resources": {"shm_size": 1},
    "resources.slots_per_trial": 2,
    "resources.max_slots": 3,
    "resources.weight": 2,
    "resources.priority": 5,
    "resources.resource_pool": "r",
    "searcher.smaller_is_better": False,
    "searcher.max_length": {"records": 77},
    "searcher.time_metric": "seconds",
    "searcher.max_time": 99,
    "searcher.max_trials": 33,
    "searcher.max_concurrent_trials": 3,
    "searcher.divisor": 3,
    "searcher.max_rungs": 2,
    "searcher.num_rungs": 3,
    "searcher.mode": "conservative",
    "searcher.bracket_rungs": [1, 2],
    "searcher.stop_once": True,
    "searcher.source_trial_id": 3,
    "searcher.source_checkpoint_uuid": "u",
    "hyperparameters.x.type": "categorical",
    "hyperparameters.x.val": 1,
    "hyperparameters.x.vals": [1, 2],
    "hyperparameters.x.minval": 0,
    "hyperparameters.x.maxval": 7,
    "hyperparameters.x.base": 2,
    "hyperparameters.x.count": 4,
}
KATIB: dict[str, Any] = {
    "metadata.namespace": "kubeflow",
    "spec.objective.type": "maximize",
    "spec.objective.goal": 0.9,
    "spec.objective.objectiveMetricName": "m",
    "spec.objective.additionalMetricNames": ["m"],
    "spec.objective.metricStrategies": [{"name": "loss", "value": "latest"}],
    "spec.earlyStopping": {"algorithmName": "medianstop"},
    "spec.parallelTrialCount": 5,
    "spec.maxTrialCount": 20,
    "spec.maxFailedTrialCount": 3,
    "spec.metricsCollectorSpec": {"collector": {"kind": "File"}},
    "spec.resumePolicy": "FromVolume",
    "spec.nasConfig": {},
    "spec.trialTemplate": {"retain": True},
    "setting.random_state": "3",
    "setting.n_startup_trials": "4",
    "setting.n_initial_points": "4",
    "setting.n_ei_candidates": "4",
    "setting.base_estimator": "RF",
    "setting.acq_func": "EI",
    "setting.sigma": "0.2",
    "setting.r_l": "81",
    "setting.eta": "2",
    "setting.resource_name": "y",
    "setting.n_population": "5",
    "setting.truncation_threshold": "0.3",
    "setting.resample_probability": "0.5",
    "setting.suggestion_trial_dir": "/data",
    "parameter.parameterType": "categorical",
    "parameter.feasibleSpace.min": "2",
    "parameter.feasibleSpace.max": "8",
    "parameter.feasibleSpace.list": ["1", "2"],
    "parameter.feasibleSpace.step": "2",
    "parameter.feasibleSpace.distribution": "logUniform",
}


def _wandb() -> Iterator[tuple[str, Any]]:
    base = {"metric": {"name": "loss"}, "run_cap": 30}
    shapes: dict[str, Any] = {
        "values": {"values": [1, 2]},
        "value": {"value": 1},
        "range": {"distribution": "uniform", "min": 0.5, "max": 3},
        "normal": {"distribution": "normal"},
        "q_normal": {"distribution": "q_normal"},
        "beta": {"distribution": "beta"},
        "q_uniform": {"distribution": "q_uniform", "min": 1, "max": 5},
        "nested": {"parameters": {"z": {"value": 1}}},
    }
    for method in ("grid", "random", "bayes"):
        for shape, x in shapes.items():
            yield f"{method}-{shape}", {**base, "method": method, "parameters": {"x": x}}
    rules: dict[str, Any] = {
        "forwards": {"type": "hyperband", "min_iter": 3, "strict": True},
        "backwards": {"type": "hyperband", "max_iter": 27, "s": 2, "strict": True},
    }
    parameters = {"x": {"values": [1, 2]}}
    for name, rule in rules.items():
        whole = {"method": "random", "parameters": parameters, "early_terminate": rule}
        yield name, {**base, **whole}


def _determined() -> Iterator[tuple[str, Any]]:
    shapes: dict[str, Any] = {
        "const": {"type": "const", "val": 5},
        "int": {"type": "int", "minval": 1, "maxval": 9, "count": 3},
        "log": {"type": "log", "minval": 1, "maxval": 2, "count": 3},
        "categorical": {"type": "categorical", "vals": [5, 6]},
    }
    for name in ("single", "random", "grid", "adaptive_asha", "asha", "async_halving"):
        for shape in ("const",) if name == "single" else shapes:
            x = dict(shapes[shape])
            if name != "grid":
                x.pop("count", None)
            searcher: dict[str, Any] = {
                "name": name,
                "metric": "loss",
                "max_length": {"batches": 256},
            }
            if name not in ("single", "grid"):
                searcher["max_trials"] = 500
            yield f"{name}-{shape}", {"hyperparameters": {"x": x}, "searcher": searcher}
    given = {"name": "adaptive_asha", "metric": "loss", "max_trials": 500, "bracket_rungs": [3]}
    timed = {**given, "time_metric": "batches", "max_time": 256, "stop_once": True}
    yield "bracket_rungs", {"hyperparameters": {"x": shapes["const"]}, "searcher": timed}
    counted = {**timed, "name": "asha", "num_rungs": 2}
    del counted["bracket_rungs"]
    yield "num_rungs", {"hyperparameters": {"x": shapes["const"]}, "searcher": counted}


def _katib() -> Iterator[tuple[str, Any]]:
    settings: dict[str, dict[str, str]] = {
        "hyperband": {"r_l": "9", "resource_name": "x"},
        "pbt": {"n_population": "6", "truncation_threshold": "0.2"},
    }
    spaces: dict[str, Any] = {
        "int": {"min": "1", "max": "9"},
        "normal": {"min": "1", "max": "9", "distribution": "normal"},
        "discrete": {"list": ["1", "2", "3"]},
    }
    names = ("random", "grid", "sobol", "tpe", "bayesianoptimization", "cmaes", *settings)
    for name in names:
        for shape, space in spaces.items():
            if (name, shape) == ("grid", "normal"):
                continue  # a grid has the same warning of every distribution
            kind = shape if shape == "discrete" else "int"
            yield (
                f"{name}-{shape}",
                {
                    "kind": "Experiment",
                    "spec": {
                        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
                        "algorithm": {"algorithmName": name},
                        "maxTrialCount": 18,
                        "parameters": [
                            {"name": one, "parameterType": kind, "feasibleSpace": dict(space)}
                            for one in ("x", "y")
                        ],
                    },
                    "settings": settings.get(name, {}),
                },
            )


def _place(raw: Any, path: str, value: Any) -> None:
    """Put a value at a dotted path; mappings on the way are made."""
    *where, last = path.split(".")
    for key in where:
        raw = raw.setdefault(key, {})
    raw[last] = value


def _listed(raw: Any) -> Any:
    """An Experiment, whose settings are a mapping beside it, as Katib writes it."""
    settings = raw.pop("settings", None)
    if settings is not None:
        listed = [{"name": name, "value": value} for name, value in settings.items()]
        raw["spec"]["algorithm"]["algorithmSettings"] = listed
    return raw


def _with(raw: Any, path: str, value: Any) -> Any:
    raw = copy.deepcopy(raw)
    start, _, rest = path.partition(".")
    if start == "setting":
        raw["settings"][rest] = value
    elif start == "parameter":
        _place(raw["spec"]["parameters"][1], rest, value)
    else:
        _place(raw, path, value)
    return raw


def _said(system: str, raw: Any) -> Any:
    """All that an import answers, an error too."""
    try:
        imported = READERS[system](_listed(copy.deepcopy(raw)), Options())
    except SpecError as error:
        return error.problems
    return imported.document, imported.warnings, imported.notes


def _has(raw: Any, path: str, value: Any) -> bool:
    """Whether the file says that already."""
    return bool(_with(raw, path, value) == raw)


CASES = [
    (system, name, raw, keys)
    for system, files, keys in (
        ("wandb", _wandb(), WANDB),
        ("determined", _determined(), DETERMINED),
        ("katib", _katib(), KATIB),
    )
    for name, raw in files
]


@pytest.mark.parametrize(
    ("system", "raw", "keys"),
    [(system, raw, keys) for system, _, raw, keys in CASES],
    ids=[f"{system}-{name}" for system, name, _, _ in CASES],
)
def test_no_documented_key_is_read_and_forgotten(
    system: str, raw: Any, keys: Mapping[str, Any]
) -> None:
    before = _said(system, raw)
    assert isinstance(before[0], dict), "the file itself can be imported"
    silent = [
        key
        for key, value in keys.items()
        if not _has(raw, key, value) and _said(system, _with(raw, key, value)) == before
    ]
    assert [key for key in silent if (system, key) not in NONE_NEEDED] == []
