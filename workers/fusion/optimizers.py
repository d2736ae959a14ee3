"""One optimizer pass for all members of a block, each with its own settings.

On the CPU, PyTorch's fused kernels read and write every number once; they take one
learning rate a call, so that neighbours with the same settings share a call. Elsewhere
that many calls would not fill the device, so the formulas are written over the stacks,
with the settings as columns. The formulas are those of `torch.optim`: Kingma and Ba
(2015, algorithm 1) for Adam, Loshchilov and Hutter (2019, algorithm 2) for AdamW.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from workers.fusion.packable import OptimizerSettings
from workers.fusion.program import Stacks
from workers.fusion.state import SLOTS

_CLIP_EPS = 1e-6
"""As `torch.nn.utils.clip_grad_norm_`."""

_FUSED: Mapping[str, Any] = {"adam": torch._fused_adam_, "adamw": torch._fused_adamw_}


class StackedOptimizer:
    """The optimizer of one block.

    Args:
        settings: one a member, all of one kind.
        parameters: (K, ...) each, updated in place.
        slots: what the optimizer keeps of each parameter, by slot and name: (K, ...).
        steps: how many steps each member has made.
    """

    def __init__(
        self,
        settings: Sequence[OptimizerSettings],
        parameters: Stacks,
        slots: Mapping[str, Stacks],
        steps: Sequence[int],
    ) -> None:
        self.settings = tuple(settings)
        self.kind = self.settings[0].kind
        self.parameters = parameters
        self.slots = slots
        first = next(iter(parameters.values()))
        self._size, self._device, self._dtype = first.shape[0], first.device, first.dtype
        self.steps_made = 0
        self._steps = torch.tensor([float(s) for s in steps], device=self._device)
        self._clips = any(s.clip_norm is not None for s in self.settings)
        self._by_member = self._device.type == "cpu"
        if self._by_member:
            self._runs = _runs(self.settings, steps)
            self._rows = self._cut(parameters)
            self._slot_rows = [self._cut(slots[slot]) for slot in SLOTS[self.kind]]
            self._step_rows = [[self._steps[run.start]] * len(parameters) for run in self._runs]
        self._columns = {
            name: self._column([getattr(s, name) for s in self.settings])
            for name in ("lr", "beta1", "beta2", "eps", "weight_decay", "momentum")
        }
        self._limit = self._column(
            [float("inf") if s.clip_norm is None else s.clip_norm for s in self.settings]
        )

    def step(self, gradients: Stacks) -> None:
        """Update every member; the gradients may be overwritten."""
        ordered = {name: gradients[name].contiguous() for name in self.parameters}
        if self._clips:
            self._clip(ordered)
        self._steps += 1
        self.steps_made += 1
        if self._by_member:
            self._step_by_member(ordered)
        else:
            self.step_stacked(ordered)

    def _clip(self, gradients: Stacks) -> None:
        """Scale each member's gradient to its own limit."""
        squares = [g.flatten(1).square().sum(1) for g in gradients.values()]
        norms = torch.stack(squares).sum(0).sqrt()
        scale = (self._limit / (norms + _CLIP_EPS)).clamp(max=1.0)
        for gradient in gradients.values():
            gradient.mul_(_beside(scale, gradient))

    def _step_by_member(self, gradients: Stacks) -> None:
        rows = self._cut(gradients)
        for i, (run, row, gradient, steps) in enumerate(
            zip(self._runs, self._rows, rows, self._step_rows, strict=True)
        ):
            settings = self.settings[run.start]
            slots = [slot[i] for slot in self._slot_rows]
            if self.kind == "sgd":
                torch._fused_sgd_(
                    row,
                    gradient,
                    *(slots if settings.momentum else [[]]),
                    weight_decay=settings.weight_decay,
                    momentum=settings.momentum,
                    lr=settings.lr,
                    dampening=0.0,
                    nesterov=False,
                    maximize=False,
                    is_first_step=False,
                )
            else:
                _FUSED[self.kind](
                    row,
                    gradient,
                    *slots,
                    [],
                    steps,
                    lr=settings.lr,
                    beta1=settings.beta1,
                    beta2=settings.beta2,
                    weight_decay=settings.weight_decay,
                    eps=settings.eps,
                    amsgrad=False,
                    maximize=False,
                )

    def step_stacked(self, gradients: Stacks) -> None:
        """The same update over the stacks, for devices on which members are not worth a call."""
        update = _sgd if self.kind == "sgd" else _adam
        names = SLOTS[self.kind]
        for name, parameter in self.parameters.items():
            columns = {key: _beside(column, parameter) for key, column in self._columns.items()}
            update(
                parameter,
                gradients[name],
                *(self.slots[slot][name] for slot in names),
                step=_beside(self._steps.to(self._dtype), parameter),
                decoupled=self.kind == "adamw",
                **columns,
            )

    def _cut(self, stacks: Stacks) -> list[list[Tensor]]:
        """For each run of members their tensors, as views."""
        return [[stack[run] for stack in stacks.values()] for run in self._runs]

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=self._device, dtype=self._dtype)


def _adam(
    parameter: Tensor,
    gradient: Tensor,
    average: Tensor,
    square: Tensor,
    *,
    step: Tensor,
    decoupled: bool,
    lr: Tensor,
    beta1: Tensor,
    beta2: Tensor,
    eps: Tensor,
    weight_decay: Tensor,
    momentum: Tensor,
) -> None:
    if decoupled:
        parameter.mul_(1 - lr * weight_decay)
    else:
        gradient = gradient + weight_decay * parameter
    average.lerp_(gradient, (1 - beta1).expand_as(average))
    square.mul_(beta2).add_((1 - beta2) * gradient.square())
    scale = lr / (1 - beta1**step)
    parameter.sub_(scale * average / ((square / (1 - beta2**step)).sqrt() + eps))


def _sgd(
    parameter: Tensor,
    gradient: Tensor,
    velocity: Tensor,
    *,
    step: Tensor,
    decoupled: bool,
    lr: Tensor,
    beta1: Tensor,
    beta2: Tensor,
    eps: Tensor,
    weight_decay: Tensor,
    momentum: Tensor,
) -> None:
    velocity.mul_(momentum).add_(gradient + weight_decay * parameter)
    parameter.sub_(lr * velocity)


def _beside(column: Tensor, stack: Tensor) -> Tensor:
    """(K,) -> (K, 1, ...) with as many axes as the stack."""
    return column.view(-1, *(1 for _ in range(stack.dim() - 1)))


def _runs(settings: Sequence[OptimizerSettings], steps: Sequence[int]) -> list[slice]:
    """The stretches of neighbours that are updated alike, so that one call does."""
    alike = list(zip(settings, steps, strict=True))
    starts = [i for i in range(len(alike)) if i == 0 or alike[i] != alike[i - 1]]
    return [slice(start, end) for start, end in pairwise([*starts, len(alike)])]
