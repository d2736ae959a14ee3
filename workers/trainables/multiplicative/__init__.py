"""Multiplicative networks and their additive twins on images of digits.

This module is the descriptor; it loads neither torch nor ray. A network of products of
powers and the additive network that it equals start from the same weights and see the
same batches wherever the parameter `seed` is the same, so that their curves can be laid
over each other.
"""

from collections.abc import Hashable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sweep.spec import Resources
from sweep.trainables import Trainable
from workers.precisions import Precision

Form = Literal["multiplicative", "additive"]
Nonlinearity = Literal["relu1", "tanh", "sigmoid", "relu"]
Dataset = Literal["digits", "mnist"]
OptimizerName = Literal["adam", "sgd"]


class MultiplicativeParameters(BaseModel):
    """What the trainable accepts."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    form: Form
    nonlinearity: Nonlinearity = "relu1"
    """That of the multiplicative network; the additive one has its converted form."""
    depth: Annotated[int, Field(ge=1, le=4)] = 1
    """The number of hidden layers."""
    width: Annotated[int, Field(ge=1, le=4096)] = 64
    """Of each hidden layer."""
    lr: Annotated[float, Field(gt=0)]
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 32
    optimizer: OptimizerName = "adam"
    dataset: Dataset = "digits"
    mnist: str | None = None
    """The folder of MNIST's four IDX files, plain or with .gz."""
    eval_every: Annotated[int, Field(ge=1)] = 100
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """What first weights and batches are drawn with; the trial's own seed when not given."""
    precision: Precision = "float64"
    """What it is computed in. In float64 the two forms stay within rounding of each other."""

    @model_validator(mode="after")
    def _the_data_set_is_named_once(self) -> Self:
        if self.dataset == "mnist" and self.mnist is None:
            raise ValueError("dataset is 'mnist': parameter 'mnist' must name its folder")
        if self.dataset == "digits" and self.mnist is not None:
            raise ValueError(f"mnist is {self.mnist!r}, but dataset is 'digits': leave one out")
        return self


_MEMBER_PARAMETERS = frozenset({"lr", "seed"})


def _fuse_key(parameters: Mapping[str, Any]) -> Hashable:
    """Trials with equal keys have the same computation graph."""
    params = MultiplicativeParameters.model_validate(parameters)
    return tuple(params.model_dump(exclude=set(_MEMBER_PARAMETERS)).values())


MULTIPLICATIVE = Trainable(
    name="multiplicative",
    description="Networks of products of powers, and the additive networks that they equal.",
    code="workers.trainables.multiplicative.training:train",
    parameters=MultiplicativeParameters,
    metrics=("loss", "accuracy", "output_gap"),
    default_resources=Resources(cpu=1),
    needs_max_t=True,
    reuse_actors=True,
    fuse_key=_fuse_key,
)
