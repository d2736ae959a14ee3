"""A training's saved state, the same whether it trained alone or in a pack."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from workers.fusion.packable import OptimizerKind

SLOTS: dict[OptimizerKind, tuple[str, ...]] = {
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "sgd": ("momentum_buffer",),
}
"""What an optimizer keeps of each parameter, by PyTorch's names."""


@dataclass(frozen=True)
class MemberState:
    """All that a training needs to go on exactly."""

    step: int
    model: Mapping[str, Tensor]
    """A plain `state_dict`."""
    optimizer: Mapping[str, Mapping[str, Tensor]]
    """For each slot, the tensor of each trainable parameter."""

    def to_dict(self) -> dict[str, Any]:
        """For `run.save`."""
        return {"step": self.step, "model": self.model, "optimizer": self.optimizer}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "MemberState":
        """From what `run.restore` answers."""
        return cls(saved["step"], saved["model"], saved["optimizer"])
