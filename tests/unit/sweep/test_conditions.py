"""Conditions on parameters: what is there, in which order it is chosen, what is refused."""

import hashlib
import json
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.assembling import Assembler
from sweep.errors import SpecError, SpecTooLarge
from sweep.expressions import ParsedCondition, names_in
from sweep.parameters import Grid, Kind, Value
from sweep.space import Space
from sweep.values import canonical
from tests.unit.sweep.test_space import make

QUICK = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=40)
SEARCHES = ("grid", "random", "sobol")

OPTIMIZERS: Mapping[str, Any] = {
    "momentum": {"when": "optimizer == 'sgd'", "grid": [0.5, 0.9]},
    "optimizer": {"grid": ["sgd", "adam", "none"]},
    "adam": {"when": "optimizer == 'adam'", "beta": {"grid": [0.9, 0.99]}, "eps": 1e-8},
    "late": {"when": "adam.beta == 0.99 or momentum == None", "value": 3},
}


def found(parameters: Mapping[str, Any], **fields: Any) -> list[Mapping[str, Any]]:
    space = Space(make(dict(parameters), **fields))
    space.check()
    return [trial.parameters for trial in space.trials()]


def test_a_grid_has_each_distinct_assignment_once() -> None:
    assert found(OPTIMIZERS) == [
        {"momentum": 0.5, "optimizer": "sgd"},
        {"momentum": 0.9, "optimizer": "sgd"},
        {"optimizer": "adam", "adam": {"beta": 0.9, "eps": 1e-8}, "late": 3},
        {"optimizer": "adam", "adam": {"beta": 0.99, "eps": 1e-8}, "late": 3},
        {"optimizer": "none", "late": 3},
    ]
    twice = {"a": {"grid": [1, True, 1.0]}, "b": {"when": "a == True", "grid": [2, 2]}}
    assert found(twice) == [{"a": 1, "b": 2}, {"a": True, "b": 2}]


def test_what_is_absent_is_none_to_exclusions() -> None:
    kept = found(OPTIMIZERS, exclude=["momentum == None and adam == None", "adam.beta == 0.9"])
    assert [p["optimizer"] for p in kept] == ["sgd", "sgd", "adam"]


def test_what_conditions_name_is_chosen_before() -> None:
    nodes = make(dict(OPTIMIZERS)).parameters
    asked: list[tuple[str, ...]] = []

    def choose(path: tuple[str, ...], kind: Kind) -> Value:
        asked.append(path)
        return kind.sample(0.0)

    assert Assembler(nodes)(choose) == {"momentum": 0.5, "optimizer": "sgd"}
    assert asked == [("optimizer",), ("momentum",)]


def test_a_grid_of_many_branches_is_counted_as_what_it_is() -> None:
    branches = {
        f"p{i}": {"when": f"k == {i}", "x": {"grid": [*range(10)]}, "y": {"grid": [*range(10)]}}
        for i in range(10)
    }
    space = Space(make({"k": {"grid": [*range(10)]}, **branches}))
    assert space.upper_bound == 10 * 100**10
    space.check(1_000)
    assert len(list(space.trials())) == 1_000
    with pytest.raises(SpecTooLarge):
        space.check(999)


def test_a_long_chain_of_conditions_is_no_deep_recursion() -> None:
    chain = {f"p{i}": {"when": f"p{i + 1} == 1", "value": 1} for i in range(500)}
    assert len(found({**chain, "p500": {"grid": [1, 2]}})[0]) == 501


@pytest.mark.parametrize(
    ("parameters", "path", "part"),
    [
        ({"a": {"when": "b == 1", "value": 1}}, "parameters.a.when", "no parameter"),
        ({"a": {"b": {"when": "c == 1", "value": 1}}}, "parameters.a.b.when", "no parameter"),
        (
            {"a": {"grid": [{"k": 1}]}, "b": {"when": "a.z == 1", "value": 1}},
            "parameters.b.when",
            "'a.z'",
        ),
        ({"a": 1, "b": {"when": "a.z == 1", "value": 1}}, "parameters.b.when", "'a.z'"),
        ({"a": {"when": "a == 1", "grid": [1]}}, "parameters.a.when", "a needs a"),
        ({"a": {"when": "a.b == 1", "b": {"grid": [1]}}}, "parameters.a.when", "depends on itself"),
        (
            {
                "a": {"when": "b == 1", "grid": [1]},
                "b": {"when": "c", "value": 1},
                "c": {"when": "a", "value": 1},
            },
            "parameters.a.when",
            "depends on itself",
        ),
    ],
)
def test_unknown_names_and_circles_are_refused(
    parameters: dict[str, Any], path: str, part: str
) -> None:
    with pytest.raises(SpecError) as caught:
        make(parameters)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert part in problem.message


def test_a_condition_that_cannot_be_evaluated_is_said_with_its_place() -> None:
    with pytest.raises(SpecError) as caught:
        found({"a": {"grid": ["x"]}, "b": {"when": "a < 3", "value": 1}})
    assert caught.value.problems[0].path == "parameters.b.when"


def test_a_condition_that_is_read_again_is_the_same() -> None:
    source = "net.depth > 2 and lr in [0.1, net.rates.high]"
    first, again = ParsedCondition(source), ParsedCondition(source)
    names = {"net.depth": 3, "lr": 0.5, "net.rates.high": 0.5}
    for condition in (first, again, first):
        assert condition.names == names_in(source) == ("net.depth", "lr", "net.rates.high")
        assert condition.holds(names)
        assert not condition.holds({**names, "net.depth": 2})


def test_an_exclusion_that_names_no_parameter_is_refused_at_submission() -> None:
    with pytest.raises(SpecError) as caught:
        found({"a": {"grid": [1]}}, exclude=["a == 1 and net.depth == 2"])
    assert caught.value.problems[0].path == "exclude[0]"


@pytest.mark.parametrize("search", ["random", "sobol"])
def test_a_condition_does_not_change_what_others_draw(search: str) -> None:
    lr = {"lr": {"loguniform": {"min": 1e-4, "max": 1}}, "w": {"uniform": {"min": 0, "max": 1}}}
    drawn = {"type": search, "num_trials": 30, "seed": 2}
    plain = found(lr, search=drawn)
    some = found({**lr, "w": {"when": "lr > 0.01", **lr["w"]}}, search=drawn)
    assert some == [p if p["lr"] > 0.01 else {"lr": p["lr"]} for p in plain]
    assert {len(p) for p in some} == {1, 2}


values = st.integers(0, 2)
kinds = {
    "grid": st.just({"grid": [0, 1, 2]}),
    "random": st.sampled_from(
        [{"grid": [0, 1, 2]}, {"choice": [0, 1, 2]}, {"randint": {"min": 0, "max": 2}}]
    ),
}
kinds["sobol"] = kinds["random"]


@st.composite
def conditional(draw: st.DrawFn, search: str) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Parameters p0 … p3 with conditions on others in any order, and exclusions."""
    order = draw(st.permutations(range(4)))
    parameters: dict[str, Any] = {}
    whens: dict[str, str] = {}
    for place, i in enumerate(order):
        node = dict(draw(kinds[search]))
        if place and draw(st.booleans()):
            named, sign = draw(st.sampled_from(order[:place])), draw(st.sampled_from(["==", "!="]))
            whens[f"p{i}"] = f"p{named} {sign} {draw(values)}"
            node["when"] = whens[f"p{i}"]
        parameters[f"p{i}"] = node
    parameters = {f"p{i}": parameters[f"p{i}"] for i in range(4)}
    if search == "sobol":
        parameters["x"] = {"uniform": {"min": 0, "max": 1}}
    excluded = draw(
        st.lists(
            st.builds(lambda i, v: f"p{i} == {v} and p0 != 0", st.integers(1, 3), values),
            max_size=2,
        )
    )
    return parameters, whens, excluded


def holds(condition: str, parameters: Mapping[str, Any]) -> bool:
    """The condition by Python itself, with what is absent as None."""
    names = {f"p{i}": parameters.get(f"p{i}") for i in range(4)}
    return bool(eval(condition, {}, names))  # noqa: S307 - a test's own


@pytest.mark.parametrize("search", SEARCHES)
def test_what_is_absent_or_excluded_never_appears(search: str) -> None:
    @QUICK
    @given(conditional(search))
    def check(drawn: tuple[dict[str, Any], dict[str, str], list[str]]) -> None:
        parameters, whens, excluded = drawn
        fields = {"type": search} if search == "grid" else {"type": search, "num_trials": 81}
        assignments = found(parameters, search=fields, exclude=excluded)
        for assignment in assignments:
            for name in parameters:
                there = name not in whens or holds(whens[name], assignment)
                assert (name in assignment) == there
            assert not any(holds(condition, assignment) for condition in excluded)
        if search == "grid":
            assert len(set(map(canonical, assignments))) == len(assignments)
            assert set(map(canonical, assignments)) == every(parameters, whens, excluded)

    check()


def every(parameters: Mapping[str, Any], whens: Mapping[str, str], excluded: list[str]) -> set[str]:
    """The grid's distinct assignments, from the product of all parameters."""
    kept = set()
    for point in product(range(3), repeat=4):
        assignment: dict[str, Any] = {f"p{i}": value for i, value in enumerate(point)}
        for _ in range(4):  # one that is taken away may take others away
            whole = {f"p{i}": v for i, v in enumerate(point)}
            assignment = {
                n: whole[n] for n in whole if n not in whens or holds(whens[n], assignment)
            }
        if not any(holds(condition, assignment) for condition in excluded):
            kept.add(canonical(assignment))
    return kept


PLAIN: Mapping[str, Any] = {
    "task": {"grid": ["a", "b"]},
    "net": {
        "width": {"randint": {"min": 1, "max": 64}},
        "act": {"choice": {"values": ["relu", "selu"], "weights": [1, 2]}},
    },
    "lr": {"loguniform": {"min": 1e-4, "max": 1}},
    "momentum": {"quniform": {"min": 0, "max": 0.9, "step": 0.1}},
    "std": {"normal": {"mean": 0, "std": 2}},
    "depth": {"lograndint": {"min": 1, "max": 100}},
    "u": {"uniform": {"min": -1, "max": 1}},
    "batch": 32,
}
GRID: Mapping[str, Any] = {
    "a": {"grid": [3, 1, 2]},
    "b": {"c": {"grid": ["x", "y", {"k": 1}]}, "d": 0},
    "e": {"grid": [True, None, 1.5]},
}
NARROW = ["net.width < 8 and task == 'a'"]
GROUPED = {"type": "asha", "max_t": 9, "group_by": ["a"]}


@pytest.mark.parametrize(
    ("parameters", "fields", "digest"),
    [
        (
            PLAIN,
            {"search": {"type": "random", "num_trials": 40, "seed": 3}, "exclude": NARROW},
            "deee3a771767b2b4",
        ),
        (
            PLAIN,
            {"search": {"type": "sobol", "num_trials": 40, "seed": 3}, "exclude": NARROW},
            "c71a6fe19e843759",
        ),
        (
            GRID,
            {
                "search": {"type": "grid", "seed": 3},
                "exclude": ["a == 1 and b.c == 'x'"],
                "early_stopping": GROUPED,
            },
            "0937bd433ed80bd1",
        ),
    ],
    ids=SEARCHES[1:] + SEARCHES[:1],
)
def test_specs_without_conditions_give_the_trials_that_they_always_gave(
    parameters: dict[str, Any], fields: dict[str, Any], digest: str
) -> None:
    trials = Space(make(dict(parameters), replicates=2, **fields)).trials()
    rows = [[t.index, t.assignment, t.replicate, t.seed, t.group, t.parameters] for t in trials]
    assert hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] == digest


def test_grid_kinds_are_what_a_grid_has() -> None:
    asked: list[Kind] = []

    def choose(path: tuple[str, ...], kind: Kind) -> Value:
        asked.append(kind)
        return kind.sample(0.99)

    assert Assembler(make(dict(GRID)).parameters)(choose)["b"] == {"c": {"k": 1}, "d": 0}
    assert all(isinstance(kind, Grid) for kind in asked)
