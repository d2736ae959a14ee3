"""A product learnt by a small network: what a sweep may ask for. Loads no torch.

"When To Multiply Inside Your Neural Network?": one hidden layer of ReLUs regresses a b
for a and b in (0, 1), then is asked for x^2 on [0, 10).
"""

from typing import Annotated, Literal

from pydantic import Field

from sweep.trainables import Trainable
from workers.trainables.parameters import Parameters, Rate, Seed, Size, fuse_key

ASKED: tuple[float, ...] = (*(i / 20 for i in range(20)), *(1 + i / 4 for i in range(36)))
"""Where x^2 is asked for: each 0.05 in [0, 1), each 0.25 in [1, 10)."""


class Relus(Parameters):
    """One hidden layer of ReLUs, on the numbers or on their logarithms."""

    type: Literal["relu", "log_relu"]
    units: Size


class Products(Parameters):
    """One hidden layer of multiplicative units, each a product of the inputs plus a sum."""

    type: Literal["multiply"]
    units: Size


class LogLinear(Parameters):
    """A linear layer on the numbers' logarithms."""

    type: Literal["log_linear"]


Network = Annotated[Relus | Products | LogLinear, Field(discriminator="type")]


class ProductParameters(Parameters):
    """What the trainable accepts."""

    network: Network
    lr: Rate
    batch_size: Size = 256
    eval_every: Size = 1_000
    batch_seed: Seed | None = None


def prediction_name(x: float) -> str:
    """The metric that holds the answer for x^2: `prediction_` and x in hundredths."""
    return f"prediction_{round(100 * x):03}"


PRODUCT = Trainable(
    name="product",
    description="Small networks that learn a product of two numbers (When To Multiply …).",
    code="workers.trainables.product.training:train",
    parameters=ProductParameters,
    metrics=("rmse", "rmse_outside", *(prediction_name(x) for x in ASKED)),
    needs_max_t=True,
    reuse_actors=True,
    fuse_key=fuse_key(ProductParameters, "lr", "batch_seed"),
)
