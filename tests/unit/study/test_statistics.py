import math

import numpy as np
import pytest
from scipy import stats

from studies.statistics import change_of_difference, difference_of, growth_of, mean_of


def test_mean_has_students_interval() -> None:
    mean = mean_of([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(2.5 / 5)  # t(0.975, 4) and the sample's variance by hand
    assert mean.value == 3.0
    assert mean.low == pytest.approx(3 - half)
    assert mean.high == pytest.approx(3 + half)
    assert str(mean) == "3 (1.04 to 4.96, n = 5)"


def test_one_run_has_no_interval() -> None:
    mean = mean_of([0.25])
    assert math.isnan(mean.low)
    assert str(mean) == "0.25 (one run)"


def test_the_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no numbers"):
        mean_of([])


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = [
        mean.low <= 2.0 <= mean.high for mean in (mean_of(rng.normal(2, 3, 8)) for _ in range(1000))
    ]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_difference_has_welchs_interval() -> None:
    gap = difference_of([4.0, 5.0, 6.0], [1.0, 2.0, 3.0])
    half = 2.7764451 * math.sqrt(1 / 3 + 1 / 3)
    assert (gap.value, gap.count) == (3.0, 3)
    assert (gap.low, gap.high) == (pytest.approx(3 - half), pytest.approx(3 + half))
    with pytest.raises(ValueError, match="two numbers"):
        difference_of([1.0], [2.0, 3.0])


def test_difference_equals_scipys() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 2, 5), rng.normal(0, 0.5, 9)
    ours = difference_of(list(first), list(second))
    theirs = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_samples_without_spread_have_an_interval_of_no_width() -> None:
    gap = difference_of([1.0, 1.0], [0.0, 0.0, 0.0])
    assert (gap.value, gap.low, gap.high) == (1.0, 1.0, 1.0)


def test_change_of_a_difference_has_the_spread_of_all_four_samples() -> None:
    before, after = ([2.0, 4.0], [1.0, 3.0]), ([9.0, 11.0], [2.0, 4.0])
    change = change_of_difference(before, after)
    half = 2.7764451 * math.sqrt(4 * 2 / 2)  # t(0.975, 4), four samples of variance 2
    assert change.value == (10 - 3) - (3 - 2)
    assert (change.low, change.high) == (pytest.approx(6 - half), pytest.approx(6 + half))


@pytest.mark.parametrize("b", [0.5, 1.0])
def test_exponential_growth_is_told_from_quadratic(b: float) -> None:
    d = [1, 2, 3, 4, 6, 8]
    exponential = growth_of(d, [7 * math.exp(b * x) for x in d])
    assert exponential.is_exponential
    assert exponential.exponential == pytest.approx(0, abs=1e-9)
    quadratic = growth_of(d, [3 + 5 * x * x for x in d])
    assert not quadratic.is_exponential
    assert quadratic.quadratic == pytest.approx(0, abs=1e-6)


def test_a_powers_exponent_is_found() -> None:
    d = [1, 2, 4, 8]
    assert growth_of(d, [3 * x**2.5 for x in d]).power == pytest.approx(2.5)
    with pytest.raises(ValueError, match="four points"):
        growth_of([1, 2, 3], [1, 4, 9])
