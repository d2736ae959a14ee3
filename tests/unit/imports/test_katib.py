"""Katib Experiments: every field but the draws."""

import itertools
from typing import Any

import pytest

from sweep.errors import SpecError
from sweep.imports.common import Options
from sweep.imports.katib import read
from sweep.space import Space
from sweep.spec import parse_spec
from tests.unit.imports.drawing import KNOWN, again, source

UNSAID = "a container's command, image and resources are not imported: set resources and " + (
    "max_failures yourself"
)
RENAMED = "here: names have letters, digits and _"


def warned(name: str, options: Options = KNOWN) -> list[tuple[str, str]]:
    return [(w.path, w.message) for w in read(source(f"katib/{name}.yaml"), options).warnings]


def experiment(**spec: Any) -> Any:
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "maxTrialCount": 4,
            "parameters": [parameter("double", min="0", max="1")],
            **spec,
        },
    }


def parameter(kind: str, **space: Any) -> Any:
    return {"name": "x", "parameterType": kind, "feasibleSpace": space}


def test_the_parts_of_a_spec() -> None:
    imported = read(source("katib/random.yaml"), KNOWN)
    document = again(imported)
    assert document["name"] == "random"
    assert document["metric"] == {"name": "accuracy", "mode": "max", "target": 0.99}
    assert document["search"] == {"type": "random", "seed": 7, "num_trials": 24}
    assert document["max_concurrent"] == 4
    assert document["max_failures"] == 0
    assert document["parameters"] == {
        "lr": {"uniform": {"min": 0.01, "max": 0.03}},
        "momentum": {"quniform": {"min": 0.1, "max": 0.9, "step": 0.2}},
        "num_layers": {"randint": {"min": 2, "max": 5}},
        "width": {"qrandint": {"min": 16, "max": 64, "step": 16}},
        "batch": {"choice": [16, 32, 64]},
        "rate": {"choice": [0.1, 0.01]},
        "optimizer": {"choice": ["sgd", "adam", "1"]},
    }
    assert imported.notes == (
        "spec.parameters[6]: categorical values such as '1' are texts, as in Katib",
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "random",
            [
                ("spec.parameters[0].name", f"is called 'lr' {RENAMED}"),
                ("spec.parameters[1].name", f"is called 'momentum' {RENAMED}"),
                ("spec.parameters[2].name", f"is called 'num_layers' {RENAMED}"),
                ("spec.trialTemplate", UNSAID),
                (
                    "spec.objective.goal",
                    "a trial that reaches it ends here, and others go on; "
                    "there the experiment starts no further trials",
                ),
                (
                    "spec.maxFailedTrialCount",
                    "limits the failed trials of the experiment; max_failures here says how "
                    "often one trial is tried again",
                ),
            ],
        ),
        ("distributions", []),
        ("grid", []),
        (
            "tpe_median",
            [
                (
                    "spec.objective.metricStrategies[0]",
                    "trials are ranked by their best value here",
                ),
                (
                    "spec.earlyStopping",
                    "the length of a trial is not in the file, and max_t needs it: 100 is a "
                    "guess; say it with --max-t",
                ),
                (
                    "spec.earlyStopping",
                    "a trial is compared with every other trial that was at the rung here, and "
                    "with those that have ended successfully alone in Katib: it may be stopped "
                    "earlier",
                ),
                ("spec.resumePolicy", "every sweep can be resumed here"),
                (
                    "spec.algorithm.algorithmSettings.n_EI_candidates",
                    "has no equal here and is left out",
                ),
            ],
        ),
        (
            "hyperband",
            [
                ("spec.parameters[0].name", f"is called 'lr' {RENAMED}"),
                ("spec.parameters[1].name", f"is called 'num_epochs' {RENAMED}"),
                (
                    "spec.algorithm.algorithmSettings.resource_name",
                    "'--num-epochs' is set anew for every rung there, and trials start over; "
                    "here it is 9 for all, and a trial goes on past a rung or is stopped there",
                ),
            ],
        ),
        (
            "pbt",
            [
                (
                    "spec.algorithm.algorithmSettings.suggestion_trial_dir",
                    "where states are kept is a setting of the service here",
                ),
                (
                    "spec.algorithm.algorithmSettings",
                    "the length of a trial is not in the file, and max_t needs it: 100 is a "
                    "guess; say it with --max-t",
                ),
                (
                    "spec.algorithm.algorithmSettings",
                    "every generation is of new trials there, each but the worst perturbed; here "
                    "n_population trials train on through 5 intervals, and the worst alone go on "
                    "from a state of the best, with its parameters perturbed",
                ),
            ],
        ),
        (
            "bayes",
            [("spec.algorithm.algorithmSettings.acq_func", "has no equal here and is left out")],
        ),
    ],
)
def test_what_has_no_equal_is_listed(name: str, expected: list[tuple[str, str]]) -> None:
    assert warned(name) == expected


def test_a_container_is_not_a_function() -> None:
    paths = [path for path, _ in warned("random", Options())]
    assert paths.count("spec.trialTemplate") == 2
    assert [path for path, _ in warned("grid", Options())] == ["spec.trialTemplate"]


def test_searches_that_learn() -> None:
    tpe = read(source("katib/tpe_median.yaml"), Options(trainable="noop", max_t=3_500)).document
    assert tpe["search"] == {"type": "tpe", "seed": 10, "num_trials": 50, "parallel": 3}
    assert tpe["early_stopping"] == {
        "type": "median",
        "grace_period": 4,
        "interval": 4,
        "max_t": 3_500,
        "min_peers": 5,
    }
    bayes = read(source("katib/bayes.yaml"), KNOWN).document["search"]
    assert bayes == {"type": "gp", "num_trials": 30, "parallel": 2, "startup_trials": 6}


def test_hyperband_is_a_rule_here_and_not_a_search() -> None:
    document = read(source("katib/hyperband.yaml"), KNOWN).document
    assert document["search"] == {"type": "random", "num_trials": 9}
    assert document["early_stopping"] == {"type": "hyperband", "max_t": 9, "reduction_factor": 3}
    assert document["parameters"]["num_epochs"] == 9


def population(**how: Any) -> Any:
    """An Experiment of population based training, with other settings or parts of the spec."""
    settings = {"n_population": 8, "truncation_threshold": 0.2, **how.pop("settings", {})}
    listed = [{"name": name, "value": str(value)} for name, value in settings.items()]
    return experiment(algorithm={"algorithmName": "pbt", "algorithmSettings": listed}, **how)


def test_generations_are_intervals_of_one_training() -> None:
    imported = read(source("katib/pbt.yaml"), Options(trainable="noop", max_t=30))
    document = again(imported)
    assert document["search"] == {"type": "random", "num_trials": 8}
    assert document["early_stopping"] == {
        "type": "pbt",
        "interval": 6,
        "max_t": 30,
        "quantile": 0.2,
        "resample_probability": 0,
        "perturb": ["lr", "optimizer"],
    }
    assert imported.notes == (
        "a trial takes over what another has saved: save states with run.save",
    )


def test_populations_that_are_said_otherwise() -> None:
    resampled = population(settings={"resample_probability": 0.3}, maxTrialCount=80)
    imported = read(resampled, KNOWN)
    assert imported.document["early_stopping"]["resample_probability"] == 0.3
    assert imported.warnings[0].message == (
        "a parameter that is not drawn anew is perturbed here, and stays as it is there"
    )
    endless = population()
    del endless["spec"]["maxTrialCount"]
    imported = read(endless, KNOWN)
    assert imported.document["early_stopping"]["interval"] == 10
    assert imported.warnings[0].message == (
        "is missing, and generations go on without end there: 10 are a guess"
    )


def test_a_population_of_one_generation_is_a_random_search() -> None:
    imported = read(population(maxTrialCount=5), KNOWN)
    assert imported.document["search"] == {"type": "random", "num_trials": 5}
    assert "early_stopping" not in imported.document
    (only,) = imported.warnings
    assert (only.path, only.message[:48]) == (
        "spec.maxTrialCount",
        "is not above n_population, so that there is no s",
    )


def test_a_grid_steps_from_min_and_never_past_max() -> None:
    document = again(read(source("katib/grid.yaml"), KNOWN))
    assert document["budget"] == {"trials": 100}
    points = [tuple(t.parameters.values()) for t in Space(parse_spec(document)).trials()]
    expected = itertools.product((0.1, 0.3, 0.5), (1, 2, 3), (16, 32, 48), ("relu", "selu"))
    assert points == list(expected)


@pytest.mark.parametrize(
    ("raw", "path", "found"),
    [
        ({"kind": "Suggestion"}, "kind", "is 'Suggestion': it must be one of Experiment"),
        ({"kind": "Experiment"}, "spec", "is missing"),
        (experiment(nasConfig={}), "spec.nasConfig", "neural architecture search has no equal"),
        (
            experiment(algorithm={"algorithmName": "enas"}),
            "spec.algorithm.algorithmName",
            "is 'enas': it must be one of random, grid",
        ),
        (experiment(parameters=[]), "spec.parameters", "has no parameter"),
        (
            experiment(parameters=[parameter("int", min="0.5", max="3")]),
            "spec.parameters[0].feasibleSpace.min",
            "is '0.5': it must be an integer, written as a text",
        ),
        (
            experiment(parameters=[parameter("double", min="low", max="1")]),
            "spec.parameters[0].feasibleSpace.min",
            "is 'low': it must be a number",
        ),
        (
            experiment(
                parameters=[parameter("double", min="0", max="1", distribution="logUniform")]
            ),
            "spec.parameters[0].feasibleSpace.min",
            "a logarithmic range lies above 0",
        ),
        (
            experiment(parameters=[parameter("discrete", list=["1", "two"])]),
            "spec.parameters[0]",
            "'two' is no number",
        ),
        (
            population(settings={"truncation_threshold": 0.7}),
            "spec.algorithm.algorithmSettings.truncation_threshold",
            "is 0.7: the worst and the best are above 0 and at most half of all here",
        ),
        (
            experiment(algorithm={"algorithmName": "grid"}),
            "spec.parameters[0].feasibleSpace.step",
            "is missing: a grid needs it for a double",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(raw: Any, path: str, found: str) -> None:
    with pytest.raises(SpecError) as refused:
        read(raw, KNOWN)
    (problem,) = refused.value.problems
    assert problem.path == path
    assert found in problem.message
