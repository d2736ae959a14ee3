"""Nonlinearities on positive numbers, and what they become for logarithms.

A multiplicative network with the nonlinearity s is the additive network with
s' = ln . s . exp ("Multiplicative neural networks", the section of that name). The
closed forms, for u = ln x:

    s(x)        s'(u)
    max(x, 1)   max(u, 0): exactly ReLU
    relu(x)     u: the identity, as relu does nothing to positive numbers
    tanh(x)     ln(1 - e^(-2 e^u)) - ln(1 + e^(-2 e^u)): about u for low u and 0 for high
                u, as -softplus(-u) is: a softplus flipped over both axes
    sigmoid(x)  -softplus(-e^u): from -ln 2 up to 0: a sigmoid flipped over both axes

They hold in floating point for any u: where e^u would overflow or vanish, the limits
are used, which there are exact to rounding. So are their gradients.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Nonlinearity = Literal["relu1", "tanh", "sigmoid", "relu"]

_HIGH = 7.0
"""From here on e^(-e^u) is zero in double precision, and so are both limits."""
_LOW = -20.0
"""Up to here ln tanh(e^u) is u in double precision: the next term is e^(2u) / 3."""


@dataclass(frozen=True)
class NonlinearityPair:
    """One nonlinearity in its two forms."""

    positive: Callable[[Tensor], Tensor]
    """s: positive numbers to positive numbers."""
    converted: Callable[[Tensor], Tensor]
    """s' = ln . s . exp: real numbers to real numbers."""


def relu1(x: Tensor) -> Tensor:
    """max(x, 1), with no gradient at x = 1, as ReLU has none at 0."""
    return torch.where(x > 1, x, torch.ones_like(x))


def log_tanh_exp(u: Tensor) -> Tensor:
    """The logarithm of tanh(e^u)."""
    t = -2 * torch.exp(u.clamp(_LOW, _HIGH))
    # ln(1 - e^t) by whichever of the two forms cancels nothing; neither branch is
    # infinite where it is not taken, or its gradient would be NaN
    far = torch.log1p(-torch.exp(t.clamp(max=-0.5)))
    near = torch.log(-torch.expm1(t.clamp(min=-1.0)))
    log_difference = torch.where(t < -0.7, far, near)
    return torch.where(u < _LOW, u, log_difference - torch.log1p(torch.exp(t)))


def log_sigmoid_exp(u: Tensor) -> Tensor:
    """The logarithm of sigmoid(e^u)."""
    return functional.logsigmoid(torch.exp(u.clamp(max=_HIGH)))


def _identity(u: Tensor) -> Tensor:
    return u


NONLINEARITIES: Mapping[Nonlinearity, NonlinearityPair] = MappingProxyType(
    {
        "relu1": NonlinearityPair(relu1, torch.relu),
        "tanh": NonlinearityPair(torch.tanh, log_tanh_exp),
        "sigmoid": NonlinearityPair(torch.sigmoid, log_sigmoid_exp),
        "relu": NonlinearityPair(torch.relu, _identity),
    }
)
