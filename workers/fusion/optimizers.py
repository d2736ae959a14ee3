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
        by_member: update stretches of members one after the other; on the CPU when not given.
    """

    def __init__(
        self,
        settings: Sequence[OptimizerSettings],
        parameters: Stacks,
        slots: Mapping[str, Stacks],
        steps: Sequence[int],
        *,
        by_member: bool | None = None,
    ) -> None:
        self.settings = tuple(settings)
        self.kind = self.settings[0].kind
        self.parameters = parameters
        self.slots = slots
        first = next(iter(parameters.values()))
        self._size, self._device, self._dtype = first.shape[0], first.device, first.dtype
        self.steps_made = 0
        self._steps = torch.tensor([float(s) for s in steps], device=self._device)
        self._clips_norm = any(s.clip_norm is not None for s in self.settings)
        self._clips_value = any(s.clip_value is not None for s in self.settings)
        self._by_member = self._device.type == "cpu" if by_member is None else by_member
        if self._by_member:
            self._runs = _runs(self.settings, steps)
            self._rows = self._cut(parameters)
            self._slot_rows = [self._cut(slots[slot]) for slot in SLOTS[self.kind]]
            self._step_rows = [[self._steps[run.start]] * len(parameters) for run in self._runs]
        else:
            largest = max(stack.numel() for stack in parameters.values())
            self._scratch = [
                torch.empty(largest, device=self._device, dtype=self._dtype) for _ in range(2)
            ]
        self._settings = {
            name: torch.tensor(
                [getattr(s, name) for s in self.settings], device=self._device, dtype=torch.float64
            )
            for name in ("lr", "beta1", "beta2", "eps", "weight_decay", "momentum")
        }
        self._largest_norm = self._limits([s.clip_norm for s in self.settings])
        self._largest_value = self._limits([s.clip_value for s in self.settings])

    def step(self, gradients: Stacks) -> None:
        """Update every member.

        What needs memory comes first: when that runs out, nothing is changed yet.
        """
        ordered = {name: gradients[name].contiguous() for name in self.parameters}
        if self._clips_norm:
            ordered = self._with_norms_clipped(ordered)
        if self._clips_value:
            ordered = self._with_values_clipped(ordered)
        update = self._step_by_member if self._by_member else self._step_stacked
        update(ordered)
        self.steps_made += 1

    def _limits(self, given: Sequence[float | None]) -> Tensor:
        """(K,), infinity where there is none."""
        limits = [float("inf") if limit is None else limit for limit in given]
        return torch.tensor(limits, device=self._device, dtype=self._dtype)

    def _with_norms_clipped(self, gradients: Stacks) -> Stacks:
        """Each member's gradient scaled down to its own largest norm."""
        squares = [g.flatten(1).square().sum(1) for g in gradients.values()]
        norms = torch.stack(squares).sum(0).sqrt()
        scale = (self._largest_norm / (norms + _CLIP_EPS)).clamp(max=1.0)
        scale = torch.where(self._largest_norm.isinf(), torch.ones_like(scale), scale)
        return {name: gradient * _beside(scale, gradient) for name, gradient in gradients.items()}

    def _with_values_clipped(self, gradients: Stacks) -> Stacks:
        """Each number of a member's gradient cut off at the member's own limit."""
        clipped = {}
        for name, gradient in gradients.items():
            limit = _beside(self._largest_value, gradient)
            clipped[name] = gradient.clamp(-limit, limit)
        return clipped

    def _step_by_member(self, gradients: Stacks) -> None:
        self._steps += 1
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

    def _step_stacked(self, gradients: Stacks) -> None:
        """The same update over the stacks, for devices on which members are not worth a call."""
        columns = self._columns()
        self._steps += 1
        names = SLOTS[self.kind]
        for name, parameter in self.parameters.items():
            beside = {key: _beside(column, parameter) for key, column in columns.items()}
            held = [self.slots[slot][name] for slot in names]
            scratch = [flat[: parameter.numel()].view_as(parameter) for flat in self._scratch]
            if self.kind == "sgd":
                _sgd(parameter, gradients[name], held, scratch, beside)
            else:
                _adam(parameter, gradients[name], held, scratch, beside, self.kind == "adamw")

    def _columns(self) -> dict[str, Tensor]:
        """The settings and corrections of the next step, worked out in float64: (K,) each."""
        settings, step = self._settings, self._steps.double() + 1
        lr, beta1, beta2 = settings["lr"], settings["beta1"], settings["beta2"]
        columns = {
            **settings,
            "keep": 1 - lr * settings["weight_decay"],
            "rest1": 1 - beta1,
            "rest2": 1 - beta2,
            "correction2": 1 - beta2**step,
            "scale": lr / (1 - beta1**step),
        }
        return {name: column.to(self._dtype) for name, column in columns.items()}

    def _cut(self, stacks: Stacks) -> list[list[Tensor]]:
        """For each run of members their tensors, as views."""
        return [[stack[run] for stack in stacks.values()] for run in self._runs]


def _adam(
    parameter: Tensor,
    gradient: Tensor,
    held: Sequence[Tensor],
    scratch: Sequence[Tensor],
    columns: Mapping[str, Tensor],
    decoupled: bool,
) -> None:
    (average, square), (one, two) = held, scratch
    if decoupled:
        parameter.mul_(columns["keep"])
    else:
        torch.mul(parameter, columns["weight_decay"], out=one)
        gradient = one.add_(gradient)
    average.lerp_(gradient, columns["rest1"])
    torch.mul(gradient, gradient, out=two)
    square.mul_(columns["beta2"]).add_(two.mul_(columns["rest2"]))
    torch.div(square, columns["correction2"], out=two)
    two.sqrt_().add_(columns["eps"])
    torch.div(average, two, out=two)
    parameter.sub_(two.mul_(columns["scale"]))


def _sgd(
    parameter: Tensor,
    gradient: Tensor,
    held: Sequence[Tensor],
    scratch: Sequence[Tensor],
    columns: Mapping[str, Tensor],
) -> None:
    (velocity,), one = held, scratch[0]
    torch.mul(parameter, columns["weight_decay"], out=one)
    velocity.mul_(columns["momentum"]).add_(one.add_(gradient))
    torch.mul(velocity, columns["lr"], out=one)
    parameter.sub_(one)


def _beside(column: Tensor, stack: Tensor) -> Tensor:
    """(K,) -> (K, 1, ...) with as many axes as the stack."""
    return column.view(-1, *(1 for _ in range(stack.dim() - 1)))


def _runs(settings: Sequence[OptimizerSettings], steps: Sequence[int]) -> list[slice]:
    """The stretches of neighbours that are updated alike, so that one call does."""
    alike = list(zip(settings, steps, strict=True))
    starts = [i for i in range(len(alike)) if i == 0 or alike[i] != alike[i - 1]]
    return [slice(start, end) for start, end in pairwise([*starts, len(alike)])]
