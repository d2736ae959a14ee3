"""Multiplicative interactions of an input x and a context z.

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 2. All of these layers take x of (..., n) and z of (..., m) and answer (..., k).
"""

import math

import torch
from torch import Tensor, nn


class MultiplicativeInteraction(nn.Module):
    """M(x, z) = z^T W x + z^T U + V x + b with a full W (equation 1).

    It is the affine layer whose weights z generates: see `generated`. No tensor of
    batch x m x n x k is made: the cheaper of two orders of contraction is taken.

    Weights start uniform with variance 1 / (n m) for W, 1 / m for U and 1 / n for V, each
    term with a third of the output's variance: about one for x and z of unit variance.

    Args:
        x_features: n.
        z_features: m.
        out_features: k.
    """

    def __init__(self, x_features: int, z_features: int, out_features: int) -> None:
        super().__init__()
        n, m, k = x_features, z_features, out_features
        self.x_features, self.z_features, self.out_features = n, m, k
        self.weight = nn.Parameter(torch.empty(m, n, k))  # W
        self.context_weight = nn.Parameter(torch.empty(m, k))  # U
        self.input_weight = nn.Parameter(torch.empty(n, k))  # V
        self.bias = nn.Parameter(torch.zeros(k))  # b
        for parameter, fan_in in (
            (self.weight, m * n),
            (self.context_weight, m),
            (self.input_weight, n),
        ):
            bound = math.sqrt(3 / (3 * fan_in))  # a uniform's variance is bound^2 / 3
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., m) -> (..., k); leading axes broadcast."""
        if self.z_features <= self.x_features:
            # x^T W: (..., m, k), then weighted by z
            by_context = (x @ self.weight.transpose(0, 1).flatten(1)).unflatten(
                -1, (self.z_features, self.out_features)
            )
            bilinear = (z.unsqueeze(-2) @ by_context).squeeze(-2)
        else:
            weights, _ = self.generated_bilinear(z)
            bilinear = (x.unsqueeze(-2) @ weights).squeeze(-2)
        answer: Tensor = bilinear + z @ self.context_weight + x @ self.input_weight + self.bias
        return answer

    def generated(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The affine layer that z stands for: weights (..., n, k) and bias (..., k).

        The 2D contextual projection z^T W + V and the generated bias z^T U + b (section 5).
        """
        weights, bias = self.generated_bilinear(z)
        return weights + self.input_weight, bias + self.bias

    def generated_bilinear(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z^T W, (..., n, k), and z^T U, (..., k)."""
        weights = (z @ self.weight.flatten(1)).unflatten(-1, (self.x_features, self.out_features))
        return weights, z @ self.context_weight
