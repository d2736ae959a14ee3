"""What specs may name and how they are written."""

from typing import Any

from fastapi import APIRouter, Request

from service.api.context import In, User, problems
from sweep.records import Page, TrainableRecord
from sweep.spec import SweepSpec
from sweep.trainables import Trainable

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/trainables", operation_id="list_trainables", responses=problems())
def list_trainables(context: In, user: User) -> Page[TrainableRecord]:
    """The registered trainables; a spec may also name a function of the user's own."""
    known = sorted(context.trainables.values(), key=lambda t: t.name)
    return Page(items=tuple(map(_record, known)))


@router.get("/schema/sweep", operation_id="get_sweep_schema", responses=problems())
def get_sweep_schema(user: User) -> dict[str, Any]:
    """The JSON Schema of a sweep spec."""
    return SweepSpec.model_json_schema()


@router.get("/openapi.json", include_in_schema=False)
def get_openapi(request: Request, user: User) -> dict[str, Any]:
    """What this API offers, as an OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    return document


def _record(trainable: Trainable) -> TrainableRecord:
    model, published = trainable.parameters, trainable.published
    return TrainableRecord(
        name=trainable.name,
        description=trainable.description,
        metrics=trainable.metrics,
        parameters=None if model is None else model.model_json_schema(),
        published_columns=None if published is None else published.columns,
    )
