"""Actors: all environments of all levels, stepped together by the current policy."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from workers.trainables.multitask_rl.agent import Agent, Inputs, Outputs, State
from workers.trainables.multitask_rl.observations import Environments


@dataclass(frozen=True)
class Unroll:
    """Some steps of every environment, and what the policy that took them thought."""

    inputs: Inputs
    """steps + 1 of them: the last is what follows."""
    state: State
    """The LSTM's before the first step."""
    actions: Tensor
    """(steps, batch)."""
    log_probs: Tensor
    """Of those actions under the policy that took them, (steps, batch)."""
    rewards: Tensor
    """(steps, batch)."""
    ended: Tensor
    """Whether the step ended an episode, (steps, batch), bool."""


class Returns:
    """The returns of each level's last episodes."""

    def __init__(self, levels: int, *, window: int) -> None:
        self._last: list[deque[float]] = [deque(maxlen=window) for _ in range(levels)]

    def add(self, level: int, value: float) -> None:
        """An episode ended."""
        self._last[level].append(value)

    def mean(self, level: int) -> float | None:
        """Over the last episodes of a level; None before the first one has ended."""
        last = self._last[level]
        return sum(last) / len(last) if last else None

    def state(self) -> list[list[float]]:
        """What there is to keep."""
        return [list(last) for last in self._last]

    def load(self, state: Sequence[Sequence[float]]) -> None:
        """Go on from a kept state."""
        for last, values in zip(self._last, state, strict=True):
            last.clear()
            last.extend(values)


class Actors:
    """Steps every environment with an agent's policy and keeps count of the episodes.

    Args:
        environments: As many as `levels` names.
        levels: The number of each environment's level.
        returns: Where the returns of ended episodes go.
        device: Where the agent is.
        generator: What actions are drawn with; on the CPU.
    """

    def __init__(
        self,
        environments: Environments,
        levels: Sequence[int],
        *,
        returns: Returns,
        device: str,
        generator: torch.Generator,
    ) -> None:
        count = len(levels)
        self._environments, self._levels = environments, tuple(levels)
        self._returns, self._device, self._generator = returns, device, generator
        self._level = torch.tensor(levels, device=device)
        self._observation = environments.observe()
        self._action = np.zeros(count, dtype=np.int64)
        self._reward = np.zeros(count, dtype=np.float32)
        self._first = np.ones(count, dtype=np.bool_)
        self._so_far = np.zeros(count)
        self._state: State | None = None

    @torch.no_grad()
    def collect(self, agent: Agent, steps: int) -> Unroll:
        """Let every environment take so many steps."""
        before = self._state or agent.initial_state(len(self._levels))
        self._state = before
        seen, taken = [self._now()], []
        for _ in range(steps):
            outputs = agent(self._inputs(seen[-1:]), self._state)
            taken.append(self._act(outputs))
            seen.append(self._now())
        return Unroll(self._inputs(seen), before, *self._stacked(taken))

    def _act(self, outputs: Outputs) -> dict[str, Any]:
        """Draw actions, take them, and keep count."""
        log_probs = functional.log_softmax(outputs.logits[0], dim=-1).cpu()
        drawn = torch.multinomial(log_probs.exp(), 1, generator=self._generator)
        action = drawn[:, 0].numpy()
        transition = self._environments.step(action)
        self._state = outputs.state
        self._observation, self._first = transition.observation, transition.ended
        self._action, self._reward = action, transition.rewards
        self._count(transition.rewards, transition.ended)
        return {
            "actions": action,
            "log_probs": log_probs.gather(-1, drawn)[:, 0].numpy(),
            "rewards": transition.rewards,
            "ended": transition.ended,
        }

    def _count(self, rewards: NDArray[np.float32], ended: NDArray[np.bool_]) -> None:
        self._so_far += rewards
        for index in np.flatnonzero(ended).tolist():
            self._returns.add(self._levels[index], float(self._so_far[index]))
        self._so_far[ended] = 0

    def _now(self) -> dict[str, NDArray[Any]]:
        return {
            "view": self._observation.view,
            "words": self._observation.words,
            "action": self._action,
            "reward": self._reward,
            "first": self._first,
        }

    def _inputs(self, seen: Sequence[Mapping[str, NDArray[Any]]]) -> Inputs:
        return Inputs(**self._by_name(seen), level=self._level)

    def _stacked(self, taken: Sequence[Mapping[str, NDArray[Any]]]) -> tuple[Tensor, ...]:
        return tuple(self._by_name(taken).values())

    def _by_name(self, rows: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, Tensor]:
        return {
            name: torch.from_numpy(np.stack([row[name] for row in rows])).to(self._device)
            for name in rows[0]
        }
