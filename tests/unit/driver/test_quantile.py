"""A quantile kept up to date, against NumPy's of the whole."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.driver.quantile import RunningQuantile


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.5, 1 - 1 / 3, 0.75, 0.9, 1.0]),
)
def test_after_every_value_it_is_numpys(values: list[float], share: float) -> None:
    quantile = RunningQuantile(share)
    for i, value in enumerate(values):
        quantile.add(value)
        assert quantile.value == np.quantile(values[: i + 1], share)


@given(st.lists(st.floats(-10, 10) | st.just(-math.inf), min_size=2, max_size=20))
def test_an_infinite_neighbour_below_is_the_quantile(values: list[float]) -> None:
    quantile = RunningQuantile(0.5)
    for value in values:
        quantile.add(value)
    middle = sorted(values)[(len(values) - 1) // 2]
    assert math.isinf(quantile.value) == math.isinf(middle)


def test_there_is_none_before_the_first_value() -> None:
    with pytest.raises(IndexError):
        _ = RunningQuantile(0.5).value
