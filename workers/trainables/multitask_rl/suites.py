"""The levels that an agent may be trained on, and what their returns are measured by.

Data alone: nothing here needs Gymnasium or PyTorch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

SuiteName = Literal["minigrid", "dmlab30"]

SUITES: tuple[SuiteName, ...] = get_args(SuiteName)


@dataclass(frozen=True)
class Level:
    """One level of a suite."""

    name: str
    ceiling: float
    """The mean episode return that scores 100."""
    floor: float = 0.0
    """The mean episode return that scores 0."""

    @property
    def metric(self) -> str:
        """Its name inside a metric's: letters, digits and underscores."""
        return self.name.replace("-", "_")

    def score(self, mean_return: float) -> float:
        """The normalised score, at most 100."""
        return min(100.0, 100 * (mean_return - self.floor) / (self.ceiling - self.floor))


MINIGRID: tuple[Level, ...] = (
    Level("Empty-5x5", 0.955),
    Level("LavaGapS5", 0.955),
    Level("GoToDoor-5x5", 0.955),
    Level("Fetch-5x5-N2", 0.955),
    Level("DoorKey-5x5", 0.955),
    Level("Empty-Random-6x6", 0.955),
    Level("Empty-8x8", 0.955),
    Level("LavaGapS6", 0.955),
    Level("LavaGapS7", 0.955),
    Level("DistShift1", 0.955),
    Level("DistShift2", 0.955),
    Level("Unlock", 0.955),
    Level("SimpleCrossingS9N1", 0.955),
    Level("SimpleCrossingS9N3", 0.955),
    Level("GoToDoor-8x8", 0.955),
    Level("GoToObject-6x6-N2", 0.955),
    Level("Fetch-6x6-N2", 0.955),
    Level("DoorKey-6x6", 0.955),
    Level("MultiRoom-N2-S4", 0.955),
    Level("MemoryS7", 0.955),
    Level("LavaCrossingS9N1", 0.955),
    Level("Empty-16x16", 0.955),
    Level("Fetch-8x8-N3", 0.955),
    Level("DoorKey-8x8", 0.955),
    Level("RedBlueDoors-6x6", 0.955),
    Level("FourRooms", 0.955),
    Level("UnlockPickup", 0.955),
    Level("KeyCorridorS3R1", 0.955),
    Level("KeyCorridorS3R2", 0.955),
    Level("KeyCorridorS3R3", 0.955),
)
"""Thirty levels from easy to hard."""

DMLAB30: tuple[Level, ...] = ()

LEVELS: Mapping[SuiteName, tuple[Level, ...]] = {"minigrid": MINIGRID, "dmlab30": DMLAB30}


def choose(suite: SuiteName, levels: int | list[str]) -> tuple[Level, ...]:
    """The levels of those names, or the first so many of the suite.

    Raises:
        ValueError: for a name that is not in the suite or is there twice, or for a number
            that is not between 1 and how many there are.
    """
    known = LEVELS[suite]
    if isinstance(levels, int):
        if not 1 <= levels <= len(known):
            raise ValueError(f"levels is {levels}: {suite} has 1 to {len(known)}")
        return known[:levels]
    by_name = {level.name: level for level in known}
    unknown = [name for name in levels if name not in by_name]
    if unknown:
        raise ValueError(f"{suite} has no level {unknown[0]!r}: it has {', '.join(by_name)}")
    if not levels or len(set(levels)) < len(levels):
        raise ValueError(f"levels is {levels}: name each level once, at least one")
    return tuple(by_name[name] for name in levels)
