"""How a sweep's assignments are found."""

from typing import Annotated, Literal

from pydantic import Field

from sweep.metric import SpecModel

Count = Annotated[int, Field(ge=1, strict=True)]


class GridSearch(SpecModel):
    """Every point of the grid once; the last parameter named varies fastest."""

    type: Literal["grid"] = "grid"
    seed: int = Field(default=0, ge=0, strict=True)


class _SampledSearch(SpecModel):
    num_trials: Count = Field(
        description="Assignments in all. Grid parameters are cycled through, "
        "so every grid point gets an equal share."
    )
    seed: int = Field(default=0, ge=0, strict=True)


class RandomSearch(_SampledSearch):
    """Independent draws."""

    type: Literal["random"] = "random"


class SobolSearch(_SampledSearch):
    """A Sobol sequence: draws that fill the space evenly."""

    type: Literal["sobol"] = "sobol"


Search = Annotated[GridSearch | RandomSearch | SobolSearch, Field(discriminator="type")]
