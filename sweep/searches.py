"""How a sweep's assignments are found."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from sweep.metric import SpecModel

Count = Annotated[int, Field(ge=1, strict=True)]


class SearchModel(SpecModel):
    """What every search has."""

    seed: int = Field(
        default=0,
        ge=0,
        strict=True,
        description="The same spec and seed give the same trials.",
        examples=[7],
    )
    points_to_evaluate: tuple[Mapping[str, Any], ...] = Field(
        default=(),
        max_length=1_000,
        description="Assignments that come first, whole or in part. What one does not name is "
        "drawn, also where it is a grid parameter; a grid search takes the first of its points "
        "that agrees, and does not repeat it.",
        examples=[[{"lr": 0.001}]],
    )


class GridSearch(SearchModel):
    """Every point of the grid once; the last parameter named varies fastest.

    A parameter with a condition counts as named after those that the condition names.
    """

    type: Literal["grid"] = "grid"


class SampledSearch(SearchModel):
    """What the searches that propose a number of assignments have."""

    num_trials: Count = Field(
        description="Assignments in all, points to evaluate included. Grid parameters are cycled "
        "through, so every grid point gets an equal share.",
        examples=[100],
    )


class RandomSearch(SampledSearch):
    """Independent draws."""

    type: Literal["random"] = "random"


class SobolSearch(SampledSearch):
    """A Sobol sequence: draws that fill the space evenly."""

    type: Literal["sobol"] = "sobol"


Search = Annotated[GridSearch | RandomSearch | SobolSearch, Field(discriminator="type")]
