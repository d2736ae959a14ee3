"""Packable trainings for tests."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweep.run import NullRun, TrialStop
from workers.fusion import OptimizerSettings, Packable
from workers.fusion.alone import train_alone
from workers.fusion.packable import Params
from workers.trainables.arithmetic.datasets import draw
from workers.trainables.arithmetic.tasks import label
from workers.trainables.arithmetic.training import ArithmeticTraining, Examples

Trajectory = list[tuple[int, dict[str, float]]]


class Anyhow(ArithmeticTraining):
    """The study's networks and data with any optimizer, evaluated often on few records."""

    span = 7

    def optimizer(self, params: Params) -> OptimizerSettings:
        return OptimizerSettings.read(params["how"])

    def model(self, params: Params) -> nn.Module:
        model = super().model(_of_the_study(params))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(params["how"].get("init_scale", 1.0))
        return model

    def evaluation(self, params: Params) -> Examples:
        a, b = draw(params["dataset"], 0, torch.arange(1_000_000, 1_000_032))
        return a, b, label(params["task"], a, b)

    def report_every(self, params: Params) -> int:
        return int(params["eval_every"])

    def fuse_key(self, params: Params) -> Hashable:
        return (super().fuse_key(_of_the_study(params)), params["how"]["optimizer"])

    def stream(self, params: Params, seed: int, device: torch.device) -> Any:
        return super().stream(_of_the_study(params), seed, device)

    def stream_key(self, params: Params, seed: int) -> Hashable:
        return super().stream_key(_of_the_study(params), seed)

    def evaluation_key(self, params: Params) -> tuple[str, str, int]:
        return super().evaluation_key(_of_the_study(params))


def _of_the_study(params: Params) -> dict[str, Any]:
    return {**{k: v for k, v in params.items() if k != "how"}, "lr": 1.0}


class Line(Packable):
    """A small regression: fast, with batches by a plain iterator."""

    member_parameters = Packable.member_parameters | {"weight"}

    def model(self, params: Params) -> nn.Module:
        return Weighted(params.get("weight", 1.0))

    def loss(self, model: Callable[..., Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        predicted, weight = model(x)
        return weight * functional.mse_loss(predicted, y)

    def batches(self, params: Params, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            x = torch.randn(8, 3, generator=generator, dtype=torch.float64)
            yield x, x.sum(dim=1, keepdim=True).sin()

    def metrics(
        self, model: Callable[..., Tensor], batch: tuple[Tensor, Tensor]
    ) -> Mapping[str, Tensor]:
        return {"loss": self.loss(model, batch)}

    def report_every(self, params: Params) -> int:
        return 5

    def save_every(self, params: Params) -> int:
        return 10


class Weighted(nn.Module):
    """A network that holds its loss weight."""

    weight: Tensor

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1))
        self.register_buffer("weight", torch.tensor(weight))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.layers(x), self.weight


class Picky(Line):
    """Each of a member's own parts can raise."""

    member_parameters = Line.member_parameters | {"trouble"}

    def model(self, params: Params) -> Any:
        if params.get("trouble") == "model":
            raise ValueError("no such model")
        if params.get("trouble") == "width":
            return nn.Linear(3, 2)
        return super().model(params)

    def evaluation(self, params: Params) -> Any:
        if params.get("trouble") == "evaluation":
            raise ValueError("no such evaluation")
        return super().evaluation(params)

    def evaluation_key(self, params: Params) -> Any:
        return params.get("trouble")


line = Line()
picky = Picky()


def alone(
    packable: Packable,
    params: Params,
    seed: int,
    max_t: int,
    dtype: torch.dtype = torch.float64,
    run: NullRun | None = None,
) -> Trajectory:
    """What a training reports by itself."""
    run = run or NullRun(seed=seed, max_t=max_t)
    with suppress(TrialStop):
        train_alone(packable, params, run, dtype=dtype)
    return run.reports
