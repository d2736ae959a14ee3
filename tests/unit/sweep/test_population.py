"""What a spec must hold for population based training, said by field."""

from typing import Any

import pytest

from sweep.errors import SpecError
from sweep.rungs import plan_rungs, rung_steps, trial_steps
from sweep.spec import SweepSpec, parse_spec
from sweep.stopping import Pbt
from sweep.submission import dry_run, read_submission
from sweep.trainables import registered


def raw(rule: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "name": "population",
        "trainable": "some.module:train",
        "metric": {"name": "score", "mode": "max"},
        "parameters": {
            "lr": {"loguniform": {"min": 1e-4, "max": 1}},
            "net": {"dropout": {"uniform": {"min": 0, "max": 1}}, "type": {"grid": ["a", "b"]}},
        },
        "search": {"type": "random", "num_trials": 8},
        "early_stopping": {
            "type": "pbt",
            "interval": 10,
            "max_t": 35,
            "perturb": ["lr", "net.dropout"],
            **(rule or {}),
        },
        **fields,
    }


def problem_paths(raw_spec: dict[str, Any]) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(raw_spec)
    return [problem.path for problem in caught.value.problems]


def test_a_list_of_names_and_a_mapping_mean_the_same() -> None:
    spec = parse_spec(raw())
    named = parse_spec(raw({"perturb": {"lr": {}, "net.dropout": {"factors": [0.8, 1.2]}}}))
    assert isinstance(spec.early_stopping, Pbt)
    assert spec == named
    again: SweepSpec = parse_spec(spec.model_dump(mode="json"))
    assert again == spec
    assert spec.early_stopping.quantile == spec.early_stopping.resample_probability == 0.25


def test_trials_are_compared_at_every_interval_and_none_is_stopped() -> None:
    rule = parse_spec(raw()).early_stopping
    assert rung_steps(rule) == (10, 20, 30)
    assert plan_rungs(rule, 8) == ()
    assert trial_steps(rule, 8) == 8 * 35
    plan = dry_run(read_submission(raw(), trainables={}, max_trials=100))
    assert (plan.trials, plan.trial_steps, plan.rungs) == (8, 280, ())


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (raw({"perturb": ["momentum"]}), "early_stopping.perturb.momentum"),
        (raw({"perturb": ["net.type"]}), "early_stopping.perturb.net.type"),
        (raw({"perturb": ["lr"], "group_by": ["lr"]}), "early_stopping.perturb.lr"),
        (
            raw({"perturb": ["net.dropout"], "group_by": ["net"]}),
            "early_stopping.perturb.net.dropout",
        ),
        (raw({"interval": 35}), "early_stopping.interval"),
        (raw({"interval": 1, "max_t": 100_000}), "early_stopping.interval"),
        (raw(replicates=2), "replicates"),
        (raw({"perturb": []}), "early_stopping.perturb"),
        (raw({"perturb": {"lr": {"factors": []}}}), "early_stopping.perturb.lr.factors"),
        (raw({"quantile": 0.6}), "early_stopping.quantile"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(spec: dict[str, Any], path: str) -> None:
    assert problem_paths(spec) == [path]


def test_what_is_wrong_with_steps_and_with_parameters_is_said_at_once() -> None:
    assert problem_paths(raw({"interval": 35, "perturb": ["momentum"]})) == [
        "early_stopping.interval",
        "early_stopping.perturb.momentum",
    ]


def test_what_decides_whether_others_are_there_is_not_explored() -> None:
    parameters = {
        "optimizer": {"choice": ["sgd", "adam"]},
        "momentum": {"when": "optimizer == 'sgd'", "uniform": {"min": 0, "max": 1}},
    }
    fields = {"parameters": parameters}
    assert problem_paths(raw({"perturb": ["optimizer"]}, **fields)) == [
        "early_stopping.perturb.optimizer"
    ]
    assert parse_spec(raw({"perturb": ["momentum"]}, **fields))


@pytest.mark.parametrize("rule", [{"group_by": ["network.type"]}, {}])
def test_what_holds_what_a_trial_is_compared_by_is_not_explored(rule: dict[str, Any]) -> None:
    parameters = {
        "network": {"choice": [{"type": "conv"}, {"type": "dense"}]},
        "width": {"when": "network.type == 'conv'", "choice": [8, 16]},
    }
    if rule:
        del parameters["width"]
    found = problem_paths(raw({"perturb": ["network"], **rule}, parameters=parameters))
    assert found == ["early_stopping.perturb.network"]


def test_a_pack_may_explore_what_its_first_trial_lacks() -> None:
    parameters = {
        "task": {"grid": ["one_hot_sum", "elementwise_mul"]},
        "dataset": "many_hot",
        "opt": {
            "when": "task == 'elementwise_mul'",
            "lr": {"loguniform": {"min": 1e-4, "max": 1e-1}},
        },
    }
    spec = raw(
        {"perturb": ["opt.lr"]},
        trainable="arithmetic",
        parameters=parameters,
        metric={"name": "accuracy", "mode": "max"},
    )
    assert read_submission(spec, trainables=registered(), max_trials=100)


def test_a_pack_explores_only_what_is_each_members_own() -> None:
    parameters = {
        "task": "elementwise_mul",
        "dataset": "many_hot",
        "network": {"type": "multiply"},
        "lr": {"loguniform": {"min": 1e-4, "max": 1e-1}},
        "batch_size": {"choice": [16, 32]},
    }
    fields = {
        "trainable": "arithmetic",
        "parameters": parameters,
        "metric": {"name": "accuracy", "mode": "max"},
    }

    def submit(perturb: list[str], **others: Any) -> None:
        spec = raw({"perturb": perturb}, **fields, **others)
        read_submission(spec, trainables=registered(), max_trials=100)

    submit(["lr"])
    submit(["lr", "batch_size"], pack="off")
    with pytest.raises(SpecError, match="pack share") as caught:
        submit(["lr", "batch_size"])
    assert [p.path for p in caught.value.problems] == ["early_stopping.perturb.batch_size"]
    parameters["lr"] = {"uniform": {"min": -0.01, "max": 0.1}}  # values that are refused, too
    submit(["lr"])
    with pytest.raises(SpecError, match="pack share") as caught:
        submit(["lr", "batch_size"])
    assert [p.path for p in caught.value.problems] == ["early_stopping.perturb.batch_size"]
