"""Thinned curves keep every extreme and their budget."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.analysis.curves import CurvesQuestion, curves, share_points, thin
from service.query.parse import parse_filter, parse_sort
from service.store.analysis import Which
from sweep.errors import ParameterError
from sweep.states import TrialState
from tests.unit.analysis.conftest import Filled, trial

values = st.floats(-1e3, 1e3, allow_nan=False)


@given(st.lists(values, max_size=300), st.integers(4, 60), st.integers(-5, 5))
def test_a_thinned_curve_keeps_ends_extremes_and_budget(
    drawn: list[float], budget: int, late: int
) -> None:
    points = list(enumerate(drawn))
    kept = thin(iter(points), max(len(points) + late, 0), budget)
    assert len(kept) <= budget
    assert kept == sorted(set(kept))
    assert set(kept) <= set(points)
    if points:
        assert (kept[0], kept[-1]) == (points[0], points[-1])
        assert min(v for _, v in kept) == min(drawn)
        assert max(v for _, v in kept) == max(drawn)
    if len(points) <= budget and late >= 0 and len(points) + late <= budget:
        assert kept == points


@given(st.lists(values, min_size=40, max_size=200), st.integers(6, 30))
def test_each_bucket_keeps_its_extremes(drawn: list[float], budget: int) -> None:
    kept = dict(thin(enumerate(drawn), len(drawn), budget))
    buckets = (budget - 2) // 2
    for bucket in range(buckets):
        inside = [
            value
            for place, value in enumerate(drawn[1:])
            if min(place * buckets // len(drawn), buckets - 1) == bucket
        ]
        shown = [
            kept[place + 1]
            for place in range(len(drawn) - 1)
            if min(place * buckets // len(drawn), buckets - 1) == bucket and place + 1 in kept
        ]
        if inside:
            assert (min(inside), max(inside)) == (min(shown), max(shown))


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20), st.integers(4, 500))
def test_points_are_shared_out_and_none_is_wasted(sizes: list[int], each: int) -> None:
    budget = each * len(sizes)
    shares = share_points(sizes, budget)
    assert sum(shares) == min(budget, sum(sizes)) or sum(shares) > budget - len(sizes)
    assert all(min(size, 4) <= share <= size for size, share in zip(sizes, shares, strict=True))


def test_thinning_keeps_no_more_than_its_budget_in_memory() -> None:
    tracemalloc.start()
    kept = thin(((i, float(i % 97)) for i in range(200_000)), 200_000, 1_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 900 < len(kept) <= 1_000
    assert peak < 1_000_000  # all of them would take more than 20 MB


def hold_three(filled: Filled) -> None:
    filled.hold(
        [
            trial(0, best=0.3, best_step=1, reports=3, state=TrialState.STOPPED),
            trial(1, best=0.9, best_step=1, reports=500),
            trial(2, best=0.5, best_step=1, reports=2, state=TrialState.DIVERGED),
            trial(3),
        ]
    )
    filled.report(0, "score", [(1, 0.1), (2, 0.3), (3, 0.2)])
    filled.report(1, "score", [(i, i % 7 / 10) for i in range(1, 501)])
    filled.report(2, "score", [(1, 0.5), (2, None)])


def asked(filled: Filled, **fields: Any) -> Any:
    return curves(filled.store, filled.store.get_sweep("s1"), CurvesQuestion(**fields))


def test_curves_come_from_the_store_best_first_within_the_budget(filled: Filled) -> None:
    hold_three(filled)
    found = asked(filled, points=100, trials=10)
    assert [item.index for item in found.items] == [1, 2, 0]
    assert [item.best for item in found.items] == [True, False, False]
    assert found.items[1].steps == (1,)  # what was not finite is left out
    assert found.items[2].values == (0.1, 0.3, 0.2)
    assert found.points == sum(len(item.steps) for item in found.items) <= 100
    assert len(found.items[0].steps) > 80
    assert found.rungs == (1, 3, 9)


def test_curves_take_filter_sort_and_number_of_trials(filled: Filled) -> None:
    hold_three(filled)
    found = asked(
        filled, which=Which(parse_filter("state != 'completed'")), sort=parse_sort("best")
    )
    assert [item.index for item in found.items] == [0, 2]
    assert [item.index for item in asked(filled, trials=1).items] == [1]


def test_a_budget_too_small_is_named(filled: Filled) -> None:
    hold_three(filled)
    with pytest.raises(ParameterError, match="too few for 50 trials"):
        asked(filled, points=100)
    filled.hold([trial(0, reports=1, last={"score": 1.0})])
    with pytest.raises(ParameterError, match="no trial of sweep s1 reports 'nope'"):
        asked(filled, metric="nope")


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.none() | values, min_size=1, max_size=30))
def test_points_come_back_as_they_were_reported(filled: Filled, drawn: list[float | None]) -> None:
    filled.hold([trial(0, reports=len(drawn), best=1.0, best_step=1)])
    filled.report(0, "score", [(i + 1, value) for i, value in enumerate(drawn)])
    found = list(filled.store.stream_points("s1", "score", [0]))
    assert found == [(0, i + 1, v) for i, v in enumerate(drawn) if v is not None]
