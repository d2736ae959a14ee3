"""What the parameter models of the trainables have in common; loads no torch."""

import json
from collections.abc import Callable, Hashable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Size = Annotated[int, Field(ge=1, le=100_000)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Parameters(BaseModel):
    """Parameters as given: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def fuse_key(model: type[Parameters], *free: str) -> Callable[[Mapping[str, Any]], Hashable]:
    """Trials with equal parameters but for the `free` ones have one computation graph."""

    def key(parameters: Mapping[str, Any]) -> Hashable:
        kept = model.model_validate(parameters).model_dump(exclude=set(free))
        return json.dumps(kept, sort_keys=True)

    return key
