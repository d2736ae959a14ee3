"""The neural-process study: which decoder makes the most of a latent variable?

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 7, figure 5a and appendix F. This module is the descriptor: what a sweep may ask
for. It loads neither torch nor ray. `docs/studies/neural-process.md` says what is trained.
"""

from collections.abc import Hashable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sweep.spec import Resources
from sweep.trainables import Trainable

Decoder = Literal["mlp", "skip_mlp", "mi", "mi_of_x"]


class NeuralProcessParameters(BaseModel):
    """What the trainable accepts; widths and optimizer are the published ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    decoder: Decoder
    lr: Annotated[float, Field(gt=0)] = 1e-4
    clip_value: Annotated[float, Field(gt=0)] | None = 10.0
    """Every number of the gradient is cut off at plus and minus this."""
    batch_size: Annotated[int, Field(ge=1, le=4_096)] = 16
    """The functions a step."""
    points: Annotated[int, Field(ge=2, le=512)] = 32
    """The points of each function, context and others together."""
    min_context: Annotated[int, Field(ge=1)] = 3
    max_context: Annotated[int, Field(ge=1)] = 16
    """How many of the points are context: uniform between the two, for each function."""
    eval_every: Annotated[int, Field(ge=1)] = 500
    batch_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """What the functions are drawn with; the trial's own seed when not given. Trials that
    share it see the same functions, which makes their comparison, and a pack, cheaper."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.min_context <= self.max_context < self.points:
            raise ValueError(
                f"min_context is {self.min_context}, max_context {self.max_context} and points "
                f"{self.points}: min_context <= max_context < points is needed"
            )
        return self


def _fuse_key(parameters: Mapping[str, Any]) -> Hashable:
    """Trials with equal keys have the same computation graph."""
    read = NeuralProcessParameters.model_validate(parameters)
    return (read.decoder, read.batch_size, read.points, read.eval_every)


NEURAL_PROCESS = Trainable(
    name="neural-process",
    description="Neural processes with plain, skip and multiplicative decoders (ICLR 2020).",
    code="workers.trainables.neural_process.training:train",
    parameters=NeuralProcessParameters,
    metrics=("log_likelihood", "loss", "kl", "mse", "parameters"),
    default_resources=Resources(cpu=1),
    needs_max_t=True,
    reuse_actors=True,
    fuse_key=_fuse_key,
)
