"""What a model-based search knows before its first trial: results from elsewhere."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from sweep.metric import SpecModel

MAX_HISTORY = 10_000


class HistoryPoint(SpecModel):
    """A trial that ended elsewhere."""

    parameters: Mapping[str, Any] = Field(
        min_length=1,
        description="Its assignment, nested as the spec's parameters are.",
        examples=[{"lr": 0.01}],
    )
    value: float = Field(description="What it reached of the sweep's metric.", examples=[0.93])


History = Annotated[
    tuple[HistoryPoint, ...],
    Field(
        max_length=MAX_HISTORY,
        description="Trials that ended elsewhere, such as those of an imported Optuna study: the "
        "model learns from them as from its own. Those that do not fit the space are left out.",
        examples=[[{"parameters": {"lr": 0.01}, "value": 0.93}]],
    ),
]
"""A field of the searches that learn."""
