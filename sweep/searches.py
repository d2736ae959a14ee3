"""How a sweep's assignments are found."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sweep.history import History
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


class WarmStart(SpecModel):
    """Ended trials of other sweeps, which a model-based search knows from the start."""

    sweeps: tuple[Annotated[str, Field(min_length=1, max_length=40)], ...] = Field(
        min_length=1,
        max_length=20,
        description="Their ids; of the same metric and mode.",
        examples=[["k3v9q2"]],
    )
    trials: Annotated[int, Field(ge=1, le=10_000, strict=True)] = Field(
        default=200,
        description="How many at most, in the order of the sweeps and of their trials: those that "
        "ended before this sweep was posted, and whose parameters fit its space.",
        examples=[100],
    )


class ModelSearch(SampledSearch):
    """Proposes each assignment from the results of earlier ones."""

    num_trials: Count = Field(
        description="Assignments in all, points to evaluate and startup trials included.",
        examples=[100],
    )
    startup_trials: Count = Field(
        default=10,
        description="Assignments at the start that are drawn at random, points to evaluate "
        "among them.",
        examples=[20],
    )
    parallel: Annotated[int, Field(ge=1, le=1_000, strict=True)] = Field(
        default=4,
        description="Assignment i is proposed once all up to i - parallel have ended, from "
        "exactly their results; so about this many train at once.",
        examples=[8],
    )
    warm_start: WarmStart | None = Field(
        default=None,
        description="Trials of other sweeps to start from.",
        examples=[{"sweeps": ["k3v9q2"]}],
    )
    history: History = ()


class TpeSearch(ModelSearch):
    """Tree-structured Parzen estimator (Bergstra et al. 2011), multivariate."""

    type: Literal["tpe"] = "tpe"


class GpSearch(ModelSearch):
    """A Gaussian process with the logarithm of expected improvement."""

    type: Literal["gp"] = "gp"


class CmaesSearch(ModelSearch):
    """CMA-ES (Hansen and Ostermeier 2001) over the numbers; choices are drawn at random."""

    type: Literal["cmaes"] = "cmaes"


class FurtherObjective(SpecModel):
    """A metric that is optimised together with the sweep's."""

    name: str = Field(min_length=1, max_length=200, description="As reported.", examples=["cost"])
    mode: Literal["min", "max"] = Field(description="Which end is better.", examples=["min"])


class Nsga2Search(ModelSearch):
    """NSGA-II (Deb et al. 2002): evolves a population towards a Pareto front."""

    type: Literal["nsga2"] = "nsga2"
    population: Annotated[int, Field(ge=2, le=10_000, strict=True)] = Field(
        default=50, description="Assignments in each generation.", examples=[20]
    )
    objectives: tuple[FurtherObjective, ...] = Field(
        default=(),
        max_length=9,
        description="Metrics that are optimised together with the sweep's.",
        examples=[[{"name": "cost", "mode": "min"}]],
    )

    @model_validator(mode="after")
    def _objectives_differ(self) -> Self:
        names = [objective.name for objective in self.objectives]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"objectives name {', '.join(twice)} twice: name each metric once")
        if self.objectives and self.history:
            raise ValueError("history has one value a trial, and there are several objectives")
        return self


Search = Annotated[
    GridSearch | RandomSearch | SobolSearch | TpeSearch | GpSearch | CmaesSearch | Nsga2Search,
    Field(discriminator="type"),
]


def given_assignments(search: ModelSearch) -> int:
    """How many of its assignments a model-based search is given: the rest, it proposes."""
    return min(search.num_trials, max(search.startup_trials, len(search.points_to_evaluate)))


def unproposed(search: Search, *, replicates: int, searched: int, room: int | None = None) -> int:
    """How many trials a search has not proposed yet; 0 for one that enumerates them.

    Args:
        search: the sweep's.
        replicates: the trials of each assignment.
        searched: how many trials of the search there are.
        room: how many more trials may run; None: any number.
    """
    if not isinstance(search, ModelSearch):
        return 0
    left = search.num_trials * replicates - searched
    return max(0, left if room is None else min(left, room))
