"""The search space: counted by multiplication, enumerated in order, a function of its seed."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.errors import SpecError, SpecTooLarge
from sweep.space import PlannedTrial, Space, lookup
from sweep.spec import SweepSpec, parse_spec
from tests.strategies import specs

SLOW = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)


def make(parameters: dict[str, Any], **fields: Any) -> SweepSpec:
    return parse_spec(
        {
            "name": "s",
            "trainable": "m:f",
            "metric": {"name": "m", "mode": "min"},
            "parameters": parameters,
            **fields,
        }
    )


def first(spec: SweepSpec, count: int) -> list[PlannedTrial]:
    return list(itertools.islice(Space(spec).trials(), count))


@SLOW
@given(specs)
def test_a_spec_survives_being_written_down(raw: dict[str, Any]) -> None:
    spec = parse_spec(raw)
    again = parse_spec(json.loads(spec.model_dump_json()))
    assert again == spec
    assert first(again, 20) == first(spec, 20)


@SLOW
@given(specs)
def test_trials_are_counted_without_being_enumerated(raw: dict[str, Any]) -> None:
    space = Space(parse_spec(raw))
    trials = list(space.trials())
    assert len(trials) == space.upper_bound
    assert [t.index for t in trials] == list(range(len(trials)))
    n = raw["replicates"]
    assert [(t.assignment, t.replicate) for t in trials] == [
        divmod(i, n) for i in range(len(trials))
    ]
    assert len({t.seed for t in trials}) == len(trials)


def test_the_last_grid_parameter_varies_fastest() -> None:
    spec = make({"a": {"grid": [1, 2]}, "b": {"c": {"grid": ["x", "y"]}, "d": 0}})
    assert [t.parameters for t in Space(spec).trials()] == [
        {"a": a, "b": {"c": c, "d": 0}} for a in (1, 2) for c in ("x", "y")
    ]


RANDOM = {"lr": {"loguniform": {"min": 1e-4, "max": 1}}, "task": {"grid": ["a", "b", "c"]}}


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_trial_i_is_a_function_of_spec_seed_and_i(kind: str) -> None:
    short = make(RANDOM, search={"type": kind, "num_trials": 9, "seed": 4})
    long = make(RANDOM, search={"type": kind, "num_trials": 3000, "seed": 4})
    other = make(RANDOM, search={"type": kind, "num_trials": 9, "seed": 5})
    trials = list(Space(short).trials())
    assert trials == list(Space(short).trials()) == first(long, 9)
    assert trials != list(Space(other).trials())
    assert [t.parameters["task"] for t in trials] == ["a", "b", "c"] * 3


def test_sobol_gives_every_grid_point_the_same_even_draws() -> None:
    spec = make(RANDOM, search={"type": "sobol", "num_trials": 3 * 64})
    by_task: dict[str, list[float]] = {}
    for trial in Space(spec).trials():
        by_task.setdefault(trial.parameters["task"], []).append(trial.parameters["lr"])  # type: ignore[index,arg-type]
    assert by_task["a"] == by_task["b"] == by_task["c"]
    decades = [sum(10.0**d <= lr < 10.0 ** (d + 1) for lr in by_task["a"]) for d in range(-4, 0)]
    assert decades == [16, 16, 16, 16]


def test_exclusions_leave_assignments_out() -> None:
    parameters = {"a": {"grid": [1, 2, 3]}, "net": {"kind": {"grid": ["x", "y"]}}}
    spec = make(parameters, exclude=["a == 2 and net.kind == 'x'", "a in [3]"])
    found = [
        (t.index, t.parameters["a"], lookup(t.parameters, "net.kind")) for t in Space(spec).trials()
    ]
    assert found == [(0, 1, "x"), (1, 1, "y"), (2, 2, "y")]
    drawn = make(
        {"x": {"uniform": {"min": 0, "max": 1}}},
        search={"type": "random", "num_trials": 50},
        exclude=["x < 0.5"],
    )
    assert all(t.parameters["x"] >= 0.5 for t in Space(drawn).trials())  # type: ignore[operator]
    nothing = make(
        {"x": {"uniform": {"min": 0, "max": 1}}},
        search={"type": "random", "num_trials": 5},
        exclude=["x < 2"],
    )
    with pytest.raises(SpecError, match="leaves 0 of the 10,000"):
        list(Space(nothing).trials())


def test_what_leaves_next_to_nothing_of_very_many_is_given_up_soon() -> None:
    spec = make(
        {"x": {"uniform": {"min": 0, "max": 1}}},
        search={"type": "random", "num_trials": 1_000_000},
        exclude=["x >= 0.0001"],
    )
    with pytest.raises(SpecError, match="and 1,000,000 are asked for: loosen") as caught:
        list(Space(spec).trials())
    tried = int(str(caught.value).split(" of the ")[1].split()[0].replace(",", ""))
    assert tried < 200_000


def test_a_grid_has_each_value_once() -> None:
    spec = make({"x": {"grid": [1, 2, 1]}, "y": {"grid": [True, 1]}})
    found = [(t.parameters["x"], t.parameters["y"]) for t in Space(spec).trials()]
    assert found == [(1, True), (1, 1), (2, True), (2, 1)]


@pytest.mark.parametrize(
    "condition",
    [
        "a == 1; a == 2",
        "a = 1",
        "().__class__",
        "a.__class__",
        "__import__('os')",
        "open('x')",
        "[x for x in a]",
        "(lambda: 1)()",
        "a := 1",
        "f'{a}'",
        "a ==",
        "import os",
        "a" * 3000,
        "-" * 1998 + "a",
    ],
)
def test_an_unsafe_or_broken_condition_is_refused(condition: str) -> None:
    with pytest.raises(SpecError) as caught:
        make({"a": {"grid": [1]}}, exclude=[condition])
    assert caught.value.problems[0].path == "exclude[0]"


@pytest.mark.parametrize(
    "condition", ["9 ** 9 ** 9 > a", "'x' * 10**10 == a", "nope == 1", "a < 'x'"]
)
def test_a_condition_that_cannot_be_evaluated_is_said_so(condition: str) -> None:
    spec = make({"a": {"grid": [1]}}, exclude=[condition])
    with pytest.raises(SpecError, match="cannot be evaluated"):
        list(Space(spec).trials())


def test_groups() -> None:
    parameters = {
        "task": {"grid": ["a", "b"]},
        "net": {"depth": {"grid": [1, 2]}},
        "lr": {"grid": [1, 2]},
    }
    rule = {"type": "asha", "max_t": 9, "group_by": ["task", "net.depth"]}
    groups = [t.group for t in Space(make(parameters, early_stopping=rule)).trials()]
    assert groups[:3] == ['{"net.depth":1,"task":"a"}'] * 2 + ['{"net.depth":2,"task":"a"}']
    assert len(set(groups)) == 4


@pytest.mark.parametrize("path", ["network.tpye", "lr.x", "opt.nam", "optt"])
def test_a_mistyped_path_of_groups_is_refused_with_what_is_there(path: str) -> None:
    parameters = {
        "network": {"grid": [{"type": "dense", "depth": 2}, {"type": "multiply"}]},
        "opt": {"name": {"grid": ["sgd", "adam"]}},
        "lr": {"grid": [1, 2]},
    }
    right = ["network", "network.type", "network.depth", "opt", "opt.name", "lr"]
    Space(make(parameters, early_stopping={"type": "none", "group_by": right})).check()
    rule = {"type": "none", "group_by": ["lr", path]}
    with pytest.raises(SpecError) as caught:
        Space(make(parameters, early_stopping=rule)).check()
    (problem,) = caught.value.problems
    assert problem.path == "early_stopping.group_by[1]"
    assert repr(path) in problem.message
    assert "network, network.type, network.depth, opt.name, lr" in problem.message


def test_what_cannot_run_is_refused_before_it_is_enumerated() -> None:
    grids = {f"p{i}": {"grid": list(range(1000))} for i in range(4)}
    assert Space(make(grids)).upper_bound == 10**12
    with pytest.raises(SpecTooLarge, match="1,000,000,000,000"):
        Space(make(grids)).check()
    few = make({"g": {"grid": [1, 2, 3]}}, search={"type": "random", "num_trials": 2})
    with pytest.raises(SpecError, match="below the 3 grid points"):
        Space(few).check()


@given(st.integers(1, 10**6), st.integers(1, 50))
def test_lookup_never_fails(value: int, depth: int) -> None:
    nested: Any = value
    for _ in range(depth):
        nested = {"a": nested}
    assert lookup(nested, ".".join("a" * depth)) == value
    assert lookup(nested, ".".join("a" * (depth + 1))) is None
    assert lookup({}, "x.y") is None
