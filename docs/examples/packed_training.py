"""A user's own training that can be packed: a small network learns the distance to a point."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.fusion import Packable

Batch = tuple[Tensor, Tensor]


class Penalised(nn.Module):
    """A network that carries a number of its own, as a buffer, for the loss to use."""

    penalty: Tensor

    def __init__(self, width: int, penalty: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1))
        self.register_buffer("penalty", torch.tensor(penalty))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 2) -> the distances, (batch, 1), and the penalty on their size."""
        distances = self.layers(x)
        return distances, self.penalty * distances.square().mean()


class Distance(Packable):
    """Trials that differ in rate, penalty and seed train as one program."""

    member_parameters = Packable.member_parameters | {"penalty"}

    def model(self, params: Any) -> nn.Module:
        """The network; PyTorch's generator was seeded for it."""
        return Penalised(params["width"], params.get("penalty", 0.0))

    def loss(self, model: Callable[..., Any], batch: Batch) -> Tensor:
        """The mean squared error, and the penalty."""
        x, wanted = batch
        predicted, penalty = model(x)
        return functional.mse_loss(predicted, wanted) + penalty

    def batches(self, params: Any, seed: int) -> Iterator[Batch]:
        """Points and their distances to (1, 1), without end."""
        generator = torch.Generator().manual_seed(seed)
        while True:
            x = torch.rand(64, 2, generator=generator) * 4 - 2
            yield x, (x - 1).square().sum(dim=1, keepdim=True).sqrt()

    def metrics(self, model: Callable[..., Any], batch: Batch) -> dict[str, Tensor]:
        """The error without the penalty, on points that no training draws."""
        x, wanted = batch
        return {"error": functional.mse_loss(model(x)[0], wanted)}


distance = Distance()
