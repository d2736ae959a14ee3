"""The trainings of the neural-process study: Adam on the negative evidence lower bound."""

import math
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from workers.fusion.packable import EVALUATION_SEED, OptimizerSettings, Packable, Params
from workers.trainables.neural_process import NEURAL_PROCESS, NeuralProcessParameters
from workers.trainables.neural_process.functions import Functions, Shape, draw
from workers.trainables.neural_process.model import LATENT, Answer, NeuralProcess

TEST_FUNCTIONS = 128
TEST_DRAWS = 8
"""How often z is drawn for each held-out function; the draws are always the same."""


class NeuralProcessTraining(Packable):
    """Trainings of one decoder at any rate, from any seed."""

    span = 50

    def model(self, params: Params) -> nn.Module:
        """See `Packable`."""
        return NeuralProcess(_read(params).decoder)

    def loss(self, model: Callable[..., Any], batch: Functions) -> Tensor:
        """The negative evidence lower bound a point, in nats.

        Of all points given the context: expected log likelihood less the divergence of
        q(z | all points) from q(z | context) (Kim et al., 2019, equation 3). One draw of
        z a function, made with the batch's own noise.
        """
        answer: Answer = model(*batch)
        return _negative_bound(answer, batch[1])

    def batches(self, params: Params, seed: int) -> Iterator[Functions]:
        """One batch a step, as `stream` draws them."""
        stream, step = self.stream(params, seed, torch.device("cpu")), 0
        while True:
            step += 1
            yield Functions(*(tensor[0] for tensor in stream.take(step, 1)))

    def metrics(self, model: Callable[..., Any], batch: Functions) -> dict[str, Tensor]:
        """What is said of held-out functions; see `log_likelihood` for the first.

        `loss` is that of the training, `kl` the divergence in nats a function, `mse` the
        squared error at the points that are no context with z at the prior's mean.
        """
        _, y, context, _ = batch
        answer: Answer = model(*batch)
        others = 1 - context
        error = (answer.expected - y).square() * others
        return {
            "log_likelihood": log_likelihood(answer, y, context),
            "loss": _negative_bound(answer, y),
            "kl": answer.posterior.kl(answer.prior).sum(dim=(-2, -1)).mean(),
            "mse": error.sum() / others.sum(),
            "parameters": answer.size,
        }

    def evaluation(self, params: Params) -> Functions:
        """Functions that no training draws, with several draws of z: (draws, ...) noise."""
        read = _read(params)
        shape = _shape(read, functions=TEST_FUNCTIONS, latent=TEST_DRAWS * LATENT)
        drawn = draw(shape, EVALUATION_SEED, torch.ones(1, dtype=torch.int64))
        x, y, context, noise = (tensor[0] for tensor in drawn)
        noise = noise.view(TEST_FUNCTIONS, TEST_DRAWS, LATENT).transpose(0, 1)
        return Functions(x, y, context, noise)

    def optimizer(self, params: Params) -> OptimizerSettings:
        """Adam at the trial's rate, with its clipping."""
        read = _read(params)
        return OptimizerSettings(lr=read.lr, clip_value=read.clip_value)

    def report_every(self, params: Params) -> int:
        """The parameter `eval_every`."""
        return _read(params).eval_every

    def fuse_key(self, params: Params) -> Hashable:
        """As the descriptor says."""
        assert NEURAL_PROCESS.fuse_key is not None
        return NEURAL_PROCESS.fuse_key(params)

    def stream(self, params: Params, seed: int, device: torch.device) -> "_Stream":
        """Functions drawn by counting, many steps at once."""
        return _Stream(_read(params), seed, device)

    def stream_key(self, params: Params, seed: int) -> Hashable:
        """What is drawn, and the seed of the draws."""
        read = _read(params)
        return (_shape(read, functions=read.batch_size, latent=LATENT), _batch_seed(read, seed))

    def evaluation_key(self, params: Params) -> Hashable:
        """What is drawn."""
        return _shape(_read(params), functions=TEST_FUNCTIONS, latent=LATENT)


train = NeuralProcessTraining()


def log_likelihood(answer: Answer, y: Tensor, context: Tensor) -> Tensor:
    """The log of p(y at the points that are no context | context) a point, in nats.

    Estimated for each function by importance sampling: z is drawn from q(z | all points)
    and weighted with its density under q(z | context). With S draws this is, on average,
    a lower bound that S draws tighten (Burda et al., 2016, theorem 1).

    Args:
        answer: with z of (draws, functions, 1, LATENT).
        y: (functions, points, 1).
        context: the same shape: 1 where a point is context, 0 elsewhere.
    """
    others = 1 - context
    likelihood = (answer.y.log_prob(y) * others).sum(dim=(-2, -1))  # (draws, functions)
    prior, posterior = answer.prior.log_prob(answer.z), answer.posterior.log_prob(answer.z)
    weight = likelihood + (prior - posterior).sum(dim=(-2, -1))
    each = torch.logsumexp(weight, dim=0) - math.log(weight.shape[0])  # (functions,)
    return (each / others.sum(dim=(-2, -1))).mean()


def _negative_bound(answer: Answer, y: Tensor) -> Tensor:
    likelihood = answer.y.log_prob(y).mean()
    divergence = answer.posterior.kl(answer.prior).sum(dim=(-2, -1)).mean()
    return divergence / y.shape[-2] - likelihood


class _Stream:
    def __init__(self, params: NeuralProcessParameters, seed: int, device: torch.device) -> None:
        self._shape = _shape(params, functions=params.batch_size, latent=LATENT)
        self._seed = _batch_seed(params, seed)
        self._device = device

    def take(self, first: int, count: int) -> Functions:
        steps = torch.arange(first, first + count, device=self._device)
        return draw(self._shape, self._seed, steps)


def _shape(params: NeuralProcessParameters, *, functions: int, latent: int) -> Shape:
    return Shape(
        functions=functions,
        points=params.points,
        latent=latent,
        min_context=params.min_context,
        max_context=params.max_context,
    )


def _batch_seed(params: NeuralProcessParameters, seed: int) -> int:
    return seed if params.batch_seed is None else params.batch_seed


def _read(params: Params) -> NeuralProcessParameters:
    return NeuralProcessParameters.model_validate(params)
