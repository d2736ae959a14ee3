"""Multiplicative interactions that generate less than a matrix: gates, scales, masks.

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 2, "Diagonal Forms and Gating Mechanisms", "Attention and Multiplicative
Interactions" and "Scales and Biases". The context z, (..., m), generates what the
features of x, (..., n), are multiplied with; the answer is as wide as x.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from workers.nn.initial import check_widths, start_uniform

Gate = Literal["linear", "sigmoid", "tanh"]
Bound = Literal["sigmoid", "softmax"]

_GATES: Mapping[Gate, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"linear": lambda a: a, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
)
_BOUNDS: Mapping[Bound, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"sigmoid": torch.sigmoid, "softmax": lambda scores: torch.softmax(scores, dim=-1)}
)


class DiagonalInteraction(nn.Module):
    """y = g(z^T W + v) * x + z^T U + b: M(x, z) with a diagonal W (the Hadamard gate).

    W is (m, n): the diagonals of a three-dimensional W that is zero elsewhere, as v is the
    diagonal of V. With g bounded this is the usual gate.

    W and U start uniform with variance 1 / (3 m), v uniform with variance 1 / 3, b at zero.
    With the linear gate each term has a third of the output's variance: about one for x and
    z of unit variance. A sigmoid gate is then 0.5 on average with mean square 0.283, a tanh
    gate 0 with mean square 0.332: with the bias, output variances of 0.62 and 0.66 (for x and
    z that are normal).

    Args:
        features: n.
        z_features: m.
        gate: g.
    """

    def __init__(self, features: int, z_features: int, *, gate: Gate = "linear") -> None:
        super().__init__()
        n, m = features, z_features
        check_widths({"features": n, "z_features": m})
        if gate not in _GATES:
            raise ValueError(f"gate is {gate!r}: there are {', '.join(_GATES)}")
        self.gate: Gate = gate
        self.weight = nn.Parameter(torch.empty(m, n))  # W
        self.input_weight = nn.Parameter(torch.empty(n))  # v
        self.context_weight = nn.Parameter(torch.empty(m, n))  # U
        self.bias = nn.Parameter(torch.zeros(n))  # b
        start_uniform(self.weight, variance=1 / (3 * m))
        start_uniform(self.input_weight, variance=1 / 3)
        start_uniform(self.context_weight, variance=1 / (3 * m))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., m) -> (..., n); leading axes broadcast."""
        scale, bias = self.generated(z)
        return scale * x + bias

    def generated(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The scale and the bias that z stands for: (..., n) each."""
        scale = _GATES[self.gate](z @ self.weight + self.input_weight)
        return scale, z @ self.context_weight + self.bias


class FiLM(nn.Module):
    """y_c = (1 + z^T w_c) x_c + z^T u_c + b_c: a scale and a bias for each feature map c.

    "Scales and Biases"; Perez et al., "FiLM: Visual Reasoning with a General Conditioning
    Layer" (2018). The scale is generated as its difference from one.

    All weights start at zero: the layer starts as the identity, with the variance of x.

    Args:
        features: n, the number of feature maps.
        z_features: m.
    """

    def __init__(self, features: int, z_features: int) -> None:
        super().__init__()
        check_widths({"features": features, "z_features": z_features})
        self.weight = nn.Parameter(torch.zeros(z_features, features))  # W
        self.context_weight = nn.Parameter(torch.zeros(z_features, features))  # U
        self.bias = nn.Parameter(torch.zeros(features))  # b

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n, *map), (..., m) -> (..., n, *map), where the map may have no axis."""
        on_maps = (..., *[None] * (x.ndim - z.ndim))
        scale, bias = self.generated(z)
        return scale[on_maps] * x + bias[on_maps]

    def generated(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The scale and the bias of each map that z stands for: (..., n) each."""
        return 1 + z @ self.weight, z @ self.context_weight + self.bias


class ScalarInteraction(nn.Module):
    """y = alpha x + beta with the scalars alpha = 1 + z^T w and beta = z^T u + b.

    M(x, z) with z^T W = alpha I: one scale and one bias for a whole feature vector
    ("Scales and Biases").

    All weights start at zero: the layer starts as the identity, with the variance of x.

    Args:
        z_features: m.
    """

    def __init__(self, z_features: int) -> None:
        super().__init__()
        check_widths({"z_features": z_features})
        self.weight = nn.Parameter(torch.zeros(z_features, 1))  # w
        self.context_weight = nn.Parameter(torch.zeros(z_features, 1))  # u
        self.bias = nn.Parameter(torch.zeros(1))  # b

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., m) -> (..., n); leading axes broadcast."""
        scale, bias = self.generated(z)
        return scale * x + bias

    def generated(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Alpha and beta: (..., 1) each."""
        return 1 + z @ self.weight, z @ self.context_weight + self.bias


class BoundedMask(nn.Module):
    """m = g(f(x, z)), y = m * x: features are suppressed or let through.

    "Attention and Multiplicative Interactions". f scores each feature; g bounds the mask:
    the sigmoid between 0 and 1 for each, the softmax to a share of 1 over all.

    It has no weights but those of f. For scores and x that are normal with unit variance
    and nearly independent, the output's variance is the mean square of the mask: 0.293 with
    the sigmoid, and about e / n^2 with the softmax over many features n.

    Args:
        score: f, a module that takes (x, z) and answers (..., n), such as
            `MultiplicativeInteraction(n, m, n)` or `LowRankInteraction(n, m, n, rank=r)`.
        bound: g.
    """

    def __init__(self, score: nn.Module, *, bound: Bound = "sigmoid") -> None:
        super().__init__()
        if bound not in _BOUNDS:
            raise ValueError(f"bound is {bound!r}: there are {', '.join(_BOUNDS)}")
        self.score = score
        self.bound: Bound = bound

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., m) -> (..., n)."""
        return self.mask(x, z) * x

    def mask(self, x: Tensor, z: Tensor) -> Tensor:
        """The mask alone: (..., n)."""
        return _BOUNDS[self.bound](self.score(x, z))
