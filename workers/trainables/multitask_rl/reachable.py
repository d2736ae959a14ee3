"""`python -m workers.trainables.multitask_rl.reachable`: the return that each level allows.

For every MiniGrid level, the mean over some layouts of the return of a shortest solution,
found by breadth-first search with the level's own rules and full knowledge of the grid.
An agent sees less, so it reaches at most that. `suites.MINIGRID` holds the results.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workers.trainables.multitask_rl.minigrid import ACTIONS, make
from workers.trainables.multitask_rl.suites import MINIGRID

LAYOUTS = 100
"""The layouts of seeds 0, 1, … that a mean is over."""


@dataclass(frozen=True)
class _Situation:
    """All of an environment that its actions may change, the count of steps apart."""

    pose: tuple[int, int, int]
    held: Any
    cells: tuple[Any, ...]
    doors: tuple[tuple[bool, bool], ...]
    """Open and locked, of each door."""


class _Search:
    def __init__(self, env: Any) -> None:
        self._env = env
        self._doors = [cell for cell in env.grid.grid if cell is not None and cell.type == "door"]

    def steps(self) -> int | None:
        """How many steps a shortest solution takes; None when there is none in time."""
        start = self._now()
        seen, border = {start}, [start]
        for count in range(1, self._env.max_steps + 1):
            reached = []
            for situation in border:
                for after in self._after(situation):
                    if after is None:
                        return count
                    if after not in seen:
                        seen.add(after)
                        reached.append(after)
            border = reached
        return None

    def _after(self, situation: _Situation) -> Iterator[_Situation | None]:
        """What each action leads to, unless it ends the episode in vain; None: solved."""
        for action in range(ACTIONS):
            self._return_to(situation)
            _, reward, terminated, _, _ = self._env.step(action)
            if reward > 0:
                yield None
            elif not terminated:
                yield self._now()

    def _now(self) -> _Situation:
        env = self._env
        x, y = env.agent_pos
        doors = tuple((door.is_open, door.is_locked) for door in self._doors)
        return _Situation(
            (int(x), int(y), int(env.agent_dir)), env.carrying, tuple(env.grid.grid), doors
        )

    def _return_to(self, situation: _Situation) -> None:
        env = self._env
        env.step_count = 0
        env.agent_pos, env.agent_dir = situation.pose[:2], situation.pose[2]
        env.carrying, env.grid.grid = situation.held, list(situation.cells)
        for door, (is_open, is_locked) in zip(self._doors, situation.doors, strict=True):
            door.is_open, door.is_locked = is_open, is_locked


def reachable_return(level: str, *, layouts: int = LAYOUTS) -> float:
    """The mean return of shortest solutions over the layouts of seeds 0, 1, …; unsolvable: 0."""
    env = make(level)
    total = 0.0
    for seed in range(layouts):
        env.reset(seed=seed)
        steps = _Search(env).steps()
        if steps is not None:
            total += 1 - 0.9 * steps / env.max_steps
    env.close()
    return total / layouts


def main() -> None:
    """Print every level's."""
    for level in MINIGRID:
        print(f"{level.name:22} {reachable_return(level.name):.4f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
