"""What drivers call. Their token names the sweep and the epoch."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from service.api.bodies import Body, model_body, read_model
from service.api.context import Driver, In, problems
from service.code.keeping import read_chunks
from sweep.code_names import digest_of
from sweep.spec import Resources
from sweep.trainables import find
from sweep.wire import (
    Ack,
    Assignment,
    Batch,
    Heartbeat,
    PastReportPage,
    ResultPage,
    RungPage,
    TaskPage,
)

router = APIRouter(prefix="/v1/driver", tags=["driver"])

PageSize = Annotated[int, Query(ge=1, le=1_000)]
_MAX_POSITION = 2**62


def _batch(context: In, driver: Driver, request: Request, body: Body) -> Iterator[Batch]:
    """A batch, which has a place until it is applied.

    The place is taken once the body is here: a driver that is frozen while it sends one
    would keep its place.
    """
    with context.batches.taken():
        yield read_model(Batch, request, body)


def _heartbeat(request: Request, body: Body) -> Heartbeat:
    return read_model(Heartbeat, request, body)


@router.get("/assignment", operation_id="driver_assignment", responses=problems(404, 409))
def assignment(context: In, driver: Driver) -> Assignment:
    """The sweep that the driver is to run, and how."""
    sweep = context.store.get_sweep(driver.sweep_id)
    trainable = find(sweep.spec.trainable, context.trainables)
    resources: Resources = sweep.spec.resources or trainable.default_resources
    reuse = sweep.spec.reuse_actors
    return Assignment(
        sweep_id=sweep.id,
        epoch=driver.epoch,
        spec=sweep.spec,
        code=trainable.code,
        resources=resources,
        reuse_actors=trainable.reuse_actors if reuse is None else reuse,
        max_concurrent=sweep.spec.max_concurrent,
        lease_s=context.settings.lease_s,
        pause_grace_s=context.settings.pause_grace_s,
        checkpoint_root=context.settings.checkpoints,
        used=sweep.used,
        edits=sweep.edits,
        excluded_nodes=sweep.excluded_nodes,
    )


@router.get(
    "/code",
    operation_id="driver_code",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}, **problems(404)},
)
def code(context: In, driver: Driver) -> StreamingResponse:
    """The archive of code that the sweep names."""
    record = context.store.code_of(driver.sweep_id)
    digest = digest_of(record.code)
    headers = {"Content-Length": str(record.size)}
    chunks = read_chunks(context.store, digest)
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)


@router.get("/trials", operation_id="driver_trials", responses=problems(404, 422))
def trials(
    context: In,
    driver: Driver,
    after: Annotated[int, Query(ge=-1, le=_MAX_POSITION)] = -1,
    limit: PageSize = 1_000,
) -> TaskPage:
    """The sweep's trials past an index."""
    return context.store.tasks(driver.sweep_id, after=after, limit=limit)


@router.get("/rungs", operation_id="driver_rungs", responses=problems(404, 422))
def rungs(
    context: In,
    driver: Driver,
    after: Annotated[int, Query(ge=0, le=_MAX_POSITION)] = 0,
    limit: PageSize = 1_000,
) -> RungPage:
    """The sweep's rung decisions past a position."""
    return context.store.rung_entries(driver.sweep_id, after=after, limit=limit)


@router.get("/results", operation_id="driver_results", responses=problems(404, 422))
def results(
    context: In,
    driver: Driver,
    after: Annotated[int, Query(ge=-1, le=_MAX_POSITION)] = -1,
    limit: PageSize = 1_000,
) -> ResultPage:
    """How far the trials of the sweep's search past an index are."""
    return context.store.search_results(driver.sweep_id, after=after, limit=limit)


@router.get("/history", operation_id="driver_history", responses=problems(404, 422))
def history(
    context: In,
    driver: Driver,
    after: Annotated[int, Query(ge=-1, le=_MAX_POSITION)] = -1,
    limit: PageSize = 1_000,
) -> ResultPage:
    """The trials of other sweeps that the sweep's search starts from, past a position."""
    return context.store.search_history(driver.sweep_id, after=after, limit=limit)


@router.get("/past-reports", operation_id="driver_past_reports", responses=problems(404, 422))
def past_reports(
    context: In,
    driver: Driver,
    trial: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    step: Annotated[int, Query(ge=0, le=_MAX_POSITION)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
) -> PastReportPage:
    """What trials reported of the metric that rungs compare, past a trial's step."""
    spec = context.store.get_sweep(driver.sweep_id).spec
    return context.store.past_reports(
        driver.sweep_id, metric=spec.rung_metric.name, after=(trial, step), limit=limit
    )


@router.post(
    "/batch",
    operation_id="driver_batch",
    responses=problems(404, 409, 413, 415, 422, 429),
    openapi_extra=model_body(Batch),
)
def batch(
    context: In, driver: Driver, messages: Annotated[Batch, Depends(_batch, scope="function")]
) -> Ack:
    """Apply messages in order, all or none.

    Answers 429 with Retry-After when the server has enough batches to work on.
    """
    return context.store.apply_batch(driver, messages, now=context.clock(), lease=context.lease)


@router.post(
    "/heartbeat",
    operation_id="driver_heartbeat",
    responses=problems(404, 409, 413, 415, 422),
    openapi_extra=model_body(Heartbeat),
)
def heartbeat(context: In, driver: Driver, beat: Annotated[Heartbeat, Depends(_heartbeat)]) -> Ack:
    """Extend the driver's lease."""
    return context.store.heartbeat(driver, beat, now=context.clock(), lease=context.lease)
