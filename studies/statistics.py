"""The figures behind a verdict: means with intervals, paired differences, fits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan, sqrt

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean and its 95% interval (Student's t); the interval is nan for one value."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        """As a report shows it."""
        if self.count == 1:
            return f"{self.value:.3g} (one run)"
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g}, n = {self.count})"


def mean_of(values: Iterable[float]) -> Mean:
    """The mean of some numbers.

    Raises:
        ValueError: for none.
    """
    import numpy as np
    from scipy import stats

    sample = np.asarray(list(values), dtype=float)
    if sample.size == 0:
        raise ValueError("the mean of no numbers")
    mean = float(sample.mean())
    if sample.size == 1:
        return Mean(mean, nan, nan, 1)
    error = float(sample.std(ddof=1)) / sqrt(sample.size)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, sample.size - 1)) * error
    return Mean(mean, mean - half, mean + half, int(sample.size))


def difference_of(first: Sequence[float], second: Sequence[float]) -> Mean:
    """The mean of first minus second for independent samples, with Welch's interval.

    Raises:
        ValueError: when one has fewer than two numbers.
    """
    return _contrast((first, second), (1, -1))


def change_of_difference(
    before: tuple[Sequence[float], Sequence[float]], after: tuple[Sequence[float], Sequence[float]]
) -> Mean:
    """By how much the difference of two means has grown, with Welch's interval.

    Raises:
        ValueError: when a sample has fewer than two numbers.
    """
    return _contrast((*after, *before), (1, -1, -1, 1))


def _contrast(samples: Sequence[Sequence[float]], signs: Sequence[int]) -> Mean:
    """The signed sum of means of independent samples (Welch and Satterthwaite)."""
    import numpy as np
    from scipy import stats

    counts = [len(sample) for sample in samples]
    if min(counts) < 2:
        raise ValueError("an interval of a difference needs two numbers on each side")
    value = float(sum(s * np.mean(sample) for s, sample in zip(signs, samples, strict=True)))
    squares = [float(np.var(sample, ddof=1)) / len(sample) for sample in samples]
    variance = sum(squares)
    if variance == 0:  # all numbers of each sample are the same
        return Mean(value, value, value, min(counts))
    freedom = variance**2 / sum(s**2 / (n - 1) for s, n in zip(squares, counts, strict=True))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * sqrt(variance)
    return Mean(value, value - half, value + half, min(counts))


@dataclass(frozen=True)
class Growth:
    """How positive numbers grow with d, by fits of two constants each to their logarithm.

    The residuals are root mean squares of ln y, so that they can be compared.
    """

    exponential: float
    """Residual of y = a exp(b d)."""
    quadratic: float
    """Residual of y = a + b d^2."""
    power: float
    """p of y = a d^p."""

    @property
    def is_exponential(self) -> bool:
        """Whether the exponential fits better than the quadratic."""
        return self.exponential < self.quadratic

    def __str__(self) -> str:
        """As a report shows it."""
        return (
            f"residual {self.exponential:.2f} exponential, {self.quadratic:.2f} quadratic; "
            f"power {self.power:.1f}"
        )


def growth_of(d: Sequence[float], y: Sequence[float]) -> Growth:
    """The fits, by least squares.

    Raises:
        ValueError: for fewer than four points.
    """
    import numpy as np
    from scipy.optimize import least_squares

    if len(d) < 4:
        raise ValueError("a comparison of fits needs four points")
    at, logs = np.asarray(d, dtype=float), np.log(np.asarray(y, dtype=float))

    def missed(constants: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> object:
        first, second = np.exp(constants)
        return np.log(first + second * at**2) - logs

    rate, start = np.polyfit(at, logs, 1)
    power, _ = np.polyfit(np.log(at), logs, 1)
    quadratic = least_squares(missed, (logs[0] - 0.7, logs[0] - 0.7))
    return Growth(
        exponential=float(np.sqrt(np.mean((start + rate * at - logs) ** 2))),
        quadratic=float(np.sqrt(np.mean(np.square(quadratic.fun)))),
        power=float(power),
    )
