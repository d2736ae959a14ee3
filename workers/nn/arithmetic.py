"""The networks of the arithmetic study.

D. Mack, "Incorporating element-wise multiplication can out-perform dense layers in
neural networks" (2018). Each takes two vectors and answers one. The width inside is
that of both inputs together. Biases start at zero; weights as `init_linear` says.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["linear", "tanh", "relu", "sigmoid", "selu"]

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "selu": functional.selu,
}

_TRUNCATED_STD = 0.87962566103423978
"""The standard deviation of a unit normal cut off at two of its own."""


def init_linear(layer: nn.Linear, activation: Activation) -> None:
    """Start a layer's weights.

    Glorot uniform (Glorot and Bengio, 2010); before SELU, a truncated normal with
    variance 1 / fan-in (Klambauer et al., 2017). The bias becomes zero.
    """
    with torch.no_grad():
        if activation == "selu":
            std = math.sqrt(1 / layer.in_features) / _TRUNCATED_STD
            nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
        else:
            nn.init.xavier_uniform_(layer.weight)
        layer.bias.zero_()


class Dense(nn.Module):
    """`depth` dense layers over both inputs; the activation follows every one of them.

    With `residual`, a layer's input is added to its activated output wherever the two
    are equally wide.
    """

    def __init__(
        self,
        *,
        width: int,
        out: int,
        depth: int,
        activation: Activation,
        residual: bool,
    ) -> None:
        super().__init__()
        inner = 2 * width
        sizes = [inner] * depth + [out]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self._activate = ACTIVATIONS[activation]
        self._residual = residual
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            init_linear(layer, activation)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(batch, width), (batch, width) -> (batch, out)."""
        x = torch.cat((a, b), dim=-1)  # (batch, 2 width)
        for layer in self.layers:
            y = self._activate(layer(x))
            x = x + y if self._residual and x.shape[-1] == y.shape[-1] else y
        return x


class Multiply(nn.Module):
    """Linear on each input, their element-wise product, linear to the output."""

    def __init__(self, *, width: int, out: int) -> None:
        super().__init__()
        inner = 2 * width
        self.left = nn.Linear(width, inner)
        self.right = nn.Linear(width, inner)
        self.out = nn.Linear(inner, out)
        for layer in (self.left, self.right, self.out):
            init_linear(layer, "linear")

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(batch, width), (batch, width) -> (batch, out)."""
        product: Tensor = self.left(a) * self.right(b)  # (batch, 2 width)
        answer: Tensor = self.out(product)
        return answer


class MultiplySimple(nn.Module):
    """The element-wise product of the inputs, then one linear layer."""

    def __init__(self, *, width: int, out: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, out)
        init_linear(self.out, "linear")

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(batch, width), (batch, width) -> (batch, out)."""
        answer: Tensor = self.out(a * b)
        return answer
