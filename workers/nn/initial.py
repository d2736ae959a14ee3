"""What the layers' constructors share: first weights and checked widths."""

import math
from collections.abc import Mapping

from torch import Tensor, nn


def start_uniform(weights: Tensor, *, variance: float) -> None:
    """Fill weights from the uniform distribution of that variance around zero."""
    bound = math.sqrt(3 * variance)  # a uniform's variance is bound^2 / 3
    nn.init.uniform_(weights, -bound, bound)


def check_widths(widths: Mapping[str, int]) -> None:
    """Refuse widths below one.

    Args:
        widths: by the names of the constructor's arguments.

    Raises:
        ValueError: naming the first that is too small.
    """
    for name, width in widths.items():
        if width < 1:
            raise ValueError(f"{name} is {width}: at least 1 is needed")
