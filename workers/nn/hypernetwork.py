"""Networks that generate the weights of a layer.

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 2, "Hypernetworks as Multiplicative Interactions".
"""

from torch import Tensor, nn

from workers.nn.interactions import MultiplicativeInteraction


class Hypernetwork(nn.Module):
    """f(x; g(z)) with f affine: y = W' x + b', where W' = h^T W + V, b' = h^T U + b, h = g(z).

    An affine g makes it the full interaction. Any other one is an embedding h of the
    context, then the full interaction of x and h.

    The generator starts as its own constructor says; the rest as
    `MultiplicativeInteraction`, with an output variance of about one where x and h have a
    mean square of one.

    Args:
        x_features: n.
        out_features: k.
        generator: g, any module that takes z and answers (..., embedding_features).
        embedding_features: the width of h.
    """

    def __init__(
        self,
        x_features: int,
        out_features: int,
        *,
        generator: nn.Module,
        embedding_features: int,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.interaction = MultiplicativeInteraction(x_features, embedding_features, out_features)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., n), what the generator takes -> (..., k); leading axes broadcast."""
        answer: Tensor = self.interaction(x, self.generator(z))
        return answer

    def generated(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The affine layer that z stands for: weights (..., n, k) and bias (..., k)."""
        return self.interaction.generated(self.generator(z))
