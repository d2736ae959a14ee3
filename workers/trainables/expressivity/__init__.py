"""How large a network must be for a function of two vectors. Loads no torch.

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 3, figure 2 and appendix C.
"""

from typing import Annotated, Literal

from pydantic import Field

from sweep.trainables import Trainable
from workers.trainables.parameters import Parameters, Rate, Seed, Size, fuse_key

Target = Literal["sum", "gating", "dot"]


class ExpressivityParameters(Parameters):
    """What the trainable accepts."""

    target: Target
    """x + z, sigmoid(x) * z, or the dot product of x and z."""
    dimension: Annotated[int, Field(ge=1, le=256)]
    """Of x and of z, each."""
    model: Literal["mlp", "mi"]
    """linear(size), relu, linear; or M(size), linear."""
    size: Size
    lr: Rate
    batch_size: Size = 100
    eval_every: Size = 1_000
    prune_below: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.001
    batch_seed: Seed | None = None


EXPRESSIVITY = Trainable(
    name="expressivity",
    description="How many parameters a sum, a gate or a dot product takes (ICLR 2020, figure 2).",
    code="workers.trainables.expressivity.training:train",
    parameters=ExpressivityParameters,
    metrics=("loss", "parameters", "parameters_used"),
    needs_max_t=True,
    reuse_actors=True,
    fuse_key=fuse_key(ExpressivityParameters, "lr", "batch_seed"),
)
