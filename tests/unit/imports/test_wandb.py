"""W&B sweep configurations: every field but the draws, which have tests of their own."""

import math
from typing import Any

import pytest

from sweep.errors import SpecError, SpecTooLarge
from sweep.imports.common import Options
from sweep.imports.wandb import read
from sweep.space import Space
from sweep.spec import parse_spec
from tests.unit.imports.drawing import KNOWN, again, source

MINIMAL = {
    "method": "random",
    "run_cap": 5,
    "metric": {"name": "loss"},
    "parameters": {"x": {"values": [1, 2]}},
}
STRICTLY = ("early_terminate.strict", "trials are always stopped strictly here")


def warned(raw: Any, options: Options = KNOWN) -> list[tuple[str, str]]:
    return [(w.path, w.message) for w in read(raw, options).warnings]


def one(parameter: Any, **top: Any) -> Any:
    """What a single parameter becomes."""
    raw = {**MINIMAL, "parameters": {"x": parameter}, **top}
    return read(raw, KNOWN).document["parameters"]["x"]


def test_the_parts_of_a_spec() -> None:
    document = again(read(source("wandb/inferred.yaml"), Options()))
    assert document["name"] == "inferred"
    assert document["tags"] == ["digits"]
    assert document["max_failures"] == 0
    assert document["trainable"] == "scripts/train.py"
    assert document["metric"] == {"name": "accuracy", "mode": "max"}
    assert document["search"] == {"type": "random", "num_trials": 30}
    assert "early_stopping" not in document
    assert document["parameters"]["layers"] == {"randint": {"min": 1, "max": 4}}
    assert document["parameters"]["dropout"] == {"uniform": {"min": 0, "max": 0.5}}


@pytest.mark.parametrize("name", ["logs", "inferred", "quantised"])
def test_what_has_an_equal_has_no_warning(name: str) -> None:
    assert warned(source(f"wandb/{name}.yaml")) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "too_fine",
            [
                (
                    "parameters.uniform",
                    "the first and the last value are as likely here as the others",
                ),
                ("parameters.batch", "values are real numbers here, such as 8.0"),
                (
                    "parameters.crooked",
                    "multiples outside the range are never rounded to here",
                ),
            ],
        ),
        (
            "nested",
            [
                (
                    "parameters.optimizer.parameters.learning-rate",
                    "is called 'learning_rate' here: names have letters, digits and _",
                ),
                (
                    "parameters.model.width",
                    "is called 'model_width' here: names have letters, digits and _",
                ),
            ],
        ),
        (
            "grid",
            [
                (
                    "parameters.drop",
                    "W&B does not say which values a grid takes of it: it takes every multiple",
                ),
                (
                    "metric.target",
                    "a trial that reaches it ends here, and others go on; "
                    "there the sweep starts no further runs",
                ),
            ],
        ),
        (
            "brackets_max",
            [
                (
                    "parameters.width",
                    "the first and the last value are as likely here as the others",
                ),
                STRICTLY,
                (
                    "early_terminate.max_iter",
                    "every trial is completed at that step here; there it sets brackets alone, "
                    "and runs go on to their own end: say it with --max-t",
                ),
            ],
        ),
        (
            "brackets_min",
            [
                ("metric.impute", "has no equal here and is left out"),
                (
                    "run_cap",
                    "the search has no end there and needs a number here: 100 is a guess; "
                    "say it with --num-trials",
                ),
                STRICTLY,
                (
                    "early_terminate.min_iter",
                    "the length of a run is not in the file, and max_t needs it: 243 is a guess; "
                    "say it with --max-t",
                ),
                (
                    "command",
                    "trials get their parameters as a mapping here; '--data digits' is left out: "
                    "make parameters of it",
                ),
                ("entity", "has no equal here and is left out"),
            ],
        ),
    ],
)
def test_what_has_none_is_listed(name: str, expected: list[tuple[str, str]]) -> None:
    assert warned(source(f"wandb/{name}.yaml")) == expected


def test_a_program_is_a_script_here_too() -> None:
    imported = read({**MINIMAL, "program": "./train.py"}, Options())
    assert imported.document["trainable"] == "train.py"
    assert imported.warnings == ()
    assert imported.notes == (
        "train.py gets its trial by sweep.run(); submit the spec with --code and its folder",
    )
    (only,) = read(MINIMAL, Options()).warnings
    assert (only.path, only.message) == (
        "program",
        "names no program: 'train.py' is a guess; say it with --trainable",
    )


def test_what_the_person_says_goes_before_the_file() -> None:
    options = Options(trainable="noop", metric="error", mode="max", num_trials=7, max_t=50)
    document = read(source("wandb/logs.yaml"), options).document
    assert document["trainable"] == "noop"
    assert document["metric"] == {"name": "error", "mode": "max"}
    assert document["search"]["num_trials"] == 7
    assert document["early_stopping"] == {"type": "none", "max_t": 50}


def test_a_grid_has_every_point_once() -> None:
    imported = read(source("wandb/grid.yaml"), KNOWN)
    document = again(imported)
    assert document["budget"] == {"trials": 20}
    assert document["metric"]["target"] == 0.99
    points = [trial.parameters for trial in Space(parse_spec(document)).trials()]
    assert points == [
        {"lr": lr, "layers": layers, "drop": drop, "seed": 7}
        for lr in (0.1, 0.01, 0.001)
        for layers in (1, 2, 3)
        for drop in (0.0, 0.25, 0.5)
    ]


def test_a_grid_without_end_becomes_a_random_search() -> None:
    imported = read(source("wandb/endless_grid.yaml"), KNOWN)
    assert [w.path for w in imported.warnings] == ["method", "run_cap"]
    assert imported.document["search"] == {"type": "random", "num_trials": 100}
    trials = list(Space(parse_spec(again(imported))).trials())
    assert [t.parameters["layers"] for t in trials[:6]] == [1, 2, 3, 1, 2, 3]


def test_what_a_service_would_not_count_is_refused() -> None:
    every = {"values": list(range(100))}
    with pytest.raises(SpecTooLarge, match="has 100,000,000 trials"):
        read({**MINIMAL, "method": "grid", "parameters": dict.fromkeys("abcd", every)}, KNOWN)
    mixed = {"x": every, "y": {"min": 0.0, "max": 1.0}}
    with pytest.raises(SpecError, match="5 is below the 100 grid points"):
        read({**MINIMAL, "method": "grid", "parameters": mixed}, KNOWN)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"min_iter": 3}, (3, 81, 3)),  # 3, 9, 27
        ({"max_iter": 27, "s": 2}, (3, 27, 3)),  # 3, 9
        ({"max_iter": 32, "s": 5, "eta": 2}, (1, 32, 2)),  # 1, 2, 4, 8, 16
        ({"max_iter": 4, "s": 9, "eta": 2}, (1, 4, 2)),  # no bracket below 1
        ({"min_iter": 2, "eta": 2.5, "max_iter": 20}, (2, 20, 2.5)),  # 2, 5, 12.5
    ],
)
def test_brackets(rule: dict[str, Any], expected: tuple[int, int, float]) -> None:
    options = Options(trainable="noop", max_t=rule.get("max_iter", 81))
    raw = {**MINIMAL, "early_terminate": {"type": "hyperband", "strict": True, **rule}}
    imported = read(raw, options)
    first, max_t, factor = expected
    assert imported.document["early_stopping"] == {
        "type": "asha",
        "grace_period": first,
        "max_t": max_t,
        "reduction_factor": factor,
        "min_peers": 1,
    }
    ends_well = float(factor).is_integer()
    assert [w.path for w in imported.warnings] == ([] if ends_well else ["early_terminate"])


def test_brackets_that_rounding_moves_are_listed() -> None:
    rule = {"type": "hyperband", "max_iter": 20, "s": 2, "strict": True}
    options = Options(trainable="noop", max_t=20)
    assert warned({**MINIMAL, "early_terminate": rule}, options) == [
        ("early_terminate", "rungs stand at 3, 9 here and at 2, 6 there")
    ]


def test_a_log_uniform_with_values_for_exponents_is_pointed_out() -> None:
    raw = {**MINIMAL, "parameters": {"x": {"distribution": "log_uniform", "min": 1e-4, "max": 0.1}}}
    imported = read(raw, KNOWN)
    assert imported.warnings == ()
    assert imported.notes == (
        "parameters.x: log_uniform takes exponents of e, so that the values lie near 1; "
        "for values from 0.0001 to 0.1 it is log_uniform_values",
    )
    assert imported.document["parameters"]["x"] == {
        "loguniform": {"min": math.exp(1e-4), "max": math.exp(0.1)}
    }


def test_quantisation_by_kind_where_one_means_the_same() -> None:
    assert one({"distribution": "q_log_uniform_values", "min": 0.1, "max": 2.0, "q": 0.1}) == {
        "qloguniform": {"min": 0.1, "max": 2.0, "step": 0.1}
    }
    assert one({"distribution": "q_normal", "q": 0.5}) == {
        "qnormal": {"mean": 0, "std": 1, "step": 0.5}
    }
    assert one({"distribution": "q_uniform", "min": 0, "max": 4, "q": 2}) == {
        "choice": {"values": [0, 2, 4], "weights": [0.5, 1.0, 0.5]}
    }
    assert one({"distribution": "q_uniform", "min": 3, "max": 3, "q": 2}) == {"choice": [4]}
    assert one({"distribution": "q_normal", "mu": 7, "sigma": 0, "q": 5}) == 5


def test_a_search_that_learns_is_told_the_order() -> None:
    batch = {"distribution": "q_uniform", "min": 16, "max": 128, "q": 16}
    assert one(batch, method="bayes") == {"qrandint": {"min": 16, "max": 128, "step": 16}}


def test_constants_of_every_form() -> None:
    assert one({"value": None}) is None
    assert one({"value": [1, {"a": 2}]}) == [1, {"a": 2}]
    assert one({"value": {"depth": 2}}) == {"depth": 2}
    assert one({"value": {"choice": [1, 2]}}) == {"grid": [{"choice": [1, 2]}]}
    assert one({"distribution": "normal", "mu": 2, "sigma": 0}) == 2


def test_nested_constants_that_are_called_like_kinds_stay_constants() -> None:
    constants = {"normal": {"parameters": {"mean": {"value": 0.5}, "std": {"value": 0.2}}}}
    expected = {"normal": {"mean": 0.5, "std": 0.2}}
    assert one({"parameters": constants}) == {"grid": [expected]}
    both = {"value": {"value": 1}, "when": {"value": "x == 1"}}
    assert one({"parameters": both}) == {"grid": [{"value": 1, "when": "x == 1"}]}
    assert one({"parameters": {"beta": {"value": 1}}}) == {"beta": 1}
    with pytest.raises(SpecError, match="has parameters called 'uniform'"):
        one({"parameters": {"uniform": {"min": 0, "max": 1}}})


@pytest.mark.parametrize(
    ("raw", "path", "found"),
    [
        ([], "", "must be a mapping; got []"),
        ({"method": "sobol"}, "method", "is 'sobol': it must be one of grid, random, bayes"),
        ({"method": "random"}, "parameters", "is missing: a sweep needs parameters"),
        ({**MINIMAL, "parameters": {"x": None}}, "parameters.x", "is empty"),
        ({**MINIMAL, "parameters": {"x": {"mu": 1}}}, "parameters.x", "says neither value"),
        (
            {**MINIMAL, "parameters": {"x": {"min": 2, "max": 1}}},
            "parameters.x",
            "min 2 is above max 1",
        ),
        (
            {**MINIMAL, "parameters": {"x": {"min": "a", "max": 1}}},
            "parameters.x.min",
            "is 'a': it must be a finite number",
        ),
        (
            {**MINIMAL, "parameters": {"x": {"distribution": "q_poisson"}}},
            "parameters.x.distribution",
            "'q_poisson' is no distribution that W&B documents",
        ),
        (
            {
                **MINIMAL,
                "parameters": {"x": {"distribution": "log_uniform", "min": 1, "max": 1000}},
            },
            "parameters.x",
            "did you mean log_uniform_values?",
        ),
        (
            {**MINIMAL, "parameters": {"a-b": {"value": 1}, "a.b": {"value": 2}}},
            "parameters.a.b",
            "'a.b' and 'a-b' would both be called 'a_b'",
        ),
        (
            {**MINIMAL, "early_terminate": {"type": "hyperband"}},
            "early_terminate",
            "needs min_iter, or max_iter and s",
        ),
        (
            {**MINIMAL, "run_cap": 0},
            "run_cap",
            "is 0: it must be an integer from 1 up",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(raw: Any, path: str, found: str) -> None:
    with pytest.raises(SpecError) as refused:
        read(raw, KNOWN)
    (problem,) = refused.value.problems
    assert problem.path == path
    assert found in problem.message
