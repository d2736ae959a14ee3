"""A sample of trials, where all of them are too many to draw or to judge in seconds."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_SEED = 0


def sampled(rows: Sequence[T], most: int) -> Sequence[T]:
    """At most that many of them, in their order, by chance from a fixed seed.

    Every n-th one would fall into step with a grid, where a parameter's value comes back every
    n-th trial and would seem to be the same everywhere.
    """
    if len(rows) <= most:
        return rows
    return [rows[i] for i in sorted(random.Random(_SEED).sample(range(len(rows)), most))]
