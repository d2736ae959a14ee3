"""One network for many one-dimensional tasks: what a sweep may ask for. Loads no torch.

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 6, figure 3 and appendix D.
"""

from typing import Annotated, Literal

from pydantic import Field

from sweep.trainables import Trainable
from workers.trainables.parameters import Parameters, Rate, Seed, Size, fuse_key


class MultitaskRegressionParameters(Parameters):
    """What the trainable accepts."""

    model: Literal["mlp", "multihead", "mi"]
    tasks: Annotated[int, Field(ge=2, le=10_000, multiple_of=2)]
    """Half of them a x + b, half a sin(10 x) + b, a and b uniform in [0, 1) for each."""
    lr: Rate = 3e-3
    points: Size = 50
    """Of each task in a batch."""
    eval_every: Size = 500
    batch_seed: Seed | None = None


MULTITASK_REGRESSION = Trainable(
    name="multitask-regression",
    description="One network for many affine and sine functions (ICLR 2020, figure 3).",
    code="workers.trainables.multitask_regression.training:train",
    parameters=MultitaskRegressionParameters,
    metrics=("log_mse", "mse"),
    needs_max_t=True,
    reuse_actors=True,
    fuse_key=fuse_key(MultitaskRegressionParameters, "lr", "batch_seed"),
)
