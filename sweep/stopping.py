"""The early-stopping rules that a spec may name."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sweep.metric import Metric, SpecModel
from sweep.searches import Count


class _EarlyStopping(SpecModel):
    group_by: tuple[str, ...] = Field(
        default=(),
        description="Parameters (nested by dot) that define a group: only trials that agree "
        "in all of them are compared. Empty: one group for the whole sweep.",
        examples=[["task", "network.type"]],
    )
    metric: Metric | None = Field(
        default=None,
        description="What rungs compare; the sweep's metric when not given.",
        examples=[{"name": "loss", "mode": "min"}],
    )

    @model_validator(mode="after")
    def _no_second_target(self) -> Self:
        if self.metric is not None and self.metric.target is not None:
            raise ValueError("a target belongs to the sweep's metric, not to early_stopping's")
        return self


class NoStopping(_EarlyStopping):
    """Every trial runs to its end: to `max_t` where one is given."""

    type: Literal["none"] = "none"
    max_t: Count | None = Field(
        default=None,
        description="The step at which a trial is completed; when not given, its function's end.",
        examples=[3000],
    )


class _RungRule(_EarlyStopping):
    time_attr: Literal["step"] = Field(
        default="step", description="What `max_t` and rungs are counted in.", examples=["step"]
    )
    max_t: Count = Field(description="The step at which a trial is completed.", examples=[3000])
    reduction_factor: float = Field(
        default=3,
        gt=1,
        le=1000,
        description="One in so many goes on past a rung, and each rung stands that much further.",
        examples=[4],
    )


class Asha(_RungRule):
    """Asynchronous successive halving (Li et al. 2020) inside each group.

    Rungs stand at grace_period * reduction_factor ** k below max_t. A trial that
    reaches a rung is stopped when it is worse than the 1 - 1/reduction_factor
    quantile of the `min_peers` or more trials of its group recorded there before it.
    """

    type: Literal["asha"] = "asha"
    grace_period: Count = Field(
        default=1, description="The step of the first rung.", examples=[300]
    )
    min_peers: Count = Field(
        default=3,
        description="A trial is stopped at a rung only when so many were there before it.",
        examples=[5],
    )


class RestartWinner(SpecModel):
    """Train the best trial of each group once more, from scratch and for longer."""

    max_t: Count = Field(
        description="The step at which that training is completed; above the rule's own.",
        examples=[30_000],
    )


class Halving(_RungRule):
    """Exact successive halving inside each group.

    A trial waits at a rung until all of its group are there or have ended; then the
    best 1/reduction_factor of them go on. `grace_period` defaults to `max_t`: no rung
    in between, all of a group are compared at the end.
    """

    type: Literal["halving"] = "halving"
    grace_period: Count | None = Field(
        default=None, description="The step of the first rung.", examples=[1000]
    )
    restart_winner: RestartWinner | None = Field(
        default=None,
        description="Train the best trial of each group once more.",
        examples=[{"max_t": 30_000}],
    )


EarlyStopping = Annotated[NoStopping | Asha | Halving, Field(discriminator="type")]
