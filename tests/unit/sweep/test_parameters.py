"""Kinds of parameter: what they draw, to the ends of their ranges."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweep.errors import SpecError
from sweep.parameters import Kind, dump_node, parse_node
from sweep.space import unit
from tests.strategies import drawn, grids

units = st.floats(0, 1, exclude_max=True)
EVENLY = [unit(7, i) for i in range(4000)]


def kind(raw: object) -> Kind:
    node = parse_node(raw, "p")
    assert isinstance(node, Kind)
    return node


@given(drawn, units)
def test_a_draw_is_inside_its_range(raw: dict, u: float) -> None:  # type: ignore[type-arg]
    ((name, body),) = raw.items()
    value = kind(raw).sample(u)
    if name in ("uniform", "loguniform", "quniform", "randint", "lograndint"):
        assert isinstance(value, int | float)
        assert body["min"] <= value <= body["max"]
        assert isinstance(value, int) == name.endswith("int")
    elif name == "normal":
        assert isinstance(value, float)
        assert math.isfinite(value)
    else:
        assert value in body


@given(drawn | grids)
def test_a_kind_survives_being_written_down(raw: dict) -> None:  # type: ignore[type-arg]
    assert parse_node(dump_node(kind(raw)), "p") == kind(raw)


@pytest.mark.parametrize(
    ("raw", "distribution"),
    [
        ({"uniform": {"min": -2, "max": 3}}, stats.uniform(-2, 5)),
        ({"loguniform": {"min": 1e-4, "max": 10}}, stats.loguniform(1e-4, 10)),
        ({"normal": {"mean": 5, "std": 2}}, stats.norm(5, 2)),
    ],
)
def test_real_draws_follow_their_distribution(raw: object, distribution: object) -> None:
    draws = [kind(raw).sample(u) for u in EVENLY]
    assert stats.kstest(draws, distribution.cdf).pvalue > 0.001  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("raw", "weights"),
    [
        ({"randint": {"min": 3, "max": 6}}, dict.fromkeys(range(3, 7), 1)),
        ({"choice": ["a", "b"]}, {"a": 1, "b": 1}),
        ({"choice": {"values": ["a", "b", "c"], "weights": [1, 0, 3]}}, {"a": 1, "c": 3}),
        ({"quniform": {"min": 0, "max": 0.3, "step": 0.1}}, dict.fromkeys([0, 0.1, 0.2, 0.3], 1)),
        (
            {"lograndint": {"min": 1, "max": 3}},
            {1: math.log(2), 2: math.log(1.5), 3: math.log(4 / 3)},
        ),
    ],
)
def test_counted_draws_follow_their_weights(raw: object, weights: dict) -> None:  # type: ignore[type-arg]
    draws = Counter(
        round(v, 9) if isinstance(v := kind(raw).sample(u), float) else v for u in EVENLY
    )
    assert set(draws) == set(weights)
    expected = [w / sum(weights.values()) * len(EVENLY) for w in weights.values()]
    assert stats.chisquare([draws[value] for value in weights], expected).pvalue > 0.001


def test_quantised_values_are_exact_and_reach_the_end_only_when_it_fits() -> None:
    fits = kind({"quniform": {"min": 1, "max": 2, "step": 0.25}})
    assert {fits.sample(u) for u in EVENLY} == {1.0, 1.25, 1.5, 1.75, 2.0}
    misses = kind({"quniform": {"min": 0, "max": 1, "step": 0.4}})
    assert {misses.sample(u) for u in EVENLY} == {0.0, 0.4, 0.8}


def test_names_of_kinds_and_parameters_are_checked() -> None:
    for raw in (
        {"grid": 3},
        {"uniform": 3},
        {"uniform": {"min": 1}},
        {"randint": {"min": 1, "max": 2.5}},
        {"normal": {"mean": 0, "std": 0}},
        {"choice": {"values": [1], "weights": [0]}},
        {"bad name": 1},
        {"1st": 1},
    ):
        with pytest.raises(SpecError):
            parse_node(raw, "p")
