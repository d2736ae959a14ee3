"""Multiplicative interactions of an input x and a context z.

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 2. The layers here take x of (..., n) and z of (..., m) and answer (..., k). Cheaper
members of the family are in `workers.nn.gates`, `.hypernetwork` and `.metric`.
"""

import torch
from torch import Tensor, nn

from workers.nn.initial import check_widths, start_uniform


def bilinear(x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
    """z^T W x in the order of contraction that holds the fewest numbers in between.

    With B rows: z first leaves (B, n, k); x first leaves (B, m, k), and needs W with
    another axis in front; the outer product of both leaves (B, m, n). Rows that z shares
    over several x, or x over several z, are counted once. There is never a (B, m, n, k).

    Args:
        x: (..., n).
        z: (..., m); leading axes broadcast.
        weight: W, (m, n, k).

    Returns:
        (..., k).
    """
    m, n, k = weight.shape
    shape: torch.Size = torch.broadcast_shapes(x.shape[:-1], z.shape[:-1])  # type: ignore[no-untyped-call]
    # with its gradient, a result counts twice; the outer product's makes one more of its size
    held = {
        _context_first: 2 * z.shape[:-1].numel() * n * k,
        _input_first: 2 * x.shape[:-1].numel() * m * k + 2 * m * n * k,
        _outer_product_first: 3 * shape.numel() * m * n,
    }
    return min(held, key=held.__getitem__)(x, z, weight)


def _outer_product_first(x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
    products = z.unsqueeze(-1) * x.unsqueeze(-2)  # (..., m, n)
    return products.flatten(-2) @ weight.flatten(0, 1)


def _context_first(x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
    # einsum, and not a product of matrices, which would write out what x's rows share
    return torch.einsum("...n,...nk->...k", x, project(z, weight))


def _input_first(x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
    return torch.einsum("...m,...mk->...k", z, project(x, weight.transpose(0, 1)))


def project(z: Tensor, weight: Tensor) -> Tensor:
    """z^T W over W's first axis: (..., m), (m, n, k) -> (..., n, k)."""
    return (z @ weight.flatten(1)).reshape(*z.shape[:-1], *weight.shape[1:])


class MultiplicativeInteraction(nn.Module):
    """M(x, z) = z^T W x + z^T U + V x + b with a full W (equation 1).

    It is the affine layer whose weights z generates: see `generated`. No tensor of
    batch x m x n x k is made: see `bilinear`.

    Weights start uniform with variance 1 / (n m) for W, 1 / m for U and 1 / n for V, each
    divided by three, so that each term has a third of the output's variance: about one for
    x and z of unit variance. The bias starts at zero.

    Args:
        x_features: n.
        z_features: m.
        out_features: k.
    """

    def __init__(self, x_features: int, z_features: int, out_features: int) -> None:
        super().__init__()
        n, m, k = x_features, z_features, out_features
        check_widths({"x_features": n, "z_features": m, "out_features": k})
        self.x_features, self.z_features, self.out_features = n, m, k
        self.weight = nn.Parameter(torch.empty(m, n, k))  # W
        self.context_weight = nn.Parameter(torch.empty(m, k))  # U
        self.input_weight = nn.Parameter(torch.empty(n, k))  # V
        self.bias = nn.Parameter(torch.zeros(k))  # b
        start_uniform(self.weight, variance=1 / (3 * m * n))
        start_uniform(self.context_weight, variance=1 / (3 * m))
        start_uniform(self.input_weight, variance=1 / (3 * n))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., m) -> (..., k); leading axes broadcast."""
        both = bilinear(x, z, self.weight)
        return both + z @ self.context_weight + x @ self.input_weight + self.bias

    def generated(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The affine layer that z stands for: weights (..., n, k) and bias (..., k).

        The 2D contextual projection z^T W + V and the generated bias z^T U + b (section 5).
        """
        weights, bias = self.generated_bilinear(z)
        return weights + self.input_weight, bias + self.bias

    def generated_bilinear(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z^T W, (..., n, k), and z^T U, (..., k)."""
        return project(z, self.weight), z @ self.context_weight


class LowRankInteraction(nn.Module):
    """M(x, z) with W as a sum of `rank` terms of rank one: W_ijl = sum_r P_ir Q_jr R_rl.

    Then z^T W x = ((z P) * (x Q)) R, and W itself is never made. The factorised form of
    sections 2 and 4 (Kim et al., "Hadamard Product for Low-rank Bilinear Pooling", 2016).

    Weights start uniform with variance 1 / m for P, 1 / n for Q, 1 / (3 rank) for R,
    1 / (3 m) for U and 1 / (3 n) for V: a third of the output's variance each term, about
    one in all for x and z of unit variance. The bias starts at zero.

    Args:
        x_features: n.
        z_features: m.
        out_features: k.
        rank: of W, at most.
    """

    def __init__(self, x_features: int, z_features: int, out_features: int, *, rank: int) -> None:
        super().__init__()
        n, m, k = x_features, z_features, out_features
        check_widths({"x_features": n, "z_features": m, "out_features": k, "rank": rank})
        self.context_factor = nn.Parameter(torch.empty(m, rank))  # P
        self.input_factor = nn.Parameter(torch.empty(n, rank))  # Q
        self.out_factor = nn.Parameter(torch.empty(rank, k))  # R
        self.context_weight = nn.Parameter(torch.empty(m, k))  # U
        self.input_weight = nn.Parameter(torch.empty(n, k))  # V
        self.bias = nn.Parameter(torch.zeros(k))  # b
        start_uniform(self.context_factor, variance=1 / m)
        start_uniform(self.input_factor, variance=1 / n)
        start_uniform(self.out_factor, variance=1 / (3 * rank))
        start_uniform(self.context_weight, variance=1 / (3 * m))
        start_uniform(self.input_weight, variance=1 / (3 * n))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., m) -> (..., k); leading axes broadcast."""
        both = (z @ self.context_factor) * (x @ self.input_factor)  # (..., rank)
        linear = z @ self.context_weight + x @ self.input_weight
        return both @ self.out_factor + linear + self.bias

    def generated(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The affine layer that z stands for: weights (..., n, k) and bias (..., k)."""
        scaled = (z @ self.context_factor).unsqueeze(-2) * self.input_factor  # (..., n, rank)
        weights = scaled @ self.out_factor + self.input_weight
        return weights, z @ self.context_weight + self.bias

    def composed(self) -> Tensor:
        """The full W that the factors stand for: (m, n, k)."""
        pairs = self.context_factor.unsqueeze(1) * self.input_factor  # (m, n, rank)
        return pairs @ self.out_factor
