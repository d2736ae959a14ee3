"""Means with their intervals."""

import math
from collections.abc import Sequence

from sweep.analysis import Interval

_LEVEL = 0.95


def interval(values: Sequence[float]) -> Interval:
    """The mean of at least one value, and its 95% interval by Student's t from two on."""
    count = len(values)
    mean = _mean(values)
    if count < 2:
        return Interval(mean=mean)
    half = _quantile(count - 1) * _deviation(values, mean) / math.sqrt(count)
    if not math.isfinite(half):
        return Interval(mean=mean)
    return Interval(mean=mean, low=mean - half, high=mean + half)


def _deviation(values: Sequence[float], mean: float) -> float:
    """The sample's standard deviation; infinite where a difference is."""
    import numpy as np  # for many values; loaded for the first interval alone

    with np.errstate(over="ignore"):
        away = np.asarray(values) - mean
        largest = float(np.abs(away).max())
        if not 0 < largest < math.inf:
            return largest
        return largest * math.sqrt(float(np.square(away / largest).sum()) / (len(values) - 1))


def _mean(values: Sequence[float]) -> float:
    try:
        return math.fsum(values) / len(values)
    except OverflowError:  # the sum of finite numbers need not be finite
        return math.fsum(value / len(values) for value in values)


def _quantile(freedom: int) -> float:
    from scipy.special import stdtrit  # loaded for the first interval alone

    return float(stdtrit(freedom, (1 + _LEVEL) / 2))
