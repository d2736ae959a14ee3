"""What trains for `expressivity`."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.fusion.packable import OptimizerSettings, Params
from workers.nn.regression import OneHidden, OneMultiplicative, WithSize
from workers.trainables.drawn import DrawnTraining
from workers.trainables.expressivity import EXPRESSIVITY, ExpressivityParameters, Target

_TESTED = 10_000

Examples = tuple[Tensor, Tensor, Tensor]
"""x and z, (..., batch, dimension) each, and the target's values."""


def wanted(target: Target, x: Tensor, z: Tensor) -> Tensor:
    """The target: (..., d), (..., d) -> (..., d), or (..., 1) for the dot product."""
    if target == "sum":
        return x + z
    if target == "gating":
        return torch.sigmoid(x) * z
    return (x * z).sum(-1, keepdim=True)


class ExpressivityTraining(DrawnTraining):
    """Trainings of one network on one target with any rate."""

    descriptor = EXPRESSIVITY

    def model(self, params: Params) -> nn.Module:
        """See `Packable`."""
        read = _read(params)
        kind = OneHidden if read.model == "mlp" else OneMultiplicative
        out = 1 if read.target == "dot" else read.dimension
        return WithSize(kind(read.dimension, read.dimension, read.size, out), read.prune_below)

    def draw(self, params: Params, seed: int, rng: np.random.Generator, count: int) -> Examples:
        """Pairs of vectors from a standard Gaussian, labelled."""
        read = _read(params)
        shape = (2, count, read.batch_size, read.dimension)
        x, z = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        return x, z, wanted(read.target, x, z)

    def loss(self, model: Callable[..., tuple[Tensor, ...]], batch: Examples) -> Tensor:
        """The squared error, its mean over pairs and over the label's elements."""
        x, z, label = batch
        return functional.mse_loss(model(x, z)[0], label)

    def metrics(
        self, model: Callable[..., tuple[Tensor, ...]], batch: Examples
    ) -> Mapping[str, Tensor]:
        """The loss over 10,000 pairs, the number of weights, and of those that are used."""
        x, z, label = batch
        answer, total, used = model(x, z)
        return {
            "loss": functional.mse_loss(answer, label),
            "parameters": total,
            "parameters_used": used,
        }

    def evaluation(self, params: Params) -> Examples:
        """Pairs that no training draws."""
        x, z, label = super().evaluation({**params, "batch_size": _TESTED})
        return x, z, label

    def optimizer(self, params: Params) -> OptimizerSettings:
        """Adam at the trial's rate."""
        return OptimizerSettings(lr=_read(params).lr)

    def report_every(self, params: Params) -> int:
        """The parameter `eval_every`."""
        return _read(params).eval_every

    def save_every(self, params: Params) -> int:
        """Often enough that little is lost."""
        return 3 * self.report_every(params)


train = ExpressivityTraining()


def _read(params: Params) -> ExpressivityParameters:
    return ExpressivityParameters.model_validate(params)
