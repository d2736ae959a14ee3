"""The twelve tasks: what the network is to answer for two vectors."""

from collections.abc import Callable

import torch
from torch import Tensor

from workers.trainables.arithmetic import WIDTH, Task

_NEARLY = 0.001


def label(task: Task, a: Tensor, b: Tensor) -> Tensor:
    """(batch, WIDTH), (batch, WIDTH) -> (batch, output width of the task), float32."""
    return _LABELS[task](a, b)


def accuracy(predicted: Tensor, wanted: Tensor) -> Tensor:
    """The share of elements whose error rounds to zero at half a decimal: |error| < 0.158."""
    return (torch.round((predicted - wanted) * 10**0.5) == 0).float().mean(dim=(-2, -1))


def _first_largest(x: Tensor) -> Tensor:
    """The index of the largest element, the first of equals: (batch, 1)."""
    rank = torch.arange(x.shape[-1], 0, -1, device=x.device)
    largest = x == x.amax(dim=-1, keepdim=True)
    return x.shape[-1] - torch.where(largest, rank, 0).amax(dim=-1, keepdim=True)


def _one_hot_sum(a: Tensor, b: Tensor) -> Tensor:
    total = _first_largest(a) + _first_largest(b)
    return (total == torch.arange(WIDTH, device=a.device)).float()


_LABELS: dict[Task, Callable[[Tensor, Tensor], Tensor]] = {
    "reduce_sum": lambda a, b: (a + b).sum(dim=-1, keepdim=True),
    "reduce_max": lambda a, b: torch.maximum(a, b).amax(dim=-1, keepdim=True),
    "concat": lambda a, b: torch.cat((a, b), dim=-1),
    "dot": lambda a, b: (a * b).sum(dim=-1, keepdim=True),
    "elementwise_mul": lambda a, b: a * b,
    "elementwise_add": lambda a, b: a + b,
    "one_hot_sum": _one_hot_sum,
    "equality": lambda a, b: (a == b).float(),
    "almost_equal": lambda a, b: ((a - b).abs() <= _NEARLY).float(),
    "logical_and": lambda a, b: ((a != 0) & (b != 0)).float(),
    "logical_or": lambda a, b: ((a != 0) | (b != 0)).float(),
    "logical_xor": lambda a, b: ((a != 0) ^ (b != 0)).float(),
}
