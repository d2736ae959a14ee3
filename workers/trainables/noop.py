"""The trainable that does nothing: for benchmarks and tests of the service itself."""

from pydantic import BaseModel, ConfigDict, Field

from sweep.trainables import Trainable


class NoopParameters(BaseModel):
    """What it takes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    x: float
    reports: int = Field(default=1, ge=1)
    seconds: float = Field(default=0, ge=0, description="How long to wait before each report.")


NOOP = Trainable(
    name="noop",
    description="Reports value = x at steps 1, 2, … and trains nothing.",
    code="workers.trainables.noop_train:train",
    parameters=NoopParameters,
    metrics=("value",),
    reuse_actors=True,
)
