"""Kinds of parameter: what they draw follows their distribution, to the ends of their ranges."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweep.errors import SpecError
from sweep.kinds import INTEGER_KINDS
from sweep.parameters import Kind, parse_node
from sweep.space import Space
from tests.strategies import drawn, grids
from tests.unit.sweep.test_space import make

DRAWS = 2048
units = st.floats(0, 1, exclude_max=True)


def kind(raw: object) -> Kind:
    node = parse_node(raw, "p")
    assert isinstance(node, Kind)
    return node


@cache
def draws(search: str, raw: str) -> list[Any]:
    """What a search draws of a kind, beside another parameter."""
    spec = make(
        {"x": json.loads(raw), "y": {"uniform": {"min": 0, "max": 1}}},
        search={"type": search, "num_trials": DRAWS, "seed": 5},
    )
    return [trial.parameters["x"] for trial in Space(spec).trials()]


CONTINUOUS = [
    ({"uniform": {"min": -2, "max": 3}}, stats.uniform(-2, 5)),
    ({"loguniform": {"min": 1e-4, "max": 10}}, stats.loguniform(1e-4, 10)),
    ({"normal": {"mean": 5, "std": 2}}, stats.norm(5, 2)),
    ({"lognormal": {"mean": -1, "std": 0.5}}, stats.lognorm(0.5, scale=math.exp(-1))),
    ({"beta": {"a": 0.5, "b": 2}}, stats.beta(0.5, 2)),
    ({"beta": {"a": 20, "b": 3}}, stats.beta(20, 3)),
]


@pytest.mark.parametrize("search", ["random", "sobol"])
@pytest.mark.parametrize(("raw", "distribution"), CONTINUOUS, ids=lambda part: str(part)[:40])
def test_real_draws_follow_their_distribution(search: str, raw: Any, distribution: Any) -> None:
    fit = stats.kstest(draws(search, json.dumps(raw)), distribution.cdf)
    assert fit.pvalue > 0.001
    if search == "sobol":
        assert fit.statistic < 4 / DRAWS  # far more even than chance


def nearest(
    cdf: Callable[[float], float], step: float, first: int, last: int
) -> Mapping[float, float]:
    """How likely each multiple of a step is to be the nearest one, the ends taking the rest."""
    edges = [-math.inf, *((k + 0.5) * step for k in range(first, last)), math.inf]
    shares = [cdf(b) - cdf(a) for a, b in pairwise(edges)]
    return {round(k * step, 9): p for k, p in zip(range(first, last + 1), shares, strict=True)}


def log_integer(low: int, high: int) -> Callable[[float], float]:
    """The distribution function of `lograndint`, just below a number."""

    def cdf(x: float) -> float:
        if math.isinf(x):
            return float(x > 0)
        inside = min(max(math.ceil(x), low), high + 1)
        return math.log(inside / low) / math.log((high + 1) / low)

    return cdf


DISCRETE: list[tuple[Any, Mapping[Any, float]]] = [
    ({"choice": ["a", "b", "c"]}, dict.fromkeys("abc", 1)),
    ({"choice": {"values": ["a", "b", "c"], "weights": [1, 0, 3]}}, {"a": 1, "c": 3}),
    ({"randint": {"min": -3, "max": 6}}, dict.fromkeys(range(-3, 7), 1)),
    ({"qrandint": {"min": 5, "max": 26, "step": 5}}, dict.fromkeys([5, 10, 15, 20, 25], 1)),
    (
        {"quniform": {"min": 0.1, "max": 0.5, "step": 0.1}},
        dict.fromkeys([0.1, 0.2, 0.3, 0.4, 0.5], 1),
    ),
    ({"lograndint": {"min": 2, "max": 9}}, {k: math.log((k + 1) / k) for k in range(2, 10)}),
    ({"qlograndint": {"min": 3, "max": 30, "step": 4}}, nearest(log_integer(3, 30), 4, 1, 7)),
    (
        {"qlograndint": {"min": 1, "max": 4, "step": 1}},
        {k: math.log((k + 1) / k) for k in range(1, 5)},
    ),
    (
        {"qloguniform": {"min": 0.15, "max": 1, "step": 0.1}},
        nearest(stats.loguniform(0.15, 1).cdf, 0.1, 2, 10),
    ),
    (
        {"qnormal": {"mean": 1.1, "std": 0.5, "step": 0.5}},
        nearest(stats.norm(1.1, 0.5).cdf, 0.5, -20, 20),
    ),
    (
        {"qlognormal": {"mean": 0.5, "std": 0.5, "step": 0.25}},
        nearest(stats.lognorm(0.5, scale=math.exp(0.5)).cdf, 0.25, 0, 200),
    ),
]


@pytest.mark.parametrize("search", ["random", "sobol"])
@pytest.mark.parametrize(("raw", "weights"), DISCRETE, ids=lambda part: str(part)[:40])
def test_counted_draws_follow_their_weights(
    search: str, raw: Any, weights: Mapping[Any, float]
) -> None:
    found = Counter(draws(search, json.dumps(raw)))
    assert set(found) <= {value for value, weight in weights.items() if weight > 0}
    pairs = [(found[v], w / sum(weights.values()) * DRAWS) for v, w in weights.items()]
    often = [pair for pair in pairs if pair[1] >= 5]
    rare = tuple(map(sum, zip(*(pair for pair in pairs if pair[1] < 5), strict=True))) or (0, 0)
    table = [*often, rare] if rare[1] >= 1 else often
    observed, expected = (list(column) for column in zip(*table, strict=True))
    scale = sum(observed) / sum(expected)
    assert abs(scale - 1) < 0.01
    assert stats.chisquare(observed, [e * scale for e in expected]).pvalue > 0.001
    if search == "sobol":
        assert max(abs(o - e) for o, e in zip(observed, expected, strict=True)) < 5


@given(drawn | grids, units)
def test_a_draw_is_accepted_as_what_it_is(raw: dict[str, Any], u: float) -> None:
    drawn_kind = kind(raw)
    value = drawn_kind.sample(u)
    assert drawn_kind.accept(value) == value
    assert isinstance(value, int) or not isinstance(drawn_kind, INTEGER_KINDS)


@pytest.mark.parametrize(
    ("raw", "least", "most"),
    [
        ({"uniform": {"min": 0.1, "max": 0.7}}, 0.1, 0.7),
        ({"quniform": {"min": 0.5, "max": 2.2, "step": 0.5}}, 0.5, 2.0),
        ({"quniform": {"min": 0.1, "max": 0.95, "step": 0.2}}, 0.1, 0.9),
        ({"loguniform": {"min": 1e-5, "max": 0.3}}, 1e-5, 0.3),
        ({"qloguniform": {"min": 0.25, "max": 0.95, "step": 0.1}}, 0.3, 0.9),
        ({"randint": {"min": -2, "max": 2}}, -2, 2),
        ({"qrandint": {"min": 1, "max": 9, "step": 3}}, 1, 7),
        ({"lograndint": {"min": 1, "max": 8}}, 1, 8),
        ({"qlograndint": {"min": 3, "max": 19, "step": 4}}, 4, 16),
        ({"beta": {"a": 2, "b": 3}}, 0.0, 1.0),
    ],
)
def test_the_ends_are_exact(raw: Any, least: float, most: float) -> None:
    found = kind(raw)
    assert found.sample(0.0) == least
    assert found.sample(math.nextafter(1.0, 0.0)) == pytest.approx(most, rel=1e-5)
    for value in (least, most):
        assert found.accept(value) == value
    for value in (least - 0.4, most + 0.4, "x", True, None):
        with pytest.raises(ValueError):
            found.accept(value)


@pytest.mark.parametrize("name", ["quniform", "qloguniform"])
@given(count=st.integers(1, 10**6), place=st.integers(-6, 3), u=units)
def test_a_multiple_is_the_number_that_one_would_write(
    name: str, count: int, place: int, u: float
) -> None:
    step = float(f"1e{place}")
    raw = {name: {"min": step, "max": float(f"{count}e{place}"), "step": step}}
    value = kind(raw).sample(u)
    assert isinstance(value, float)
    assert value == float(f"{round(value / step)}e{place}")
    assert step <= value <= float(f"{count}e{place}")
    assert kind(raw).accept(value) == value


def test_steps_from_a_min_are_the_numbers_that_a_condition_names() -> None:
    found = kind({"quniform": {"min": 0.1, "max": 0.9, "step": 0.2}})
    assert [found.sample((k + 0.5) / 5) for k in range(5)] == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert found.accept(0.1 + 0.2) == 0.3


@given(st.integers(1, 50), st.integers(0, 50), st.integers(1, 20), units)
def test_quantised_integers_are_in_range(low: int, more: int, step: int, u: float) -> None:
    body = {"min": low, "max": low + more, "step": step}
    value = kind({"qrandint": body}).sample(u)
    assert isinstance(value, int)
    assert value in range(low, low + more + 1, step)
    multiples = [k for k in range(low, low + more + 1) if k % step == 0]
    if multiples:
        assert kind({"qlograndint": body}).sample(u) in multiples
    else:
        with pytest.raises(SpecError, match="no multiple of step"):
            kind({"qlograndint": body})


def test_half_a_step_counts_up() -> None:
    found = kind({"qlograndint": {"min": 3, "max": 3000, "step": 2}})
    assert found.sample(0.0) == 4
    near = kind({"qnormal": {"mean": 0.25, "std": 1e-12, "step": 0.5}})
    assert near.sample(0.5) == 0.5


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        ({"qloguniform": {"min": 0.11, "max": 0.19, "step": 0.1}}, "no multiple"),
        ({"qloguniform": {"min": 0, "max": 1, "step": 0.1}}, "greater than 0"),
        ({"qrandint": {"min": 1, "max": 5, "step": 0}}, "greater than or equal to 1"),
        ({"qrandint": {"min": 1, "max": 5, "step": 1.5}}, "integer"),
        ({"lognormal": {"mean": 700, "std": 5}}, "natural logarithm"),
        ({"qnormal": {"mean": 0, "std": 1e308, "step": 1}}, "too large"),
        ({"beta": {"a": 1}}, "Field required"),
        ({"beta": {"a": 0, "b": 1}}, "greater than 0"),
        ({"lognormal": 3}, "needs a mapping with mean, std"),
    ],
)
def test_a_kind_that_cannot_be_drawn_is_refused(raw: Any, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        kind(raw)
    assert part in caught.value.message


def test_a_parameter_may_be_called_beta() -> None:
    assert parse_node({"beta": 0.9, "eps": 1e-8}, "p") == {"beta": 0.9, "eps": 1e-8}
    nested = parse_node({"beta": {"grid": [0.9, 0.99]}}, "p")
    assert isinstance(nested, dict)
    assert isinstance(nested["beta"], Kind)
