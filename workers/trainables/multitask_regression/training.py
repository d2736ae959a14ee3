"""What trains for `multitask-regression`."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.fusion.packable import OptimizerSettings, Params
from workers.nn.regression import Multitask
from workers.trainables.drawn import DrawnTraining
from workers.trainables.multitask_regression import (
    MULTITASK_REGRESSION,
    MultitaskRegressionParameters,
)


class Repeat(nn.Module):
    """A network together with the tasks that it is to learn, drawn with its weights."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, tasks: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scale", torch.rand(tasks, 1, 1))  # a
        self.register_buffer("shift", torch.rand(tasks, 1, 1))  # b

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(tasks, points, 1) -> what the network answers and what it should, both alike."""
        half = self.scale.shape[0] // 2
        shape = torch.cat((x[:half], torch.sin(10 * x[half:])))
        return self.network(x), self.scale * shape + self.shift


class MultitaskRegressionTraining(DrawnTraining):
    """Trainings of one model on one number of tasks; each member has tasks of its own."""

    descriptor = MULTITASK_REGRESSION

    def model(self, params: Params) -> nn.Module:
        """See `Packable`."""
        read = _read(params)
        return Repeat(Multitask(read.model, read.tasks), read.tasks)

    def draw(
        self, params: Params, seed: int, rng: np.random.Generator, count: int
    ) -> tuple[Tensor]:
        """Points, uniform in [-1, 1)."""
        read = _read(params)
        points = rng.random((count, read.tasks, read.points, 1), dtype=np.float32)
        return (torch.from_numpy(2 * points - 1),)

    def loss(self, model: Callable[..., tuple[Tensor, Tensor]], batch: tuple[Tensor]) -> Tensor:
        """The mean squared error."""
        return functional.mse_loss(*model(*batch))

    def metrics(
        self, model: Callable[..., tuple[Tensor, Tensor]], batch: tuple[Tensor]
    ) -> Mapping[str, Tensor]:
        """The mean squared error at points of the same kind, and its natural logarithm."""
        mse = self.loss(model, batch)
        return {"mse": mse, "log_mse": mse.log()}

    def optimizer(self, params: Params) -> OptimizerSettings:
        """Adam at the trial's rate."""
        return OptimizerSettings(lr=_read(params).lr)

    def report_every(self, params: Params) -> int:
        """The parameter `eval_every`."""
        return _read(params).eval_every

    def save_every(self, params: Params) -> int:
        """Often enough that little is lost."""
        return 4 * self.report_every(params)


train = MultitaskRegressionTraining()


def _read(params: Params) -> MultitaskRegressionParameters:
    return MultitaskRegressionParameters.model_validate(params)
