"""Draws from Gaussian processes, by counting: a step's functions follow from (seed, step).

S. M. Jayakumar et al. (ICLR 2020), appendix F: k(x, x') = sigma_f exp(-(x - x')^2 / 2 l^2)
with sigma_f = 1 and l uniform in [0.1, 10] for each function, observed with Gaussian noise
of standard deviation 0.02. Inputs are uniform in [-2, 2], a range that the paper leaves open.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from workers.trainables.arithmetic.datasets import mix

LENGTH_SCALES = (0.1, 10.0)
NOISE = 0.02
RANGE = (-2.0, 2.0)

_JITTER = 1e-8
"""Added to the kernel's diagonal: without it rounding makes smooth kernels singular. Its
square root, 0.0001, is small beside the noise."""
_GOLDEN = -0x61C8864680B583EB
_STREAM = 0x3C6EF372FE94F82B
_RESOLUTION = 2.0**-32


class Functions(NamedTuple):
    """Functions at some points, and random numbers for their latent variable."""

    x: Tensor
    """(..., functions, points, 1)."""
    y: Tensor
    """(..., functions, points, 1), with noise."""
    context: Tensor
    """(..., functions, points, 1): 1 where the point is context, 0 elsewhere."""
    noise: Tensor
    """(..., functions, latent), standard normal."""


@dataclass(frozen=True)
class Shape:
    """How much is drawn a step."""

    functions: int
    points: int
    latent: int
    min_context: int
    max_context: int


def draw(shape: Shape, seed: int, steps: Tensor) -> Functions:
    """The functions of those steps: (steps, functions, ...) each, float32.

    Args:
        shape: how much is drawn a step.
        seed: what it is drawn with.
        steps: (steps,) of step numbers.
    """
    points = shape.points
    normals = 2 * points + shape.latent
    words = _words(seed, steps, shape.functions, 2 + points + math.ceil(normals / 2))
    first, second = _uniform(words)  # (steps, functions, words) each, in (0, 1)
    low, high = LENGTH_SCALES
    scale = low + (high - low) * first[..., 0, None, None]
    x = RANGE[0] + (RANGE[1] - RANGE[0]) * first[..., 2 : 2 + points]
    normal = _normal(first[..., 2 + points :], second[..., 2 + points :])
    y = _values(x, scale, normal[..., :points]) + NOISE * normal[..., points : 2 * points]
    choices = shape.max_context - shape.min_context + 1
    count = shape.min_context + (first[..., 1, None] * choices).floor()
    context = torch.arange(points, device=steps.device) < count
    return Functions(
        x.unsqueeze(-1).float(),
        y.unsqueeze(-1).float(),
        context.unsqueeze(-1).float(),
        normal[..., 2 * points : 2 * points + shape.latent].float(),
    )


def covariance(x: Tensor, length_scale: Tensor) -> Tensor:
    """The kernel between all points: (..., points) -> (..., points, points).

    Args:
        x: the points.
        length_scale: (..., 1, 1).
    """
    distance = (x.unsqueeze(-1) - x.unsqueeze(-2)) / length_scale
    return torch.exp(-0.5 * distance.square())


def _values(x: Tensor, length_scale: Tensor, normal: Tensor) -> Tensor:
    """The functions' values without noise: (..., points), float64."""
    kernel = covariance(x, length_scale)
    kernel.diagonal(dim1=-2, dim2=-1).add_(_JITTER)
    root: Tensor = torch.linalg.cholesky(kernel)
    return (root @ normal.unsqueeze(-1)).squeeze(-1)


def _words(seed: int, steps: Tensor, functions: int, count: int) -> Tensor:
    """Independent 64-bit words: (steps, functions, count)."""
    key = mix(torch.full_like(steps, seed) * _GOLDEN + _STREAM) + steps * _GOLDEN
    position = torch.arange(1, functions * count + 1, device=steps.device) * _GOLDEN
    return mix(mix(key)[:, None] + position).view(-1, functions, count)


def _uniform(words: Tensor) -> tuple[Tensor, Tensor]:
    """Two float64 numbers in (0, 1) from each word."""
    low, high = words & 0xFFFFFFFF, (words >> 32) & 0xFFFFFFFF
    return (low.double() + 0.5) * _RESOLUTION, (high.double() + 0.5) * _RESOLUTION


def _normal(first: Tensor, second: Tensor) -> Tensor:
    """Two standard normal numbers from each pair (Box and Muller, 1958): twice as many."""
    radius = torch.sqrt(-2 * torch.log(first))
    angle = 2 * math.pi * second
    return torch.cat((radius * torch.cos(angle), radius * torch.sin(angle)), dim=-1)
