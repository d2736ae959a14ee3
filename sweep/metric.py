"""What a sweep optimises."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SpecModel(BaseModel):
    """A part of a spec or an edit: unknown fields and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Metric(SpecModel):
    """What a sweep optimises, among the metrics that its trainable reports."""

    name: str = Field(
        min_length=1,
        max_length=200,
        description="As the trainable reports it.",
        examples=["accuracy"],
    )
    mode: Literal["min", "max"] = Field(
        description="Which end of it is the better one.", examples=["max"]
    )
    target: float | None = Field(
        default=None,
        description="A trial that reaches it is completed, with reason 'target'.",
        examples=[0.99],
    )

    def is_better(self, value: float, than: float) -> bool:
        """Whether `value` is strictly better than another."""
        return value > than if self.mode == "max" else value < than

    def reaches_target(self, value: float) -> bool:
        """Whether `value` is at the target or past it."""
        if self.target is None:
            return False
        return value >= self.target if self.mode == "max" else value <= self.target
