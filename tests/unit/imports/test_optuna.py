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


CHANGED = "its distribution changed between trials: the widest range is taken here"


@pytest.mark.parametrize(
    ("suggested", "kind", "message"),
    [
        (
            [{"low": 0, "high": 10}, {"low": 0, "high": 10, "step": 5}],
            {"randint": {"min": 0, "max": 10}},
            f"{CHANGED}, without steps",
        ),
        (
            [{"low": 0, "high": 10, "step": 5}, {"low": 1, "high": 11, "step": 5}],
            {"randint": {"min": 0, "max": 11}},
            f"{CHANGED}, without steps",
        ),
        (
            [{"low": 5, "high": 15, "step": 5}, {"low": 0, "high": 10, "step": 5}],
            {"qrandint": {"min": 0, "max": 15, "step": 5}},
            CHANGED,
        ),
        (
            [{"low": 0.0, "high": 0.9, "step": 0.3}, {"low": 0.0, "high": 1.0}],
            {"uniform": {"min": 0.0, "max": 1.0}},
            f"{CHANGED}, without steps",
        ),
        (
            [{"low": 1, "high": 8, "log": True}, {"low": 2, "high": 16, "log": True}],
            {"lograndint": {"min": 1, "max": 16}},
            CHANGED,
        ),
    ],
)
def test_no_trial_is_lost_where_steps_changed(
    suggested: list[dict[str, Any]], kind: Any, message: str
) -> None:
    def changing(trial: optuna.Trial) -> float:
        how = suggested[trial.number % len(suggested)]
        whole = isinstance(how["low"], int)
        return float((trial.suggest_int if whole else trial.suggest_float)("x", **how))

    study = made()
    study.optimize(changing, n_trials=8)
    imported = from_study(study, KNOWN)
    assert imported.document["parameters"] == {"x": kind}
    assert len(imported.document["search"]["history"]) == 8
    assert [(w.path, w.message) for w in imported.warnings] == [("distributions.x", message)]


def added(*trials: tuple[Any, optuna.distributions.BaseDistribution]) -> optuna.Study:
    """A study of trials that were added by hand, which may change what suggestions may not."""
    study = made()
    for value, distribution in trials:
        study.add_trial(
            optuna.trial.create_trial(
                params={"x": value}, distributions={"x": distribution}, value=1.0
            )
        )
    return study


def test_trials_that_do_not_fit_are_counted_and_left_out() -> None:
    real = optuna.distributions.FloatDistribution(0, 3)
    whole = optuna.distributions.IntDistribution(0, 3)
    imported = from_study(added((0.5, real), (1.5, real), (2, whole)), KNOWN)
    search = imported.document["search"]
    assert search["history"] == [{"parameters": {"x": 2}, "value": 1.0}]
    assert search["startup_trials"] == 9
    assert [w.message for w in imported.warnings] == [
        CHANGED,
        "2 do not fit the parameters and are not taken as history",
    ]


def test_a_scale_that_changed_is_left_out() -> None:
    real = optuna.distributions.FloatDistribution(0, 3)
    logarithmic = optuna.distributions.FloatDistribution(1, 4, log=True)
    imported = from_study(added((0.0, real), (4.0, logarithmic)), KNOWN)
    assert imported.document["parameters"] == {"x": {"uniform": {"min": 0.0, "max": 4.0}}}
    assert len(imported.document["search"]["history"]) == 2
    assert [w.message for w in imported.warnings] == [f"{CHANGED}, not logarithmic"]


def test_enqueued_trials_that_a_service_would_refuse_are_left_out() -> None:
    study = made()
    study.optimize(objective, n_trials=1)
    for point in ({"lr": 5.0}, {"lr": 0.01}, {"lr": 0.01}, {"zz": 0.5}, {"kind": "sgd", "yy": 1}):
        study.enqueue_trial(point)
    imported = from_study(study, KNOWN)
    assert imported.document["search"]["points_to_evaluate"] == [{"lr": 0.01}, {"kind": "sgd"}]
    assert [w.message for w in imported.warnings if w.path == "trials"] == [
        "enqueued ones name 'yy', 'zz', which no finished trial has: left out",
        "1 enqueued do not fit the parameters: left out",
        "1 enqueued are the same as others: left out",
    ]


def test_what_a_service_would_refuse_is_refused() -> None:
    study = made()
    study.optimize(objective, n_trials=1)
    study.enqueue_trial({"lr": 0.01})
    study.enqueue_trial({"lr": 0.02})
    with pytest.raises(SpecError, match="2 points are more than num_trials 1"):
        from_study(study, Options(trainable="noop", metric="loss", num_trials=1))


def test_each_objective_without_a_name_is_a_guess() -> None:
    study = made(directions=["minimize", "maximize", "minimize"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0, 2.0), n_trials=1)
    imported = from_study(study, KNOWN)
    names = [one["name"] for one in imported.document["search"]["objectives"]]
    assert (imported.document["metric"]["name"], names) == ("loss", ["value_1", "value_2"])
    assert [w.message for w in imported.warnings if w.path == "study"] == [
        f"does not name what it optimises: {name!r} is a guess; name it in search.objectives"
        for name in names
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
