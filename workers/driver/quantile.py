"""A quantile of values that arrive one by one."""

import heapq
import math


class RunningQuantile:
    """The quantile of all values so far, by linear interpolation as NumPy's default.

    Two heaps hold the values below and above it, so that a value costs a logarithm of
    their number: a rung may see a million trials.

    Args:
        share: which quantile, in [0, 1].
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._below: list[float] = []
        """Negated, the largest first: those up to the quantile's lower neighbour."""
        self._above: list[float] = []

    def add(self, value: float) -> None:
        """Take in a value, which may be infinite but not NaN."""
        if self._below and value < -self._below[0]:
            heapq.heappush(self._below, -value)
        else:
            heapq.heappush(self._above, value)
        wanted = math.floor(self._position) + 1
        while len(self._below) < wanted:
            heapq.heappush(self._below, -heapq.heappop(self._above))
        while len(self._below) > wanted:
            heapq.heappush(self._above, -heapq.heappop(self._below))

    @property
    def value(self) -> float:
        """The quantile. Raises `IndexError` before the first value."""
        a = -self._below[0]
        b = self._above[0] if self._above else a
        share = self._position - (len(self._below) - 1)
        if share == 0 or a == b or math.isinf(a):
            return a
        return a + (b - a) * share if share < 0.5 else b - (b - a) * (1 - share)

    @property
    def _position(self) -> float:
        return (len(self._below) + len(self._above) - 1) * self._share
