"""Rungs, documents, states and the rules of `run`."""

import math
from typing import Any

import jsonschema
import pytest

from sweep.errors import FieldProblem, SpecError, SpecTooLarge, TrialFault
from sweep.loading import load_json, load_yaml
from sweep.parameters import parse_nodes
from sweep.plain import check_plain
from sweep.run import NullRun, TrialStop
from sweep.rungs import plan_rungs, rung_steps, trial_steps
from sweep.spec import SweepSpec, parse_spec
from sweep.states import (
    FINAL_SWEEP_STATES,
    FINAL_TRIAL_STATES,
    SWEEP_TRANSITIONS,
    TRIAL_TRANSITIONS,
    SweepState,
    TrialState,
    sources_of_sweep,
)
from sweep.stopping import Asha, Halving, NoStopping, RestartWinner


def test_rungs_stand_at_powers_of_the_factor_below_max_t() -> None:
    assert rung_steps(Asha(grace_period=300, max_t=3000)) == (300, 900, 2700)
    assert rung_steps(Asha(grace_period=1, max_t=9)) == (1, 3)
    assert rung_steps(Asha(grace_period=2, max_t=10, reduction_factor=1.5)) == (2, 3, 5, 7)
    assert rung_steps(Halving(max_t=1000)) == ()
    assert rung_steps(Halving(max_t=10, grace_period=2)) == (2, 6)
    assert rung_steps(NoStopping(max_t=10)) == ()


def test_a_plan_says_how_many_go_on_and_how_long_it_takes() -> None:
    halving = Halving(max_t=9, grace_period=1)
    assert [(r.step, r.keeps) for r in plan_rungs(halving, 9)] == [(1, 3), (3, 1)]
    assert trial_steps(halving, 9) == 9 * 1 + 3 * 2 + 1 * 6
    restart = Halving(max_t=1000, restart_winner=RestartWinner(max_t=30_000))
    assert trial_steps(restart, 9) == 9 * 1000 + 30_000
    asha = Asha(max_t=9, grace_period=3, min_peers=3)
    assert [(r.step, r.keeps) for r in plan_rungs(asha, 3)] == [(3, 3)]
    assert trial_steps(NoStopping(), 5) is None


def test_yaml_has_the_scalars_of_yaml_1_2() -> None:
    text = "{a: 1e-4, b: off, c: 010, d: yes, e: ~, f: true, g: 1.5, h: '1', i: 0x10, j: 1:30}"
    assert load_yaml(text) == {
        **{"a": 1e-4, "b": "off", "c": 10, "d": "yes", "e": None, "f": True},
        **{"g": 1.5, "h": "1", "i": "0x10", "j": "1:30"},
    }
    assert load_yaml("a: &x [1]\nb: *x") == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: [1", "line 1"),
        ("a: 1\na: 2", "stands twice"),
        ("&a [*a]", "its own parent"),
        ("!!python/name:os.system", "python/name"),
        ("a: *nope", "nope"),
        ("{[1]: 2}", "valid YAML"),
        ("a: \x07", "valid YAML"),
    ],
)
def test_a_bad_document_is_said_with_its_place(text: str, part: str) -> None:
    with pytest.raises(SpecError, match=None) as caught:
        load_yaml(text)
    assert part in caught.value.message


@pytest.mark.parametrize(
    "text", ["[" * 60 + "]" * 60, "x" * 1_000_001, "[" + "1," * 100_001 + "1]"]
)
def test_a_document_over_the_limits_is_refused(text: str) -> None:
    with pytest.raises(SpecTooLarge):
        load_yaml(text)


@pytest.mark.parametrize("text", [b"{", b'{"a": NaN}', b'{"a": Infinity}', b"[" * 5000, b"\xff"])
def test_bad_json_is_refused(text: bytes) -> None:
    with pytest.raises(SpecError):
        load_json(text)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"a": [1, math.nan]}, "a[1]"),
        ({"a": {"b": math.inf}}, "a.b"),
        ({"a": "x\x00"}, "a"),
        ({"a": "\ud800"}, "a"),
        ({"a": 2**63}, "a"),
        ({1: 2}, "1"),
        ({"a": b"x"}, "a"),
        ({"a": {1, 2}}, "a"),
    ],
)
def test_what_is_no_plain_data_is_named(raw: object, path: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_plain(raw)
    assert [p.path for p in caught.value.problems] == [path]


def test_a_history_is_plain_data_too() -> None:
    points = [{"parameters": {"x": x}, "value": 1} for x in (1, math.inf)]
    with pytest.raises(SpecError) as caught:
        parse_spec({"name": "s", "search": {"type": "tpe", "num_trials": 1, "history": points}})
    assert [p.path for p in caught.value.problems] == ["search.history[1].parameters.x"]


def test_a_union_is_not_part_of_a_path() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(
            {
                "name": "x",
                "trainable": "m:f",
                "metric": {"name": "m", "mode": "min"},
                "parameters": {},
                "early_stopping": {"type": "asha", "max_t": "many", "grace": 1},
            }
        )
    paths = {p.path for p in caught.value.problems}
    assert paths == {"early_stopping.max_t", "early_stopping.grace"}


def test_the_json_schema_names_every_field() -> None:
    schema = SweepSpec.model_json_schema()
    assert set(schema["properties"]) == set(SweepSpec.model_fields)
    kinds = schema["properties"]["parameters"]["patternProperties"]
    assert "loguniform" in str(kinds)


def test_transitions_are_between_states_and_final_ones_lead_nowhere_but_back() -> None:
    assert set(SWEEP_TRANSITIONS) == set(SweepState)
    assert set(TRIAL_TRANSITIONS) == set(TrialState)
    for state in FINAL_SWEEP_STATES:
        assert SWEEP_TRANSITIONS[state] <= {SweepState.QUEUED}
    for final in FINAL_TRIAL_STATES:
        assert TRIAL_TRANSITIONS[final] <= {TrialState.PENDING}
    for a, targets in SWEEP_TRANSITIONS.items():
        assert all(a in sources_of_sweep(b) for b in targets)


@pytest.mark.parametrize(
    ("step", "metrics"),
    [
        *((step, {"a": 1.0}) for step in (0, -1, True, 1.5, 2**63)),
        *((1, metrics) for metrics in ({}, {"a": "x"}, {"a": None})),
    ],
)
def test_a_report_that_breaks_a_rule_is_a_fault(step: int, metrics: dict[str, float]) -> None:
    with pytest.raises(TrialFault):
        NullRun().report(step, **metrics)


def test_a_null_run_stops_where_a_sweep_does() -> None:
    run = NullRun(max_t=3)
    run.report(1, a=1.0)
    run.save({"x": 1})
    assert run.restore() == {"x": 1}
    with pytest.raises(TrialFault, match="ascend"):
        run.report(1, a=1.0)
    with pytest.raises(TrialStop, match="max_t"):
        run.report(3, a=1.0)
    with pytest.raises(TrialStop, match="diverged"):
        NullRun().report(1, a=math.nan)
    assert list(run) == [(1, {"a": 1.0}), (3, {"a": 1.0})]


def test_an_error_says_all_its_problems() -> None:
    error = SpecError([FieldProblem("a", "is bad"), FieldProblem("", "all is bad")])
    assert error.message == "a: is bad; all is bad"


PARAMETERS = [
    {"x": {"when": "y == 1", "grid": [1, 2]}, "y": 1},
    {"x": {"when": "y == 1", "value": {"z": 3}}, "y": [1, 2]},
    {"x": {"when": "y == 1", "a": 3, "b": {"beta": {"a": 1, "b": 2}}}, "y": None},
    {"adam": {"beta": 0.9}, "sgd": {"beta": {"grid": [1]}}},
    {"x": {"qrandint": {"min": 1, "max": 9, "step": 2}}},
    {"x": {"choice": {"values": ["a", "b"], "weights": [1, 2]}}},
]
BAD_PARAMETERS = [
    {"x": {"when": 3, "value": 1}},
    {"x": {"when": "y == 1"}},
    {"x": {"when": "y == 1", "grid": [1], "lr": 2}},
    {"x": {"qlognormal": {"mean": 0, "std": 1}}},
    {"x": {"beta": {"a": 1}}},
    {"x": {"lognormal": {"mean": 0, "std": 0}}},
    {"x": {"choice": []}},
]


@pytest.mark.parametrize("parameters", PARAMETERS + BAD_PARAMETERS, ids=str)
def test_the_json_schema_says_what_parameters_may_be(parameters: dict[str, Any]) -> None:
    schema = SweepSpec.model_json_schema()["properties"]["parameters"]
    fits = jsonschema.Draft202012Validator(schema).is_valid(parameters)
    assert fits == (parameters in PARAMETERS)
    try:
        parse_nodes(parameters, "parameters")
    except SpecError:
        assert not fits
    else:
        assert fits
