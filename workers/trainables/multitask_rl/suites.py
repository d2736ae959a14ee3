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
    Level("Empty-5x5", 0.9550),
    Level("LavaGapS5", 0.9453),
    Level("GoToDoor-5x5", 0.9669),
    Level("Fetch-5x5-N2", 0.9772),
    Level("DoorKey-5x5", 0.9648),
    Level("Empty-Random-6x6", 0.9727),
    Level("Empty-8x8", 0.9613),
    Level("LavaGapS6", 0.9474),
    Level("LavaGapS7", 0.9515),
    Level("DistShift1", 0.9536),
    Level("DistShift2", 0.9607),
    Level("Unlock", 0.9698),
    Level("SimpleCrossingS9N1", 0.9607),
    Level("SimpleCrossingS9N3", 0.9548),
    Level("GoToDoor-8x8", 0.9816),
    Level("GoToObject-6x6-N2", 0.9831),
    Level("Fetch-6x6-N2", 0.9802),
    Level("DoorKey-6x6", 0.9692),
    Level("MultiRoom-N2-S4", 0.8371),
    Level("MemoryS7", 0.9842),
    Level("LavaCrossingS9N1", 0.9607),
    Level("Empty-16x16", 0.9763),
    Level("Fetch-8x8-N3", 0.9849),
    Level("DoorKey-8x8", 0.9764),
    Level("RedBlueDoors-6x6", 0.9836),
    Level("FourRooms", 0.8622),
    Level("UnlockPickup", 0.9477),
    Level("KeyCorridorS3R1", 0.9509),
    Level("KeyCorridorS3R2", 0.9399),
    Level("MemoryS9", 0.9885),
)
"""Thirty levels from easy to hard.

The ceiling is the *reachable return*: the mean over 100 layouts of what a shortest solution
returns, as `reachable` finds it. It is no human's score.
"""

DMLAB30: tuple[Level, ...] = (
    Level("rooms_collect_good_objects_train", 10.0, 0.073),
    Level("rooms_exploit_deferred_effects_train", 85.65, 8.501),
    Level("rooms_select_nonmatching_object", 65.9, 0.312),
    Level("rooms_watermaze", 54.0, 4.065),
    Level("rooms_keys_doors_puzzle", 53.8, 4.135),
    Level("language_select_described_object", 389.5, -0.07),
    Level("language_select_located_object", 280.7, 1.929),
    Level("language_execute_random_task", 254.05, -5.913),
    Level("language_answer_quantitative_question", 184.5, -0.33),
    Level("lasertag_one_opponent_small", 12.65, -0.224),
    Level("lasertag_three_opponents_small", 18.55, -0.214),
    Level("lasertag_one_opponent_large", 18.6, -0.083),
    Level("lasertag_three_opponents_large", 31.5, -0.102),
    Level("natlab_fixed_large_map", 36.9, 2.173),
    Level("natlab_varying_map_regrowth", 24.45, 2.989),
    Level("natlab_varying_map_randomized", 42.35, 7.346),
    Level("skymaze_irreversible_path_hard", 100.0, 0.1),
    Level("skymaze_irreversible_path_varied", 100.0, 14.4),
    Level("psychlab_arbitrary_visuomotor_mapping", 58.75, 0.163),
    Level("psychlab_continuous_recognition", 58.3, 0.224),
    Level("psychlab_sequential_comparison", 39.5, 0.129),
    Level("psychlab_visual_search", 78.5, 0.085),
    Level("explore_object_locations_small", 74.45, 3.575),
    Level("explore_object_locations_large", 65.65, 4.673),
    Level("explore_obstructed_goals_small", 206.0, 6.76),
    Level("explore_obstructed_goals_large", 119.5, 2.61),
    Level("explore_goal_locations_small", 267.5, 7.66),
    Level("explore_goal_locations_large", 194.5, 3.14),
    Level("explore_object_rewards_few", 77.7, 2.073),
    Level("explore_object_rewards_many", 106.7, 2.438),
)
"""DMLab-30, in the order of its publication.

Ceiling and floor are the published returns of humans and of a random policy, as the code
of L. Espeholt et al., "IMPALA" (2018), states them. Two levels have a version for training,
which is meant here, and one for tests, whose returns these are.
"""

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
