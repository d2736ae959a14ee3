"""Layers that multiply: products of powers, and networks of them.

"Multiplicative neural networks" (sections "Multiplicative nets" and "Extras"). A product
layer is an additive layer between a logarithm and an exponential, so a multiplicative
network equals an additive one with another nonlinearity: see `workers.nn.converted`.

Powers with real exponents need positive numbers. The layers do not look at theirs: an
error that depends on data cannot be batched over many networks, and would be raised in
the middle of one. `check_positive` looks once, where data enters. What a layer computes
stays positive, as each nonlinearity does, while the logarithms stay within what the
type's exponential can hold: about -87 to 88 in float32 and -708 to 709 in float64.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.nn.converted import NONLINEARITIES, Nonlinearity
from workers.nn.initial import check_widths, start_uniform


def check_positive(x: Tensor, name: str = "the input") -> Tensor:
    """Answer x itself, if every number in it is finite and above zero.

    Not for code that `torch.func` batches or traces: it looks at the data.

    Raises:
        ValueError: naming the first value that is not, and where it is.
    """
    bad = ~(torch.isfinite(x) & (x > 0))
    if bad.any():
        where = tuple(int(i) for i in bad.nonzero()[0])
        raise ValueError(
            f"{name} holds {x[where].item()} at index {where}, {int(bad.sum())} such values in "
            "all: a product of real powers takes finite numbers above zero only, as it takes "
            "their logarithm; shift the data, or give exp(data), which is always positive"
        )
    return x


@dataclass(frozen=True)
class Bijection:
    """An invertible function of real numbers, element by element."""

    name: str
    apply: Callable[[Tensor], Tensor]
    invert: Callable[[Tensor], Tensor]


def _cube_root(x: Tensor) -> Tensor:
    return torch.sign(x) * torch.abs(x) ** (1 / 3)


IDENTITY = Bijection("identity", lambda x: x, lambda x: x)
EXP = Bijection("exp", torch.exp, torch.log)
CUBE = Bijection("cube", lambda x: x**3, _cube_root)
"""Its inverse has no finite derivative at zero."""


class MixingLayer(nn.Module):
    """y = f(W f^-1(x) + b): mixing through an invertible f ("Extras", on other mixings).

    The identity gives a linear layer, the exponential a product layer, and any other f a
    layer that equals an additive one in the same way.

    Weights start uniform with variance 1 / n, so that an input whose f^-1 has unit mean
    square gives an output whose f^-1 has unit variance; biases start at zero.

    Args:
        in_features: n.
        out_features: k.
        f: the function that is mixed through.
    """

    def __init__(self, in_features: int, out_features: int, *, f: Bijection) -> None:
        super().__init__()
        check_widths({"in_features": in_features, "out_features": out_features})
        self.f = f
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        start_uniform(self.weight, variance=1 / in_features)

    def forward(self, x: Tensor) -> Tensor:
        """(..., n) -> (..., k), both in the range of f."""
        return self.f.apply(self.add(self.f.invert(x)))

    def add(self, u: Tensor) -> Tensor:
        """The additive operation inside, on u = f^-1(x): (..., n) -> (..., k)."""
        return functional.linear(u, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The widths and the function."""
        k, n = self.weight.shape
        return f"{n}, {k}, f={self.f.name}"


class ProductLayer(MixingLayer):
    """y_i = e^(b_i) prod_j x_j^(w_ij) for positive x ("Multiplicative nets").

    Computed as exp(W ln x + b); the bias is the factor e^b ("Extras"). `add` takes and
    gives logarithms, where those are at hand. Starts as `MixingLayer` does.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, f=EXP)


class MultiplicativeNet(nn.Module):
    """Product layers with a nonlinearity after each but the last.

    Args:
        widths: of the input, of each hidden layer and of the output.
        nonlinearity: s, one of `NONLINEARITIES`.
    """

    def __init__(self, widths: Sequence[int], nonlinearity: Nonlinearity) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ValueError(
                f"widths is {list(widths)}: those of the input and the output are needed"
            )
        if nonlinearity not in NONLINEARITIES:
            raise ValueError(
                f"nonlinearity is {nonlinearity!r}: there are {', '.join(NONLINEARITIES)}"
            )
        self.nonlinearity = nonlinearity
        self.layers = nn.ModuleList(ProductLayer(n, k) for n, k in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """(..., first width) -> (..., last width), both positive."""
        s = NONLINEARITIES[self.nonlinearity].positive
        *hidden, last = self.layers
        for layer in hidden:
            x = s(layer(x))
        answer: Tensor = last(x)
        return answer


class AdditiveTwin(nn.Module):
    """The additive network that a multiplicative one equals, over the same weights.

    Its nonlinearity is s' = ln . s . exp; it takes ln x and gives ln y.

    Args:
        net: the multiplicative network; its weights are shared, not copied.
    """

    def __init__(self, net: MultiplicativeNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, u: Tensor) -> Tensor:
        """(..., first width) -> (..., last width), both logarithms."""
        converted = NONLINEARITIES[self.net.nonlinearity].converted
        *hidden, last = self.net.layers
        for layer in hidden:
            assert isinstance(layer, ProductLayer)
            u = converted(layer.add(u))
        assert isinstance(last, ProductLayer)
        return last.add(u)


def positive_softmax(y: Tensor) -> Tensor:
    """Softmax of ln y over the last axis, y positive: y / sum(y), without exponentials.

    What a softmax after the additive twin is after the multiplicative network ("Extras").
    """
    return y / y.sum(dim=-1, keepdim=True)
