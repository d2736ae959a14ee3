"""Learnt metrics between two vectors, as multiplicative interactions.

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 2, "Multiplicative Interaction and Metric Learning". The matrix is L L^T with a
learnt factor L of (n, rank): positive semidefinite whatever L is, of rank `rank` at most.
"""

import torch
from torch import Tensor, nn

from workers.nn.initial import check_widths, start_uniform


class MahalanobisDistance(nn.Module):
    """d(x, z) = (x - z)^T C^-1 (x - z) with C^-1 = L L^T: |L^T (x - z)|^2.

    L starts uniform with variance 1 / (2 n rank): for independent normal x and z the
    distance has mean one, and a variance of about 2 / rank + 2 / n.

    Args:
        features: n, of x and of z.
        rank: of C^-1, at most; n when not given.
    """

    def __init__(self, features: int, *, rank: int | None = None) -> None:
        super().__init__()
        rank = features if rank is None else rank
        check_widths({"features": features, "rank": rank})
        self.factor = nn.Parameter(torch.empty(features, rank))  # L
        start_uniform(self.factor, variance=1 / (2 * features * rank))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., n) -> (...); leading axes broadcast."""
        return ((x - z) @ self.factor).square().sum(dim=-1)

    def precision(self) -> Tensor:
        """C^-1: (n, n)."""
        return self.factor @ self.factor.mT


class BilinearSimilarity(nn.Module):
    """s(x, z) = x^T C^-1 z with C^-1 = L L^T: the dot product of L^T x and L^T z.

    The cross term of the Mahalanobis distance, -2 s. L starts uniform with variance
    1 / sqrt(n rank (n + rank)): the similarity of independent x and z of unit variance has
    a variance of about one.

    Args:
        features: n, of x and of z.
        rank: of C^-1, at most; n when not given.
    """

    def __init__(self, features: int, *, rank: int | None = None) -> None:
        super().__init__()
        rank = features if rank is None else rank
        check_widths({"features": features, "rank": rank})
        self.factor = nn.Parameter(torch.empty(features, rank))  # L
        start_uniform(self.factor, variance=(features * rank * (features + rank)) ** -0.5)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), (..., n) -> (...); leading axes broadcast."""
        return ((x @ self.factor) * (z @ self.factor)).sum(dim=-1)

    def precision(self) -> Tensor:
        """C^-1: (n, n)."""
        return self.factor @ self.factor.mT
