"""DMLab-30 through `dmlab-gym`, the Gymnasium package of DeepMind Lab.

Each environment runs in a process of its own, as the engine allows no other way. Screen
size, action repeats and the nine actions are those of L. Espeholt et al., "IMPALA" (2018),
appendix D.
"""

import zlib
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from numpy.typing import NDArray

from workers.trainables.multitask_rl.observations import Observation, Transition

PACKAGE = "dmlab_gym"

HEIGHT, WIDTH, REPEATS = 72, 96, 4

WORDS = 128
"""Words of an instruction are told apart by a hash of so many values."""

_PIXELS, _INSTRUCTION = "RGB_INTERLEAVED", "INSTR"

ACTIONS = (
    (0, 0, 0, 1, 0, 0, 0),
    (0, 0, 0, -1, 0, 0, 0),
    (0, 0, -1, 0, 0, 0, 0),
    (0, 0, 1, 0, 0, 0, 0),
    (-20, 0, 0, 0, 0, 0, 0),
    (20, 0, 0, 0, 0, 0, 0),
    (-20, 0, 0, 1, 0, 0, 0),
    (20, 0, 0, 1, 0, 0, 0),
    (0, 0, 0, 0, 1, 0, 0),
)
"""Forward, back, left, right, turn left, turn right, both turns going forward, fire."""


def words(instruction: str) -> NDArray[np.float32]:
    """Which words an instruction has, by their hash: (WORDS,) of 0 and 1."""
    bag = np.zeros(WORDS, dtype=np.float32)
    for word in instruction.lower().split():
        bag[zlib.crc32(word.encode()) % WORDS] = 1
    return bag


class DMLabLevel(gymnasium.Env[dict[str, NDArray[Any]], int]):  # type: ignore[misc]
    """One level as the agent sees it: pixels and words; an action lasts `REPEATS` frames."""

    def __init__(self, level: str) -> None:
        __import__(PACKAGE)  # registers the levels
        self._env = gymnasium.make(
            f"{PACKAGE}/{level}-v0",
            disable_env_checker=True,
            observations=[_PIXELS, _INSTRUCTION],
            width=WIDTH,
            height=HEIGHT,
        )
        self.observation_space = gymnasium.spaces.Dict(
            view=gymnasium.spaces.Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8),
            words=gymnasium.spaces.Box(0, 1, (WORDS,), np.float32),
        )
        self.action_space = gymnasium.spaces.Discrete(len(ACTIONS))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Begin an episode."""
        seen, _ = self._env.reset(seed=seed)
        return _read(seen), {}

    def step(
        self, action: int
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """Hold an action for `REPEATS` frames, or until the episode ends."""
        total, ended = 0.0, False
        for _ in range(REPEATS):
            seen, reward, terminated, truncated, _ = self._env.step(
                np.array(ACTIONS[action], dtype=np.intc)
            )
            total, ended = total + float(reward), terminated or truncated
            if ended:
                break
        return _read(seen), total, ended, False, {}

    def close(self) -> None:
        """Let go of the engine."""
        self._env.close()


class DMLab:
    """Environments of DMLab-30 levels, a process each; an ended one starts again at once.

    Args:
        levels: The level of each environment.
        seed: What they are seeded with.

    Raises:
        ModuleNotFoundError: when `dmlab-gym` is not installed.
    """

    actions = len(ACTIONS)
    words = WORDS
    frames_per_step = REPEATS

    def __init__(self, levels: Sequence[str], *, seed: int) -> None:
        if find_spec(PACKAGE) is None:
            raise ModuleNotFoundError(
                "suite 'dmlab30' needs the package dmlab-gym, which needs Python 3.13 on Linux: "
                "pip install dmlab-gym, then dmlab-gym build; "
                "suite 'minigrid' needs neither (docs/studies/multitask-rl.md)"
            )
        self._vector = AsyncVectorEnv(
            [partial(DMLabLevel, level) for level in levels],
            autoreset_mode=AutoresetMode.SAME_STEP,
        )
        seeds = np.random.SeedSequence(seed).generate_state(len(levels)) % 2**31
        seen, _ = self._vector.reset(seed=[int(value) for value in seeds])
        self._seen = _together(seen)

    def observe(self) -> Observation:
        """What every agent sees now."""
        return self._seen

    def step(self, actions: NDArray[np.int64]) -> Transition:
        """Take one action in each environment."""
        seen, rewards, terminated, truncated, _ = self._vector.step(actions)
        self._seen = _together(seen)
        return Transition(self._seen, rewards.astype(np.float32), terminated | truncated)

    def close(self) -> None:
        """End the processes."""
        self._vector.close()


def _read(seen: dict[str, Any]) -> dict[str, NDArray[Any]]:
    return {"view": np.asarray(seen[_PIXELS]), "words": words(str(seen[_INSTRUCTION]))}


def _together(seen: dict[str, NDArray[Any]]) -> Observation:
    return Observation(seen["view"], seen["words"])
