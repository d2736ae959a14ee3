"""Who of a population is better than whom, kept in order as values arrive."""

import bisect
import math
from collections.abc import Callable, Sequence


class Standings:
    """The last values of a group's trials; those that are still in training, in order.

    A value costs a search in a sorted list, so that a turn is quick in a large population.

    Args:
        badness: how bad a value is, infinite for none; the better, the smaller.
    """

    def __init__(self, badness: Callable[[float | None], float]) -> None:
        self._badness = badness
        self._values: dict[int, float | None] = {}
        self._gone: set[int] = set()
        self._ranked: list[tuple[float, int]] = []
        """Of each trial that is still in training: its badness and index, both negated; so the
        worst comes first, and of equals the later trial.
        """

    def __len__(self) -> int:
        return len(self._ranked)

    def __getitem__(self, index: int) -> float | None:
        return self._values[index]

    def note(self, index: int, value: float | None) -> None:
        """A trial has come to a value."""
        self.forget(index)
        self._values[index] = value
        if index not in self._gone:
            bisect.insort(self._ranked, self._key(index))

    def forget(self, index: int) -> None:
        """A trial has no value, as long as none is noted."""
        self._take_out(index)
        self._values.pop(index, None)

    def leave(self, index: int) -> None:
        """A trial has ended: it stands with the others no more."""
        self._take_out(index)
        self._gone.add(index)

    def enter(self, index: int) -> None:
        """A trial that may have ended trains again."""
        if index in self._gone:
            self._gone.discard(index)
            if index in self._values:
                bisect.insort(self._ranked, self._key(index))

    def is_among_worst(self, index: int, quantile: float) -> bool:
        """Whether a trial in training is among the worst share."""
        return bisect.bisect_left(self._ranked, self._key(index)) < self._count(quantile)

    def cutoff(self, quantile: float) -> float | None:
        """The best value among the worst share; None of too few trials."""
        count = self._count(quantile)
        return self._values[-self._ranked[count - 1][1]] if count else None

    def best(self, quantile: float) -> Sequence[int]:
        """The best share of the trials in training, from the worst of them on."""
        count = self._count(quantile)
        return [-index for _, index in self._ranked[len(self._ranked) - count :]]

    def _count(self, quantile: float) -> int:
        """As many as Ray Tune takes: rounded up, and never more than half."""
        return min(math.ceil(len(self._ranked) * quantile), len(self._ranked) // 2)

    def _key(self, index: int) -> tuple[float, int]:
        return -self._badness(self._values[index]), -index

    def _take_out(self, index: int) -> None:
        if index in self._values and index not in self._gone:
            del self._ranked[bisect.bisect_left(self._ranked, self._key(index))]
