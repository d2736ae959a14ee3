"""The early-stopping rules that a spec may name."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, field_validator, model_validator

from sweep.metric import Metric, SpecModel
from sweep.searches import Count


class Plateau(SpecModel):
    """Ends a trial that does not become better any more, as completed, reason 'plateau'.

    A report is better when it beats the last better one by `min_delta` (strictly, at 0).
    """

    patience: Count = Field(
        description="So many reports in a row that are not better end a trial.", examples=[5]
    )
    min_delta: float = Field(
        default=0, ge=0, description="By how much a report must be better.", examples=[0.001]
    )
    grace_period: Annotated[int, Field(ge=0, strict=True)] = Field(
        default=0,
        description="Reports up to this step are not counted against a trial.",
        examples=[300],
    )


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
    plateau: Plateau | None = Field(
        default=None,
        description="Completes each trial, or replicate, whose metric that rungs compare no "
        "longer becomes better.",
        examples=[{"patience": 5, "min_delta": 0.001}],
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


class _Timed(_EarlyStopping):
    time_attr: Literal["step"] = Field(
        default="step", description="What `max_t` and rungs are counted in.", examples=["step"]
    )
    max_t: Count = Field(description="The step at which a trial is completed.", examples=[3000])


class _RungRule(_Timed):
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


class Perturbation(SpecModel):
    """How one parameter is explored."""

    factors: tuple[PositiveFloat, ...] = Field(
        default=(0.8, 1.2),
        min_length=1,
        max_length=100,
        description="One of them multiplies a number; a `choice` moves to a neighbour instead.",
        examples=[[0.8, 1.2]],
    )


class Pbt(_Timed):
    """Population based training (Jaderberg et al. 2017, arXiv:1711.09846) inside each group.

    At every multiple of `interval` a trial is ranked among its group by the values there. One
    of the worst goes on from the saved state of one of the best, with that one's parameters,
    explored. No trial is stopped.
    """

    type: Literal["pbt"] = "pbt"
    interval: Count = Field(
        description="Steps from one comparison of a trial to its next.", examples=[100]
    )
    quantile: float = Field(
        default=0.25,
        gt=0,
        le=0.5,
        description="The share of a group that counts as its worst, and as its best.",
        examples=[0.25],
    )
    resample_probability: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="How often an explored parameter is drawn anew instead of perturbed.",
        examples=[0.25],
    )
    perturb: Mapping[str, Perturbation] = Field(
        min_length=1,
        description="The parameters (nested by dot) that are explored: a list of names, or a "
        "mapping from each to its `factors`.",
        examples=[["lr"], {"lr": {"factors": [0.8, 1.2]}}],
    )

    @field_validator("perturb", mode="before")
    @classmethod
    def _named(cls, raw: object) -> object:
        if isinstance(raw, list | tuple) and all(isinstance(name, str) for name in raw):
            return {name: {} for name in raw}
        return raw


class Median(_Timed):
    """The median stopping rule (Golovin et al. 2017, Vizier) inside each group.

    At `grace_period` and each `interval` steps after it below `max_t`, a trial is stopped
    when its best value so far is worse than the median of the running averages of the
    others of its group that came that far, once `min_peers` of them have.
    """

    type: Literal["median"] = "median"
    grace_period: Count = Field(description="The step of the first rung.", examples=[300])
    interval: Count | None = Field(
        default=None,
        description="Steps between rungs; `grace_period` when not given.",
        examples=[300],
    )
    min_peers: Count = Field(
        default=3,
        description="Nobody is stopped before so many others came that far.",
        examples=[3],
    )


class Hyperband(_RungRule):
    """HyperBand (Li et al. 2018) inside each group, its brackets halved asynchronously.

    Bracket s has rungs at max_t / reduction_factor ** k for k from s down to 1; bracket 0
    stops nobody. A trial's bracket follows from its place among the trials of its group.
    """

    type: Literal["hyperband"] = "hyperband"
    brackets: Count | None = Field(
        default=None,
        description="How many brackets, the one that stops nobody first; as many as have their "
        "first rung at step 1 or later when not given.",
        examples=[3],
    )
    min_peers: Count = Field(
        default=3,
        description="Nobody is stopped before so many others came that far.",
        examples=[3],
    )


EarlyStopping = Annotated[
    NoStopping | Asha | Halving | Median | Hyperband | Pbt, Field(discriminator="type")
]
