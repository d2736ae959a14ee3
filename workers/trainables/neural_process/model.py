"""Neural processes with a latent and a deterministic path.

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 7 and appendix F; the encoders are those of M. Garnelo et al. (2018) and of
H. Kim et al., "Attentive Neural Processes" (2019), section 2, without attention. Shapes
are (..., functions, points, width); what belongs to a function as a whole has one point.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.nn.interactions import MultiplicativeInteraction
from workers.trainables.neural_process import Decoder

WIDTH = 128
LATENT = 64
DETERMINISTIC_LAYERS = 6
LATENT_LAYERS = 3
DECODER_LAYERS = 4

_CONDITION = LATENT + WIDTH
_SMALLEST_LATENT_STD = 0.1
_SMALLEST_STD = 0.01
"""Half of the noise of the observations."""


class Gaussian(NamedTuple):
    """Independent normal distributions."""

    mean: Tensor
    std: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """What standard normal noise becomes."""
        return self.mean + self.std * noise

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density of each number."""
        scaled = (value - self.mean) / self.std
        return -0.5 * scaled.square() - self.std.log() - 0.5 * math.log(2 * math.pi)

    def kl(self, other: "Gaussian") -> Tensor:
        """KL(self || other) of each number."""
        ratio = (self.std / other.std).square()
        distance = ((self.mean - other.mean) / other.std).square()
        return 0.5 * (ratio + distance - 1 - ratio.log())


class Answer(NamedTuple):
    """What a neural process says of functions."""

    y: Gaussian
    """At every point, with z from the posterior: (..., functions, points, 1)."""
    z: Tensor
    """The latent variable, (..., functions, 1, LATENT)."""
    prior: Gaussian
    """q(z | context), (functions, 1, LATENT)."""
    posterior: Gaussian
    """q(z | all points), (functions, 1, LATENT)."""
    expected: Tensor
    """The mean at every point with z at the prior's mean: (functions, points, 1)."""
    size: Tensor
    """How many numbers the network trains: a scalar."""


class ConditionedLinear(nn.Module):
    """A linear layer of [x; c] where c is one for all points of a function.

    c's share is computed once a function and added, instead of repeating c at each point.
    """

    def __init__(self, x_features: int, c_features: int, out_features: int) -> None:
        super().__init__()
        self.of_x = nn.Linear(x_features, out_features)
        self.of_c = nn.Linear(c_features, out_features, bias=False)
        inputs = x_features + c_features  # first numbers as for one layer of both
        for layer in (self.of_x, self.of_c):
            nn.init.uniform_(layer.weight, -math.sqrt(6 / inputs), math.sqrt(6 / inputs))
        nn.init.uniform_(self.of_x.bias, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """(..., points, x_features), (..., 1, c_features) -> (..., points, out_features)."""
        answer: Tensor = self.of_x(x) + self.of_c(c)
        return answer


class MlpDecoder(nn.Module):
    """MLP([x; c]): the condition enters the first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = ConditionedLinear(1, _CONDITION, WIDTH)
        self.rest = mlp(*[WIDTH] * DECODER_LAYERS, 2)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """(..., points, 1), (..., 1, condition) -> (..., points, 2)."""
        answer: Tensor = self.rest(torch.relu(self.first(x, c)))
        return answer


class SkipMlpDecoder(nn.Module):
    """Skip MLP([x; c]): the condition enters every layer (Dieng et al., 2018)."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [1, *[WIDTH] * DECODER_LAYERS]
        self.layers = nn.ModuleList(ConditionedLinear(i, _CONDITION, o) for i, o in pairwise(sizes))
        self.last = ConditionedLinear(WIDTH, _CONDITION, 2)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """(..., points, 1), (..., 1, condition) -> (..., points, 2)."""
        for layer in self.layers:
            x = torch.relu(layer(x, c))
        answer: Tensor = self.last(x, c)
        return answer


class MultiplicativeDecoder(nn.Module):
    """M(hidden(x), c): an MLP of x alone whose last layer the condition generates."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = mlp(1, *[WIDTH] * DECODER_LAYERS)
        self.last = MultiplicativeInteraction(WIDTH, _CONDITION, 2)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """(..., points, 1), (..., 1, condition) -> (..., points, 2)."""
        weights, bias = self.last.generated(c.squeeze(-2))  # once a function
        answer: Tensor = torch.relu(self.hidden(x)) @ weights + bias.unsqueeze(-2)
        return answer


DECODERS: dict[Decoder, type[MlpDecoder | SkipMlpDecoder | MultiplicativeDecoder]] = {
    "mlp": MlpDecoder,
    "skip_mlp": SkipMlpDecoder,
    "mi": MultiplicativeDecoder,
}


class NeuralProcess(nn.Module):
    """Two encoders, each over points and then averaged, and a decoder."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.deterministic = mlp(2, *[WIDTH] * DETERMINISTIC_LAYERS)
        self.latent = mlp(2, *[WIDTH] * LATENT_LAYERS)
        self.distribution = nn.Linear(WIDTH, 2 * LATENT)
        self.decoder = DECODERS[decoder]()
        size = sum(parameter.numel() for parameter in self.parameters())
        self.size: Tensor
        self.register_buffer("size", torch.tensor(size))

    def forward(self, x: Tensor, y: Tensor, context: Tensor, noise: Tensor) -> Answer:
        """Encode context and all points, and decode with z from the posterior.

        Args:
            x: (functions, points, 1).
            y: the same shape.
            context: the same shape: 1 where a point is context, 0 elsewhere.
            noise: (..., functions, LATENT) that draws z; axes before the functions are
                further draws of z for the same functions.
        """
        pairs = torch.cat((x, y), dim=-1)
        h = _mean(self.deterministic(pairs), context)
        latent = torch.relu(self.latent(pairs))
        prior = self._gaussian(_mean(latent, context))
        posterior = self._gaussian(latent.mean(dim=-2, keepdim=True))
        z = posterior.sample(noise.unsqueeze(-2))
        return Answer(
            y=self._decode(x, z, h),
            z=z,
            prior=prior,
            posterior=posterior,
            expected=self._decode(x, prior.mean, h).mean,
            size=self.size,
        )

    def _gaussian(self, encoded: Tensor) -> Gaussian:
        mean, raw = self.distribution(encoded).chunk(2, dim=-1)
        return Gaussian(
            mean, _SMALLEST_LATENT_STD + (1 - _SMALLEST_LATENT_STD) * torch.sigmoid(raw)
        )

    def _decode(self, x: Tensor, z: Tensor, h: Tensor) -> Gaussian:
        condition = torch.cat((z, h.expand(*z.shape[:-1], WIDTH)), dim=-1)
        mean, raw = self.decoder(x, condition).chunk(2, dim=-1)
        return Gaussian(mean, _SMALLEST_STD + functional.softplus(raw))


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers of those sizes with ReLUs between them.

    Weights start as He et al. (2015), section 2.2, have it for ReLUs: with PyTorch's own
    first weights little of the data is left after six layers.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layer = nn.Linear(before, after)
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _mean(encoded: Tensor, mask: Tensor) -> Tensor:
    """The mean over the points in the mask: (..., points, width) -> (..., 1, width)."""
    return (encoded * mask).sum(dim=-2, keepdim=True) / mask.sum(dim=-2, keepdim=True)
