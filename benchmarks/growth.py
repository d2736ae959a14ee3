"""How a figure grows: straight lines by least squares, exponents as slopes on log scales."""

import math
from collections.abc import Sequence


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The slope of the line that fits best.

    Raises:
        ValueError: for fewer than two different xs.
    """
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    if spread == 0:
        raise ValueError(f"a slope needs two different xs and all {len(xs)} are {middle_x:g}")
    pairs = zip(xs, ys, strict=True)
    return sum((x - middle_x) * (y - middle_y) for x, y in pairs) / spread


def exponent(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The power of x that y grows with: 0 flat, 1 linear. All values must be positive."""
    return slope([math.log(x) for x in xs], [math.log(y) for y in ys])


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
