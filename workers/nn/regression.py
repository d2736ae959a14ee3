"""Networks that regress a function of two numbers or two vectors.

Weights start as PyTorch's own `nn.Linear` does, or as `MultiplicativeInteraction` says.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from workers.nn.interactions import MultiplicativeInteraction

_SMALLEST = 1e-6
"""Numbers are raised to it before their logarithm is taken."""


class OneHidden(nn.Module):
    """linear(size), relu, linear(out) over both inputs side by side."""

    def __init__(self, x_features: int, z_features: int, size: int, out_features: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(x_features + z_features, size)
        self.out = nn.Linear(size, out_features)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., m) -> (..., out)."""
        hidden = torch.relu(self.hidden(torch.cat((x, z), dim=-1)))  # (..., size)
        answer: Tensor = self.out(hidden)
        return answer


class OneMultiplicative(nn.Module):
    """M(size), linear(out)."""

    def __init__(self, x_features: int, z_features: int, size: int, out_features: int) -> None:
        super().__init__()
        self.hidden = MultiplicativeInteraction(x_features, z_features, size)
        self.out = nn.Linear(size, out_features)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., m) -> (..., out)."""
        answer: Tensor = self.out(self.hidden(x, z))
        return answer


class Added(nn.Module):
    """One linear layer over both inputs side by side."""

    def __init__(self, x_features: int, z_features: int, out_features: int) -> None:
        super().__init__()
        self.out = nn.Linear(x_features + z_features, out_features)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., m) -> (..., out)."""
        answer: Tensor = self.out(torch.cat((x, z), dim=-1))
        return answer


class InLogarithms(nn.Module):
    """exp(f(ln x, ln z)): to `inside`, a product is a sum. For numbers above zero."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., m) -> (..., out)."""
        answer: Tensor = self.inside(x.clamp(min=_SMALLEST).log(), z.clamp(min=_SMALLEST).log())
        return answer.exp()


class WithSize(nn.Module):
    """A network and how many weights it has and really uses.

    Args:
        network: of two inputs.
        threshold: weights closer to zero do not count as used.
    """

    def __init__(self, network: nn.Module, threshold: float) -> None:
        super().__init__()
        self.network = network
        self.threshold = threshold

    def forward(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the network answers, its number of weights, the number of those used."""
        weights = torch.cat([p.flatten() for p in self.network.parameters()])
        used = (weights.abs() >= self.threshold).sum()
        return self.network(x, z), torch.full_like(used, weights.shape[0]), used


TaskModel = Literal["mlp", "multihead", "mi"]


class Multitask(nn.Module):
    """One network for many one-dimensional tasks, told which task it is at.

    S. M. Jayakumar et al. (ICLR 2020), appendix D:

        mlp        concat(x, linear(20)(task)), linear(30), relu, linear(20), relu, linear(1)
        multihead  linear(20), relu, linear(30), relu, linear(1) for each task
        mi         M([linear(30), relu, linear(20), relu](x), linear(20)(task))

    Points of one task lie together, so that a task's context is worked out once.
    """

    def __init__(self, model: TaskModel, tasks: int) -> None:
        super().__init__()
        self.model = model
        if model == "multihead":
            self.trunk = nn.Sequential(nn.Linear(1, 20), nn.ReLU(), nn.Linear(20, 30), nn.ReLU())
            head = nn.Linear(30, tasks)  # row t is the head of task t
            self.head_weight, self.head_bias = head.weight, head.bias
            return
        self.context = nn.Linear(tasks, 20)  # of a one-hot task: column t and the bias
        inputs = 1 if model == "mi" else 21
        self.trunk = nn.Sequential(nn.Linear(inputs, 30), nn.ReLU(), nn.Linear(30, 20), nn.ReLU())
        self.last = nn.Linear(20, 1) if model == "mlp" else MultiplicativeInteraction(20, 20, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(tasks, points, 1) -> (tasks, points, 1)."""
        if self.model == "multihead":
            hidden: Tensor = self.trunk(x)  # (tasks, points, 30)
            return hidden @ self.head_weight.unsqueeze(-1) + self.head_bias[:, None, None]
        context = (self.context.weight.T + self.context.bias).unsqueeze(1)  # (tasks, 1, 20)
        if self.model == "mi":
            assert isinstance(self.last, MultiplicativeInteraction)
            weights, bias = self.last.generated(context)  # (tasks, 1, 20, 1), (tasks, 1, 1)
            hidden = self.trunk(x)  # (tasks, points, 20)
            return hidden @ weights.squeeze(1) + bias
        beside = context.expand(-1, x.shape[1], -1)  # (tasks, points, 20)
        answer: Tensor = self.last(self.trunk(torch.cat((x, beside), dim=-1)))
        return answer
