"""What environments tell an agent, whatever their suite."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Observation:
    """What the agents of all environments see at one moment."""

    view: NDArray[np.uint8]
    """(environments, ...): cell codes or pixels."""
    words: NDArray[np.float32]
    """(environments, words): which words the instruction has."""


@dataclass(frozen=True)
class Transition:
    """What one step of all environments led to."""

    observation: Observation
    """Of the next episode, where one ended."""
    rewards: NDArray[np.float32]
    """(environments,)."""
    ended: NDArray[np.bool_]
    """(environments,): whether the step ended an episode, also by its time limit."""


class Environments(Protocol):
    """Environments that are stepped together; an ended one starts again at once."""

    actions: int
    """How many actions there are."""
    words: int
    """How many words an instruction may be made of."""
    frames_per_step: int
    """How many frames an action lasts."""

    def observe(self) -> Observation:
        """What every agent sees now."""
        ...

    def step(self, actions: NDArray[np.int64]) -> Transition:
        """Take one action, (environments,), in each."""
        ...

    def close(self) -> None:
        """Let go of the environments."""
        ...
