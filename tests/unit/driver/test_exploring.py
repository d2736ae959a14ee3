"""How a population explores: near the donor's values, in range, and always the same."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.parameters import Kind, parse_node
from sweep.space import unit
from sweep.spec import SweepSpec
from sweep.stopping import Pbt
from sweep.values import same
from tests.strategies import drawn
from tests.unit.driver.builders import make_spec
from workers.driver.exploring import Explorer, fitted, perturbed

UNITS = st.floats(0, 1, exclude_max=True)


def kind_of(raw: dict[str, Any]) -> Kind:
    kind = parse_node(raw, "x")
    assert isinstance(kind, Kind)
    return kind


def spec_of(*, resample: float = 0.0, **fields: Any) -> SweepSpec:
    parameters = fields.pop("parameters", {"lr": {"loguniform": {"min": 1e-4, "max": 1.0}}})
    rule = {"type": "pbt", "interval": 10, "max_t": 100, "perturb": ["lr"]}
    return make_spec(
        parameters=parameters,
        search={"type": "random", "num_trials": 4},
        early_stopping={**rule, "resample_probability": resample, **fields.pop("rule", {})},
        **fields,
    )


def explorer(spec: SweepSpec) -> Explorer:
    assert isinstance(spec.early_stopping, Pbt)
    return Explorer(spec.early_stopping, spec)


@given(drawn, UNITS, st.integers(0, 99))
@settings(deadline=None)
def test_what_is_explored_stays_among_a_kinds_values(
    raw: dict[str, Any], start: float, label: int
) -> None:
    kind = kind_of(raw)
    value = kind.sample(start)
    for step in range(5):
        value = perturbed(
            kind, value, (0.8, 1.2), lambda purpose, at=step: unit(label, at, purpose)
        )
        if hasattr(kind, "values"):
            assert any(same(value, listed) for listed in kind.values)
            continue
        assert isinstance(value, int if isinstance(getattr(kind, "min", None), int) else float)
        assert getattr(kind, "min", -math.inf) <= value <= getattr(kind, "max", math.inf)
        if kind.kind == "quniform":
            assert kind.accept(value) == value


@given(st.floats(1e-3, 1e3), st.integers(0, 999))
@settings(deadline=None)
def test_a_number_is_multiplied_by_one_of_the_factors(value: float, label: int) -> None:
    kind = kind_of({"loguniform": {"min": 1e-6, "max": 1e6}})
    new = perturbed(kind, value, (0.8, 1.2), lambda purpose: unit(label, purpose))
    assert new in (value * 0.8, value * 1.2)


@given(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 999))
@settings(deadline=None)
def test_a_choice_moves_to_a_neighbour(value: str, label: int) -> None:
    kind = kind_of({"choice": ["a", "b", "c", "d"]})
    new = perturbed(kind, value, (0.8, 1.2), lambda purpose: unit(label, purpose))
    assert new in {"a": "ab", "b": "ac", "c": "bd", "d": "cd"}[value]


@pytest.mark.parametrize(
    ("value", "side", "expected"), [(True, 0.1, 2), (True, 0.9, 1), (1, 0.1, True)]
)
def test_true_and_one_are_two_values_of_a_choice(value: Any, side: float, expected: Any) -> None:
    new = perturbed(kind_of({"choice": [1, True, 2, 3]}), value, (0.8, 1.2), lambda purpose: side)
    assert same(new, expected)
    gone = perturbed(kind_of({"choice": [2, 1]}), True, (0.8, 1.2), lambda purpose: 0.1)
    assert gone == 2


def test_a_small_count_is_not_stuck_at_its_value() -> None:
    kind = kind_of({"randint": {"min": 1, "max": 9}})
    assert fitted(kind, 2 * 1.2, old=2) == 3
    assert fitted(kind, 2 * 0.8, old=2) == 1
    assert fitted(kind, 1 * 0.8, old=1) == 1
    assert fitted(kind, 9 * 1.2, old=9) == 9
    quarter = kind_of({"quniform": {"min": 0.1, "max": 1.0, "step": 0.25}})
    assert fitted(quarter, 0.35 * 1.2, old=0.35) == 0.6
    assert fitted(quarter, 0.85 * 1.2, old=0.85) == 0.85
    tenth = kind_of({"quniform": {"min": 0.1, "max": 0.9, "step": 0.2}})
    assert fitted(tenth, 0.1 * 1.2, old=0.1) == 0.3


def test_a_value_that_is_none_of_the_kinds_is_drawn_anew() -> None:
    kind = kind_of({"choice": ["a", "b"]})
    assert perturbed(kind, "gone", (2.0,), lambda purpose: 0.9) == "b"
    number = kind_of({"uniform": {"min": 0, "max": 1}})
    assert perturbed(number, "text", (2.0,), lambda purpose: 0.25) == 0.25


def test_the_same_trial_and_step_explore_the_same_and_others_differ() -> None:
    first, second = (explorer(spec_of(resample=1.0)) for _ in range(2))
    seen = {
        (trial, step): first.explore({"lr": 0.1}, trial=trial, step=step)["lr"]
        for trial in range(3)
        for step in (10, 20)
    }
    assert len(set(seen.values())) == len(seen)
    for (trial, step), value in seen.items():
        assert second.explore({"lr": 0.1}, trial=trial, step=step)["lr"] == value
        assert 1e-4 <= value <= 1.0


def test_how_often_a_parameter_is_drawn_anew() -> None:
    some = explorer(spec_of(resample=0.25))
    new = [some.explore({"lr": 0.1}, trial=t, step=10)["lr"] for t in range(400)]
    drawn_anew = sum(value not in (0.1 * 0.8, 0.1 * 1.2) for value in new)
    assert 70 <= drawn_anew <= 130  # four standard deviations about 100
    assert 90 <= new.count(0.1 * 0.8) <= 210


def test_only_the_named_parameters_change_nested_ones_too() -> None:
    parameters = {
        "lr": {"uniform": {"min": 0, "max": 1}},
        "net": {"dropout": {"uniform": {"min": 0, "max": 1}}, "width": 8},
    }
    some = explorer(
        spec_of(parameters=parameters, rule={"perturb": {"net.dropout": {"factors": [0.5]}}})
    )
    given_ = {"lr": 0.5, "net": {"dropout": 0.5, "width": 8}}
    assert some.explore(given_, trial=0, step=10) == {
        "lr": 0.5,
        "net": {"dropout": 0.25, "width": 8},
    }
    assert given_["net"] == {"dropout": 0.5, "width": 8}
    assert some.explore({"lr": 0.5}, trial=0, step=10) == {"lr": 0.5}


def test_what_exclude_forbids_is_not_explored() -> None:
    spec = spec_of(exclude=["lr > 0.1"])
    for trial in range(20):
        assert explorer(spec).explore({"lr": 0.1}, trial=trial, step=10)["lr"] == 0.1 * 0.8
    stuck = spec_of(exclude=["lr != 0.1"])
    assert explorer(stuck).explore({"lr": 0.1}, trial=0, step=10) == {"lr": 0.1}


def test_a_parameter_that_is_not_there_is_left_so_and_exclude_may_name_it() -> None:
    parameters = {
        "optimizer": {"choice": ["sgd", "adam"]},
        "lr": {"uniform": {"min": 0, "max": 1}},
        "momentum": {"when": "optimizer == 'sgd'", "uniform": {"min": 0, "max": 1}},
    }
    some = explorer(
        spec_of(
            parameters=parameters,
            exclude=["momentum == 0.5 and lr > 2"],
            rule={"perturb": ["lr", "momentum"]},
        )
    )
    explored = some.explore({"optimizer": "adam", "lr": 0.5}, trial=0, step=10)
    assert explored.keys() == {"optimizer", "lr"}
    assert explored["lr"] in (0.5 * 0.8, 0.5 * 1.2)


@pytest.mark.parametrize(
    ("raw", "old", "expected"),
    [
        ({"qloguniform": {"min": 0.15, "max": 10, "step": 0.1}}, 0.2, 0.2),
        ({"qlograndint": {"min": 20, "max": 1000, "step": 16}}, 32, 32),
        ({"qlograndint": {"min": 20, "max": 1000, "step": 16}}, 48, 32),
        ({"qnormal": {"mean": 0, "std": 1, "step": 0.1}}, 0.4, 0.3),
        ({"qlognormal": {"mean": 1, "std": 1, "step": 8}}, 8, 0),
    ],
)
def test_multiples_of_a_step_stay_so_at_the_ends(
    raw: dict[str, Any], old: float, expected: float
) -> None:
    kind = kind_of(raw)
    value = fitted(kind, old * 0.8, old=old)
    assert value == expected
    assert kind.accept(value) == value


def test_what_cannot_be_evaluated_is_not_explored() -> None:
    spec = spec_of(
        parameters={
            "lr": {"uniform": {"min": 0, "max": 1}},
            "momentum": {"when": "task == 'a'", "uniform": {"min": 0, "max": 1}},
            "task": {"choice": ["a", "b"]},
        },
        exclude=["lr < 2 and momentum > 2"],
        rule={"perturb": ["lr"]},
    )
    some = explorer(spec)
    donor = {"lr": 0.5, "task": "b"}
    assert some.explore(donor, trial=0, step=10) == donor
