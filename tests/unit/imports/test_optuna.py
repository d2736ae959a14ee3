"""Optuna studies, made here with Optuna itself."""

import json
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from sweep.errors import SpecError, SweepError
from sweep.imports.common import Options
from sweep.imports.optuna import from_study, newest, read
from sweep.loading import MAX_BYTES, MAX_NODES
from sweep.searches import TpeSearch
from sweep.spec import parse_spec
from tests.unit.imports.drawing import again
from workers.driver.search.outcomes import Outcome, Seen
from workers.driver.search.searcher import Searcher

KNOWN = Options(trainable="training:train", metric="loss", num_trials=20)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(trial: optuna.Trial) -> float:
    lr = trial.suggest_float("lr", 1e-4, 0.1, log=True)
    drop = trial.suggest_float("drop", 0.0, 0.5, step=0.25)
    layers = trial.suggest_int("net.layers", 1, 4)
    width = trial.suggest_int("width", 16, 64, step=16)
    units = trial.suggest_int("units", 1, 100, log=True)
    kind = trial.suggest_categorical("kind", ["adam", "sgd"])
    return lr + drop + layers + width + units + len(kind)


def made(**how: Any) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1), **how)


def test_a_study_in_a_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = made(storage=url, study_name="digits")
    study.optimize(objective, n_trials=3)
    study.enqueue_trial({"lr": 0.01, "net.layers": 2})
    imported = read(url, "digits", KNOWN)
    document = again(imported)
    assert document["name"] == "digits"
    assert document["metric"] == {"name": "loss", "mode": "min"}
    assert document["parameters"] == {
        "lr": {"loguniform": {"min": 0.0001, "max": 0.1}},
        "drop": {"quniform": {"min": 0.0, "max": 0.5, "step": 0.25}},
        "net_layers": {"randint": {"min": 1, "max": 4}},
        "width": {"qrandint": {"min": 16, "max": 64, "step": 16}},
        "units": {"lograndint": {"min": 1, "max": 100}},
        "kind": {"choice": ["adam", "sgd"]},
    }
    search = document["search"]
    assert (search["type"], search["num_trials"], search["startup_trials"]) == ("tpe", 20, 7)
    assert search["points_to_evaluate"] == [{"lr": 0.01, "net_layers": 2}]
    assert [point["value"] for point in search["history"]] == [
        pytest.approx(trial.value) for trial in study.trials[:3]
    ]
    assert [(w.path, w.message) for w in imported.warnings] == [
        (
            "distributions.net.layers",
            "is called 'net_layers' here: names have letters, digits and _",
        )
    ]


def test_the_model_knows_the_studys_trials() -> None:
    """Every point of the history fits the space, so that the first proposal heeds it."""
    study = made()
    study.optimize(objective, n_trials=30)
    spec = parse_spec(again(from_study(study, KNOWN)))
    assert isinstance(spec.search, TpeSearch)
    first = (Seen(spec.search.history[0].parameters, Outcome("complete", (1e6,))),) * 4
    forgetful = spec.model_copy(update={"search": spec.search.model_copy(update={"history": ()})})
    assert Searcher(spec).propose(first) != Searcher(forgetful).propose(first)


def test_spaces_that_changed_are_joined_with_a_warning() -> None:
    def changing(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1 + trial.number)
        return x + (trial.suggest_int("y", 0, 3) if trial.number else 0)

    study = made(direction="maximize")
    study.optimize(changing, n_trials=3)
    imported = from_study(study, KNOWN)
    assert imported.document["parameters"] == {
        "x": {"uniform": {"min": 0.0, "max": 3.0}},
        "y": {"randint": {"min": 0, "max": 3}},
    }
    assert imported.document["metric"]["mode"] == "max"
    assert imported.document["search"]["startup_trials"] == 7
    assert [(w.path, w.message) for w in imported.warnings] == [
        (
            "distributions.x",
            "its distribution changed between trials: the widest range is taken here",
        ),
        (
            "distributions.y",
            "was suggested in 2 of 3 finished trials, and is in every trial here: "
            "say when it is asked for with `when`",
        ),
    ]


def test_trials_without_a_result_are_counted() -> None:
    def moody(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number == 1:
            raise optuna.TrialPruned
        return float("inf") if trial.number == 2 else x

    study = made()
    study.optimize(moody, n_trials=4)
    study.set_user_attr("owner", "me")
    imported = from_study(study, Options())
    assert len(imported.document["search"]["history"]) == 2
    assert [(w.path, w.message) for w in imported.warnings] == [
        (
            "study",
            "does not name what it optimises: 'value' is a guess; say it with --metric",
        ),
        ("trials", "1 of state 'pruned' are not taken as history"),
        ("user_attrs", "attributes of studies and trials have no equal here"),
        (
            "study",
            "the search has no end there and needs a number here: 100 is a guess; "
            "say it with --num-trials",
        ),
        ("trials", "1 without parameters or a finite value"),
        (
            "study",
            "names no program: 'train.py' is a guess; say it with --trainable",
        ),
    ]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_several_objectives_make_a_pareto_search() -> None:
    study = made(directions=["minimize", "maximize"])
    study.set_metric_names(["loss", "speed"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=2)
    imported = from_study(study, Options(trainable="training:train", num_trials=9))
    assert imported.document["metric"] == {"name": "loss", "mode": "min"}
    assert imported.document["search"] == {
        "type": "nsga2",
        "num_trials": 9,
        "objectives": [{"name": "speed", "mode": "max"}],
    }
    assert [w.message for w in imported.warnings] == [
        "2 of several objectives are not taken as history"
    ]


@pytest.mark.parametrize(
    ("parameters", "fit"),
    [
        ({f"x{i}": 7 for i in range(40)}, 60_000 // (6 + 2 * 40)),
        (
            {"text": "x" * 1_000},
            700_000 // (len('{"parameters": {"text": ""}, "value": 999}') + 1_012),
        ),
    ],
)
def test_only_the_newest_trials_fit(parameters: dict[str, Any], fit: int) -> None:
    points = [{"parameters": parameters, "value": 100 + i} for i in range(900)]
    kept = newest(points)
    assert kept == points[-fit:]
    assert len(json.dumps(kept)) < MAX_BYTES
    assert sum(6 + 2 * len(point["parameters"]) for point in kept) < MAX_NODES


def test_what_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    made(storage=url, study_name="empty")
    with pytest.raises(SpecError, match="study 'empty' has no finished trial"):
        read(url, "empty", KNOWN)
    with pytest.raises(SpecError, match="there is no study 'other' in it; there are: empty"):
        read(url, "other", KNOWN)
    with pytest.raises(SweepError, match="cannot be opened"):
        read("sqlite:////no/such/folder/study.db", "x", KNOWN)
    with pytest.raises(SweepError, match=r"there is no file '.*/mistyped\.db'"):
        read(f"sqlite:///{tmp_path}/mistyped.db", "x", KNOWN)
    assert not (tmp_path / "mistyped.db").exists()
    with pytest.raises(SweepError, match="cannot be opened") as refused:
        read("nosuchsystem://someone:s3cr%40t@host/studies", "x", KNOWN)
    assert "nosuchsystem://someone:***@host" in str(refused.value)
    assert "s3cr" not in str(refused.value)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SweepError, match="not installed: pip install optuna"):
        read(url, "empty", KNOWN)
