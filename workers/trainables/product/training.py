"""What trains for `product`."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.fusion.packable import OptimizerSettings, Params
from workers.nn.regression import Added, InLogarithms, OneHidden, OneMultiplicative
from workers.trainables.drawn import DrawnTraining
from workers.trainables.product import (
    ASKED,
    PRODUCT,
    LogLinear,
    Network,
    ProductParameters,
    prediction_name,
)

_TESTED = 10_000

Pairs = tuple[Tensor, Tensor]
"""The factors: (..., batch, 1) each."""


def build(network: Network) -> nn.Module:
    """The network, of two numbers."""
    if isinstance(network, LogLinear):
        return InLogarithms(Added(1, 1, 1))
    if network.type == "multiply":
        return OneMultiplicative(1, 1, network.units, 1)
    relus = OneHidden(1, 1, network.units, 1)
    return relus if network.type == "relu" else InLogarithms(relus)


class ProductTraining(DrawnTraining):
    """Trainings of one network with any rate."""

    descriptor = PRODUCT

    def model(self, params: Params) -> nn.Module:
        """See `Packable`."""
        return build(_read(params).network)

    def draw(self, params: Params, seed: int, rng: np.random.Generator, count: int) -> Pairs:
        """Pairs of numbers, uniform in [0, 1)."""
        shape = (2, count, _read(params).batch_size, 1)
        a, b = torch.from_numpy(rng.random(shape, dtype=np.float32))
        return a, b

    def loss(self, model: Callable[..., Tensor], batch: Pairs) -> Tensor:
        """The mean squared error."""
        a, b = batch
        return functional.mse_loss(model(a, b), a * b)

    def evaluation(self, params: Params) -> tuple[Tensor, Tensor, Tensor]:
        """Pairs that no training draws, and the numbers whose squares are asked for."""
        a, b = super().evaluation({**params, "batch_size": _TESTED})
        return a, b, torch.tensor(ASKED).unsqueeze(1)

    def metrics(
        self, model: Callable[..., Tensor], batch: tuple[Tensor, Tensor, Tensor]
    ) -> Mapping[str, Tensor]:
        """The root mean squared error, in range and on x^2 for x in [1, 10); the answers."""
        a, b, x = batch
        squares = model(x, x)
        answers = {prediction_name(at): squares[i, 0] for i, at in enumerate(ASKED)}
        outside = sum(at < 1 for at in ASKED)
        return {
            "rmse": functional.mse_loss(model(a, b), a * b).sqrt(),
            "rmse_outside": functional.mse_loss(squares[outside:], x[outside:] ** 2).sqrt(),
            **answers,
        }

    def optimizer(self, params: Params) -> OptimizerSettings:
        """Adam at the trial's rate."""
        return OptimizerSettings(lr=_read(params).lr)

    def report_every(self, params: Params) -> int:
        """The parameter `eval_every`."""
        return _read(params).eval_every

    def save_every(self, params: Params) -> int:
        """Often enough that little is lost."""
        return 5 * self.report_every(params)


train = ProductTraining()


def _read(params: Params) -> ProductParameters:
    return ProductParameters.model_validate(params)
