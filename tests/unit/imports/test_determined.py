"""Determined experiment configurations: every field but the draws."""

import itertools
from typing import Any

import pytest

from sweep.errors import SpecError
from sweep.imports.common import Options
from sweep.imports.determined import read
from sweep.space import Space
from sweep.spec import parse_spec
from tests.unit.imports.drawing import KNOWN, again, source

MINIMAL = {
    "hyperparameters": {"lr": 0.1},
    "searcher": {"name": "random", "metric": "loss", "max_trials": 4, "max_length": {"epochs": 3}},
}


def warned(raw: Any) -> list[tuple[str, str]]:
    return [(w.path, w.message) for w in read(raw, KNOWN).warnings]


def searching(**searcher: Any) -> Any:
    return {**MINIMAL, "searcher": {"name": "adaptive_asha", "metric": "loss", **searcher}}


def test_the_parts_of_a_spec() -> None:
    imported = read(source("determined/random.yaml"), Options())
    document = again(imported)
    assert document["name"] == "random"
    assert document["description"] == "The four kinds"
    assert document["tags"] == ["digits", "first"]
    assert document["metric"] == {"name": "accuracy", "mode": "max"}
    assert document["search"] == {"type": "random", "num_trials": 64, "seed": 1234}
    assert document["early_stopping"] == {"type": "none", "max_t": 12}
    assert document["parameters"]["layers"] == {"randint": {"min": 1, "max": 4}}
    assert [(w.path, w.message) for w in imported.warnings] == [
        ("entrypoint", "'model_def:DigitsTrial' must be a function train(params, run) here")
    ]
    assert imported.notes == (
        "a step is what Determined counts as epochs: report at that number of them",
    )


@pytest.mark.parametrize(
    ("name", "trainable", "messages"),
    [
        ("single", "train.py", []),
        (
            "grid",
            "train.py",
            [
                "'-m determined.launch.torch_distributed' is left out: "
                "the script runs by itself here"
            ],
        ),
    ],
)
def test_entrypoints_that_are_scripts(name: str, trainable: str, messages: list[str]) -> None:
    imported = read(source(f"determined/{name}.yaml"), Options())
    assert imported.document["trainable"] == trainable
    assert [w.message for w in imported.warnings] == messages


def test_defaults_are_written_out() -> None:
    document = read(MINIMAL, KNOWN).document
    assert document["max_concurrent"] == 16
    assert document["max_failures"] == 5
    assert document["resources"] == {"cpu": 1, "gpu": 1}
    assert document["metric"]["mode"] == "min"


@pytest.mark.parametrize("name", ["random", "grid", "adaptive", "single"])
def test_what_has_an_equal_has_no_warning(name: str) -> None:
    assert warned(source(f"determined/{name}.yaml")) == []


def test_what_has_none_is_listed() -> None:
    assert warned(source("determined/adaptive_old.yaml")) == [
        (
            "resources.priority",
            "smaller numbers go first there and higher ones here: set priority yourself",
        ),
        ("resources.resource_pool", "has no equal here and is left out"),
        (
            "searcher.mode",
            "trials have 3, 4, 5 rungs there, each bracket its own number; here a few have "
            "fewer, down to 1, as with mode: conservative",
        ),
        (
            "searcher.stop_once",
            "is false: there a trial waits at a rung and may go on later; here a stopped trial "
            "is not resumed, as with stop_once: true",
        ),
        (
            "searcher.max_length",
            "most releases that take it add up the lengths of the rungs: with those they stand "
            "at 3, 18, 80, 330, and a trial ends at 1330",
        ),
        ("searcher", "rungs stand at 4, 16, 63, 250 here and at 3, 15, 62, 250 there"),
        (
            "checkpoint_storage.type",
            "where states are kept is a setting of the service here",
        ),
        (
            "checkpoint_storage.host_path",
            "where states are kept is a setting of the service here",
        ),
        (
            "searcher.source_trial_id",
            "a trial starts from its own weights here: load them in your training function",
        ),
        ("min_validation_period", "has no equal here and is left out"),
        ("environment", "has no equal here and is left out"),
    ]
    document = read(source("determined/adaptive_old.yaml"), KNOWN).document
    assert document["checkpoints"] == {"keep_last": 3, "keep_best": False}


def test_a_grid_lies_as_determined_lays_it_out() -> None:
    document = again(read(source("determined/grid.yaml"), KNOWN))
    assert "max_concurrent" not in document
    parameters = document["parameters"]
    assert parameters["learning_rate"]["grid"] == pytest.approx([1e-5, 1e-4, 1e-3])
    assert parameters["dropout"]["grid"] == pytest.approx([0.1, 0.3, 0.5])
    assert parameters["layers"] == {"grid": [0, 1, 2]}
    assert parameters["width"] == {"grid": [1, 3, 6, 8]}  # 1, 3.33, 5.67, 8
    assert parameters["middle"] == {"grid": [3]}  # 2.5, rounded away from zero
    assert parameters["log_middle"]["grid"] == pytest.approx([1e-3])
    assert parameters["net"] == {"act": {"grid": ["relu", "selu"]}, "depth": 2}
    trials = [t.parameters for t in Space(parse_spec(document)).trials()]
    assert len(trials) == 3 * 3 * 3 * 4 * 2
    order = itertools.product((0, 1, 2), (1, 3, 6, 8), ("relu", "selu"))
    found = [(t["layers"], t["width"], t["net"]["act"]) for t in trials[:24]]  # type: ignore[call-overload,index]
    assert found == list(order)


def test_adaptive_asha_in_one_bracket_is_asha() -> None:
    document = read(source("determined/adaptive.yaml"), KNOWN).document
    assert document["early_stopping"] == {
        "type": "asha",
        "grace_period": 4,
        "max_t": 256,
        "reduction_factor": 4.0,
        "min_peers": 1,
    }
    assert document["search"] == {"type": "random", "num_trials": 100, "seed": 0}
    assert document["resources"] == {"cpu": 1, "gpu": 2}
    assert document["weight"] == 3
    assert document["max_failures"] == 1
    assert document["max_concurrent"] == 4  # 8 slots of which a trial takes two


@pytest.mark.parametrize(
    ("searcher", "brackets", "paths"),
    [
        ({"mode": "conservative"}, 5, []),
        ({"mode": "standard"}, 5, ["searcher.mode"]),
        ({"mode": "conservative", "max_rungs": 3}, 3, []),
        ({"mode": "conservative", "max_trials": 17}, 3, []),  # 17 trials make 3 rungs of 4
        ({"bracket_rungs": [2, 4]}, 4, ["searcher.bracket_rungs"]),
    ],
)
def test_several_brackets_are_hyperband(
    searcher: dict[str, Any], brackets: int, paths: list[str]
) -> None:
    whole = {"time_metric": "batches", "max_time": 256, "max_trials": 500, **searcher}
    imported = read(searching(**whole), KNOWN)
    assert imported.document["early_stopping"] == {
        "type": "hyperband",
        "max_t": 256,
        "reduction_factor": 4.0,
        "brackets": brackets,
        "min_peers": 1,
    }
    assert [w.path for w in imported.warnings] == paths


def test_rungs_whose_lengths_are_added_up_are_listed() -> None:
    """As the searchers of the releases with max_length do; those with max_time do not."""
    whole = {"mode": "aggressive", "max_rungs": 4, "max_trials": 64, "stop_once": True}
    plain = warned(searching(**whole, time_metric="batches", max_time=1000))
    added = warned(searching(**whole, max_length={"batches": 1000}))
    assert plain == [("searcher", "rungs stand at 16, 64, 256 here and at 15, 62, 250 there")]
    assert added == [
        (
            "searcher.max_length",
            "most releases that take it add up the lengths of the rungs: with those they stand "
            "at 15, 77, 327, and a trial ends at 1327",
        ),
        *plain,
    ]


def test_counts_are_for_grids_alone() -> None:
    drawn = {"type": "double", "minval": 0, "maxval": 1, "count": 7}
    assert warned({**MINIMAL, "hyperparameters": {"x": drawn}}) == [
        ("hyperparameters.x.count", "values are drawn, not listed: it has no effect")
    ]


def test_states_that_are_kept_otherwise_are_listed() -> None:
    kept = {"save_trial_latest": 0, "save_trial_best": 3}
    assert warned({**MINIMAL, "checkpoint_storage": kept}) == [
        ("checkpoint_storage.save_trial_latest", "the newest state is always kept here"),
        ("checkpoint_storage.save_trial_best", "one best state is kept here"),
    ]


def test_exact_powers_count_as_whole_rungs() -> None:
    """243 is 3 to the fifth, though its logarithm divided by that of 3 is below 5."""
    raw = searching(
        mode="aggressive", divisor=3, max_rungs=9, max_time=243, max_trials=10_000, time_metric="n"
    )
    assert read(raw, KNOWN).document["early_stopping"]["grace_period"] == 1


def test_zero_at_once_means_as_many_as_fit() -> None:
    raw = {**MINIMAL, "searcher": {**MINIMAL["searcher"], "max_concurrent_trials": 0}}
    assert "max_concurrent" not in read(raw, KNOWN).document


def test_constants_that_are_called_like_kinds_stay_constants() -> None:
    normal = {"normal": {"mean": 0.5, "std": 0.2}}
    given = {"transform": normal, "opt": {"choice": [1, 2, 3]}, "lr": 0.1}
    imported = read({**MINIMAL, "hyperparameters": given}, KNOWN)
    trial = next(t.parameters for t in Space(parse_spec(again(imported))).trials())
    assert trial == given


@pytest.mark.parametrize(
    ("raw", "path", "found"),
    [
        ({}, "searcher", "is missing"),
        (searching(name="custom"), "searcher.name", "is 'custom': it must be one of single"),
        (searching(max_trials=4), "searcher", "needs max_length, or time_metric and max_time"),
        (
            {**MINIMAL, "hyperparameters": {"x": {"type": "int", "minval": 3, "maxval": 1}}},
            "hyperparameters.x",
            "minval 3 is above maxval 1",
        ),
        (
            {**MINIMAL, "hyperparameters": {"x": {"type": "log", "minval": 1, "maxval": 1000}}},
            "hyperparameters.x",
            "did you give the values themselves?",
        ),
        (
            {
                "hyperparameters": {"x": {"type": "double", "minval": 0, "maxval": 1}},
                "searcher": {"name": "grid", "metric": "loss"},
            },
            "hyperparameters.x.count",
            "is None: a grid needs one from 1 to 10,000",
        ),
        (
            {
                "hyperparameters": {"x": {"type": "double", "minval": 0, "maxval": 1}},
                "searcher": {"name": "single", "metric": "loss"},
            },
            "hyperparameters.x",
            "the single searcher takes constants alone",
        ),
        (
            {**MINIMAL, "searcher": {**MINIMAL["searcher"], "max_length": {"hours": 3}}},
            "searcher.max_length",
            "must have one of batches, epochs, records",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(raw: Any, path: str, found: str) -> None:
    with pytest.raises(SpecError) as refused:
        read(raw, KNOWN)
    (problem,) = refused.value.problems
    assert problem.path == path
    assert found in problem.message
