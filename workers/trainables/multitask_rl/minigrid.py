"""MiniGrid levels in one process, observed all at once.

MiniGrid builds each observation cell by cell in Python, which takes twenty times as long
as the step itself. Here the grids of all environments lie in one array, in which a step
changes at most the cell in front of the agent, and the views of all agents are read from
it together. Tests hold these views against MiniGrid's own.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import gymnasium
import numpy as np
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX, STATE_TO_IDX
from numpy.typing import NDArray

from workers.trainables.multitask_rl.observations import Observation, Transition

VIEW = 7
"""Cells on a side of what an agent sees."""

OBJECTS, COLORS, STATES = len(OBJECT_TO_IDX), len(COLOR_TO_IDX), len(STATE_TO_IDX)
CODES = OBJECTS * COLORS * STATES
"""A cell is coded as one number below this: object, then color, then state."""

ACTIONS = 7

WORDS = (
    *("a", "and", "at", "avoid", "ball", "blue", "box", "door", "end", "fetch", "find", "get"),
    *("go", "goal", "green", "grey", "hallway", "key", "lava", "matching", "must", "object"),
    *("of", "open", "opening", "pick", "purple", "reach", "red", "rooms", "square", "the"),
    *("then", "to", "traverse", "up", "use", "yellow", "you"),
)
"""Every word of the levels' missions."""

_MARGIN = VIEW - 1
_UNSEEN, _EMPTY = OBJECT_TO_IDX["unseen"], OBJECT_TO_IDX["empty"]
_WALL = OBJECT_TO_IDX["wall"] + OBJECTS * COLOR_TO_IDX["grey"]
_AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))
_BITS = 1 << np.arange(VIEW)
_PLACE = {word: number for number, word in enumerate(WORDS)}


def encode(kind: int, color: int, state: int) -> int:
    """A cell's three numbers as one."""
    return kind + OBJECTS * (color + COLORS * state)


def decode(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(...) -> (..., 3): object, color and state, as MiniGrid numbers them."""
    parts = (codes % OBJECTS, codes // OBJECTS % COLORS, codes // (OBJECTS * COLORS))
    return np.stack(parts, axis=-1)


def words(mission: str) -> NDArray[np.float32]:
    """Which words a mission has: (len(WORDS),) of 0 and 1; their order is lost."""
    bag = np.zeros(len(WORDS), dtype=np.float32)
    for word in mission.lower().replace(",", " ").split():
        bag[_PLACE[word]] = 1
    return bag


class MiniGrid:
    """Environments of MiniGrid levels, stepped together; an ended one starts again at once.

    Args:
        levels: The level of each environment.
        seed: What their layouts are drawn with.
    """

    actions = ACTIONS
    words = len(WORDS)
    frames_per_step = 1

    def __init__(self, levels: Sequence[str], *, seed: int) -> None:
        self._environments = [make(level) for level in levels]
        count = len(levels)
        side = max(max(env.width, env.height) for env in self._environments) + 2 * _MARGIN
        self._cells = np.full((count, side, side), _WALL, dtype=np.uint8)  # by x, then y
        self._poses = np.zeros((count, 3), dtype=np.intp)  # x, y, direction
        self._held = np.full(count, _EMPTY, dtype=np.uint8)
        self._words = np.zeros((count, len(WORDS)), dtype=np.float32)
        self._through = np.array([env.see_through_walls for env in self._environments])
        seeds = np.random.SeedSequence(seed).generate_state(count)
        for index, env in enumerate(self._environments):
            env.reset(seed=int(seeds[index]))
            self._begin(index)

    def observe(self) -> Observation:
        """What every agent sees now."""
        view = views(self._cells, self._poses, through=self._through, held=self._held)
        return Observation(view, self._words.copy())

    def step(self, actions: NDArray[np.int64]) -> Transition:
        """Take one action in each environment."""
        rewards = np.zeros(len(actions), dtype=np.float32)
        ended = np.zeros(len(actions), dtype=np.bool_)
        for index, action in enumerate(actions.tolist()):
            env = self._environments[index]
            ahead = _ahead(env)
            _, reward, terminated, truncated, _ = env.step(action)
            rewards[index] = reward
            if terminated or truncated:
                ended[index] = True
                env.reset()
                self._begin(index)
            else:
                self._note(index, ahead)
        return Transition(self.observe(), rewards, ended)

    def close(self) -> None:
        """Let go of the environments."""
        for env in self._environments:
            env.close()

    def _begin(self, index: int) -> None:
        """Take in a new episode's grid and mission."""
        env = self._environments[index]
        cells = self._cells[index]
        cells.fill(_WALL)
        codes = np.array([_code(cell) for cell in env.grid.grid], dtype=np.uint8)
        inside = codes.reshape(env.height, env.width).T
        cells[_MARGIN : _MARGIN + env.width, _MARGIN : _MARGIN + env.height] = inside
        self._words[index] = words(env.mission)
        self._pose(index)

    def _note(self, index: int, ahead: tuple[int, int]) -> None:
        """Take in what a step may have changed: the cell ahead, the pose and what is held."""
        env = self._environments[index]
        x, y = ahead
        if 0 <= x < env.width and 0 <= y < env.height:
            self._cells[index, x + _MARGIN, y + _MARGIN] = _code(env.grid.get(x, y))
        self._pose(index)

    def _pose(self, index: int) -> None:
        env = self._environments[index]
        self._poses[index] = (*env.agent_pos, env.agent_dir)
        self._held[index] = _code(env.carrying)


def views(
    cells: NDArray[np.uint8],
    poses: NDArray[np.intp],
    *,
    through: NDArray[np.bool_],
    held: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """What agents see of their grids, (count, VIEW, VIEW), as MiniGrid lays it out.

    Args:
        cells: Grids with a margin of walls, (count, side, side), by x and then y.
        poses: x, y and direction of each agent, (count, 3).
        through: Whether each sees through walls, (count,).
        held: The code of what each carries, or of an empty cell, (count,).
    """
    rows = np.arange(len(cells))[:, None, None]
    offsets = _offsets()[poses[:, 2]]  # (count, VIEW, VIEW, 2)
    x = offsets[..., 0] + poses[:, 0, None, None] + _MARGIN
    y = offsets[..., 1] + poses[:, 1, None, None] + _MARGIN
    view = cells[rows, x, y]
    seen = _visible(_opaque()[view]) | through[:, None, None]
    view = np.where(seen, view, _UNSEEN).astype(np.uint8)
    view[:, VIEW // 2, VIEW - 1] = held
    return np.asarray(view)


def _visible(opaque: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which cells light reaches, row by row away from the agent: (count, VIEW, VIEW)."""
    clear = (~opaque).transpose(0, 2, 1) @ _BITS  # (count, VIEW rows), a bit a column
    lit = np.full(len(opaque), 1 << (VIEW // 2))
    rows = np.empty((len(opaque), VIEW), dtype=np.intp)
    across, upward = _light_table()
    for row in reversed(range(VIEW)):
        rows[:, row], lit = across[lit, clear[:, row]], upward[lit, clear[:, row]]
    return np.asarray((rows[:, None, :] & _BITS[None, :, None]) != 0)


def _light(lit: int, clear: int) -> tuple[int, int]:
    """How light spreads along a row and to the next one, as MiniGrid's `process_vis` does."""
    upward = 0
    for places, side in ((range(VIEW - 1), 1), (range(VIEW - 1, 0, -1), -1)):
        for place in places:
            if lit >> place & clear >> place & 1:
                lit |= 1 << (place + side)
                upward |= 1 << (place + side) | 1 << place
    return lit, upward


@cache
def _light_table() -> NDArray[np.intp]:
    """`_light` of every (lit, clear): (2, 2**VIEW, 2**VIEW)."""
    every = range(1 << VIEW)
    return np.array([[_light(lit, clear) for clear in every] for lit in every]).transpose(2, 0, 1)


@cache
def _opaque() -> NDArray[np.bool_]:
    """Whether a cell of each code stops light: walls and doors that are not open."""
    kinds, _, states = decode(np.arange(CODES, dtype=np.uint8)).T
    closed = (kinds == OBJECT_TO_IDX["door"]) & (states != STATE_TO_IDX["open"])
    return np.asarray((kinds == OBJECT_TO_IDX["wall"]) | closed)


@cache
def _offsets() -> NDArray[np.intp]:
    """(4 directions, VIEW, VIEW, 2): where a cell of the view lies from the agent."""
    right, forward = np.meshgrid(np.arange(VIEW) - VIEW // 2, VIEW - 1 - np.arange(VIEW))
    right, forward = right.T, forward.T  # (view x, view y)
    return np.stack(
        [np.stack((fx * forward - fy * right, fy * forward + fx * right), -1) for fx, fy in _AHEAD]
    )


def make(level: str) -> Any:
    """A MiniGrid environment that builds no observations."""
    env = gymnasium.make(f"MiniGrid-{level}-v0", disable_env_checker=True).unwrapped
    env.gen_obs = dict  # what it would build is read from the grids by `observe`
    return env


def _ahead(env: Any) -> tuple[int, int]:
    x, y = env.agent_pos
    dx, dy = _AHEAD[env.agent_dir]
    return int(x) + dx, int(y) + dy


def _code(cell: Any) -> int:
    return _EMPTY if cell is None else encode(*cell.encode())
