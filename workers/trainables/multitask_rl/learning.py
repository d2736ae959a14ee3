"""The learner: one V-trace actor-critic update from an unroll.

L. Espeholt et al., "IMPALA" (2018), section 4.2: the policy follows V-trace advantages,
the value its V-trace targets, and an entropy bonus keeps the policy from settling early.
Losses are means over steps and environments, where IMPALA has sums.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.trainables.multitask_rl import MultitaskRLParameters
from workers.trainables.multitask_rl.acting import Unroll
from workers.trainables.multitask_rl.agent import Agent
from workers.trainables.multitask_rl.vtrace import vtrace


@dataclass(frozen=True)
class Losses:
    """What an update minimises, and its parts; scalars."""

    loss: Tensor
    policy_loss: Tensor
    value_loss: Tensor
    entropy: Tensor

    def values(self) -> dict[str, float]:
        """As plain numbers, by name."""
        return {name: float(value.detach()) for name, value in vars(self).items()}


def losses(agent: Agent, unroll: Unroll, params: MultitaskRLParameters) -> Losses:
    """The losses of an agent on an unroll."""
    outputs = agent(unroll.inputs, unroll.state)
    log_policy = functional.log_softmax(outputs.logits[:-1], dim=-1)
    log_probs = log_policy.gather(-1, unroll.actions[..., None])[..., 0]
    corrected = vtrace(
        log_rhos=log_probs.detach() - unroll.log_probs,
        discounts=params.discount * (~unroll.ended).to(log_probs.dtype),
        rewards=_clipped(unroll.rewards, params),
        values=outputs.value[:-1].detach(),
        bootstrap=outputs.value[-1].detach(),
    )
    policy = -(corrected.advantages * log_probs).mean()
    value = 0.5 * functional.mse_loss(outputs.value[:-1], corrected.targets)
    entropy = -(log_policy.exp() * log_policy).sum(-1).mean()
    total = policy + params.value_cost * value - params.entropy_cost * entropy
    return Losses(total, policy, value, entropy)


class Learner:
    """An agent and what optimizes it."""

    def __init__(self, agent: Agent, params: MultitaskRLParameters) -> None:
        self.agent = agent
        self._params = params
        self._optimizer = _optimizer(agent, params)

    def update(self, unroll: Unroll) -> dict[str, float]:
        """One step of the optimizer; the losses, and the gradient's norm before it is cut off."""
        found = losses(self.agent, unroll, self._params)
        self._optimizer.zero_grad()
        found.loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.agent.parameters(), self._params.clip_norm)
        self._optimizer.step()
        return {**found.values(), "gradient_norm": float(norm)}

    def state(self) -> dict[str, Any]:
        """What there is to keep, on the CPU, so that it can be read on any machine."""
        state = {"agent": self.agent.state_dict(), "optimizer": self._optimizer.state_dict()}
        kept: dict[str, Any] = _on_cpu(state)
        return kept

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a kept state, at this training's own rate."""
        self.agent.load_state_dict(state["agent"])
        self._optimizer.load_state_dict(state["optimizer"])
        for group in self._optimizer.param_groups:
            group.update(lr=self._params.lr, eps=self._params.epsilon)


def _on_cpu(value: Any) -> Any:
    """The value with every tensor in its dicts and lists on the CPU."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    return [_on_cpu(item) for item in value] if isinstance(value, list) else value


def _optimizer(agent: Agent, params: MultitaskRLParameters) -> torch.optim.Optimizer:
    if params.optimizer == "adam":
        return torch.optim.Adam(agent.parameters(), lr=params.lr, eps=params.epsilon)
    return torch.optim.RMSprop(agent.parameters(), lr=params.lr, eps=params.epsilon)


def _clipped(rewards: Tensor, params: MultitaskRLParameters) -> Tensor:
    if params.reward_clip == "none":
        return rewards
    squeezed = 5 * torch.tanh(rewards / 5)
    return torch.where(rewards < 0, 0.3 * squeezed, squeezed)
