"""The trainings of the arithmetic study: Adam on the mean squared error."""

from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.fusion.packable import OptimizerSettings, Packable, Params
from workers.nn.arithmetic import Dense, Multiply, MultiplySimple
from workers.trainables.arithmetic import (
    ARITHMETIC,
    WIDTH,
    ArithmeticParameters,
    Dataset,
    DenseNetwork,
    MultiplyNetwork,
    Network,
    ResidualNetwork,
    output_width,
)
from workers.trainables.arithmetic.datasets import batch_records, draw, test_records
from workers.trainables.arithmetic.tasks import accuracy, label

Examples = tuple[Tensor, Tensor, Tensor]
"""Both inputs, (..., batch, WIDTH), and the labels, (..., batch, output width)."""


def build(network: Network, *, out: int) -> nn.Module:
    """The network; its first weights are drawn from PyTorch's generator."""
    if isinstance(network, DenseNetwork | ResidualNetwork):
        return Dense(
            width=WIDTH,
            out=out,
            depth=network.depth,
            activation=network.activation,
            residual=isinstance(network, ResidualNetwork),
        )
    if isinstance(network, MultiplyNetwork):
        return Multiply(width=WIDTH, out=out)
    return MultiplySimple(width=WIDTH, out=out)


class ArithmeticTraining(Packable):
    """Trainings of one network with any task whose labels are as wide, any data set, any rate."""

    span = 100

    def model(self, params: Params) -> nn.Module:
        """See `Packable`."""
        read = _read(params)
        return build(read.network, out=output_width(read.task))

    def loss(self, model: Callable[..., Tensor], batch: Examples) -> Tensor:
        """The mean squared error."""
        a, b, wanted = batch
        return functional.mse_loss(model(a, b), wanted)

    def batches(self, params: Params, seed: int) -> Iterator[Examples]:
        """One batch a step, as `stream` draws them."""
        stream, step = self.stream(params, seed, torch.device("cpu")), 0
        while True:
            step += 1
            a, b, wanted = stream.take(step, 1)
            yield a[0], b[0], wanted[0]

    def metrics(self, model: Callable[..., Tensor], batch: Examples) -> dict[str, Tensor]:
        """Accuracy and mean squared error over the test records."""
        a, b, wanted = batch
        predicted = model(a, b)
        return {
            "accuracy": accuracy(predicted, wanted),
            "loss": functional.mse_loss(predicted, wanted),
        }

    def evaluation(self, params: Params) -> Examples:
        """The test records of the data set, labelled."""
        read = _read(params)
        a, b = draw(read.dataset, read.data_seed, test_records("cpu"))
        return a, b, label(read.task, a, b)

    def optimizer(self, params: Params) -> OptimizerSettings:
        """Adam at the trial's rate."""
        return OptimizerSettings(lr=_read(params).lr)

    def report_every(self, params: Params) -> int:
        """The parameter `eval_every`."""
        return _read(params).eval_every

    def fuse_key(self, params: Params) -> Hashable:
        """As the descriptor says."""
        assert ARITHMETIC.fuse_key is not None
        return ARITHMETIC.fuse_key(params)

    def stream(self, params: Params, seed: int, device: torch.device) -> "_Stream":
        """Batches drawn by counting, many steps at once."""
        return _Stream(_read(params), seed, device)

    def stream_key(self, params: Params, seed: int) -> Hashable:
        """Task, data set and the seed of its batches."""
        read = _read(params)
        return (*self.evaluation_key(params), _batch_seed(read, seed))

    def evaluation_key(self, params: Params) -> tuple[str, str, int]:
        """Task and data set."""
        read = _read(params)
        return (read.task, read.dataset, read.data_seed)


train = ArithmeticTraining()


class _Stream:
    def __init__(self, params: ArithmeticParameters, seed: int, device: torch.device) -> None:
        self._params = params
        self._seed = _batch_seed(params, seed)
        self._device = device

    def take(self, first: int, count: int) -> Examples:
        params = self._params
        a, b = _inputs(
            params.dataset,
            params.data_seed,
            self._seed,
            params.batch_size,
            first,
            count,
            self._device,
        )
        return a, b, label(params.task, a, b)


@lru_cache(maxsize=4)
def _inputs(
    dataset: Dataset,
    data_seed: int,
    seed: int,
    size: int,
    first: int,
    count: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """The inputs of some steps, (count, size, WIDTH) each; several tasks ask for the same."""
    steps = torch.arange(first, first + count, device=device)[:, None]
    records = batch_records(torch.tensor(seed, device=device), steps, size)
    return draw(dataset, data_seed, records)


def _batch_seed(params: ArithmeticParameters, seed: int) -> int:
    return seed if params.batch_seed is None else params.batch_seed


def _read(params: Params) -> ArithmeticParameters:
    return ArithmeticParameters.model_validate(params)
