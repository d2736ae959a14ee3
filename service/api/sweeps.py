"""Sweeps."""

from collections.abc import Mapping
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse

from service.api.bodies import SPEC_BODY, read_document
from service.api.context import Cursor, In, Limit, User, problems
from service.api.queries import Count, FieldsText, FilterText, SortText, TrialFilter, TrialSort
from service.api.warm_start import check_warm_start
from service.code.keeping import remove_unused
from service.dispatch.shares import cluster_of
from service.exports.files import MEDIA_TYPES, Export, Format, Layout, export
from service.query.ast import All, Compare, Field, Filter
from service.query.fields import SWEEPS
from service.query.parse import parse_fields, parse_filter, parse_sort
from service.saved_states import remove_states
from service.store.interface import EventOrder, NewSweep, SweepQuery, TrialQuery
from sweep.records import DryRun, EventRecord, Page, RungRecord, SweepRecord
from sweep.states import SweepState
from sweep.submission import Known, read_submission
from sweep.submission import dry_run as plan

router = APIRouter(prefix="/v1", tags=["sweeps"])

Document = Annotated[Any, Depends(read_document)]
SweepId = Annotated[str, Path(max_length=40, pattern=r"^[a-z0-9]+$")]
EventKind = Annotated[
    str | None,
    Query(max_length=60, pattern=r"^[a-z._]+$", description="Only these, such as trial.exploited."),
]


@router.post(
    "/sweeps",
    status_code=201,
    operation_id="create_sweep",
    response_model=SweepRecord | DryRun,
    responses={200: {"model": DryRun}, **problems(413, 415, 422)},
    openapi_extra=dict(SPEC_BODY),
)
def create_sweep(
    context: In,
    user: User,
    document: Document,
    response: Response,
    dry_run: Annotated[bool, Query(description="Answer what would run; store nothing.")] = False,
) -> SweepRecord | DryRun:
    """Store a sweep and queue it, or say what it would run."""
    submission = read_submission(
        document, trainables=context.trainables, max_trials=context.settings.max_trials
    )
    check_warm_start(submission.spec, context.store)
    context.code_checks.check(submission, now=context.clock(), needed=not dry_run)
    if dry_run:
        response.status_code = 200
        known = Known(
            past=context.store.past_training(submission.spec.trainable),
            cluster=cluster_of(context.store.on_duty()),
        )
        return plan(submission, known)
    sweep = NewSweep(
        id=context.new_id(),
        spec=submission.spec,
        created_by=user,
        created_at=context.clock(),
    )
    record = context.store.create_sweep(sweep, submission.trials())
    response.headers["Location"] = f"/v1/sweeps/{record.id}"
    return record


@router.get(
    "/sweeps",
    operation_id="list_sweeps",
    response_model=Page[SweepRecord] | Page[Mapping[str, Any]],
    responses=problems(422),
)
def list_sweeps(
    context: In,
    user: User,
    state: SweepState | None = None,
    filter: FilterText = None,
    sort: SortText = None,
    fields: FieldsText = None,
    count: Count = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[SweepRecord] | Page[Mapping[str, Any]]:
    """Sweeps, filtered and sorted, or some of their fields; newest first without a sort."""
    query = SweepQuery(
        filter=_sweep_filter(state, filter),
        sort=parse_sort(sort, SWEEPS) if sort else (),
        limit=limit,
        cursor=cursor,
        now=context.clock(),
    )
    page: Page[Any]
    if fields:
        page = context.store.project_sweeps(query, parse_fields(fields, SWEEPS))
    else:
        page = context.store.list_sweeps(query)
    if not count:
        return page
    return page.model_copy(update={"count": context.store.count_sweeps(query)})


def _sweep_filter(state: SweepState | None, text: str | None) -> Filter | None:
    parts: list[Filter] = []
    if state is not None:
        parts.append(Compare(Field("column", ("state",)), "==", state.value))
    if text:
        parts.append(parse_filter(text, SWEEPS))
    return All(tuple(parts)) if parts else None


@router.get("/sweeps/{sweep_id}", operation_id="get_sweep", responses=problems(404))
def get_sweep(context: In, user: User, sweep_id: str) -> SweepRecord:
    """One sweep: its spec, state, trials by state, and best result."""
    return context.store.get_sweep(sweep_id)


@router.delete(
    "/sweeps/{sweep_id}",
    status_code=204,
    operation_id="delete_sweep",
    responses=problems(404, 409),
)
def delete_sweep(context: In, user: User, sweep_id: str, after: BackgroundTasks) -> None:
    """Delete a sweep that has ended, with all its trials and reports.

    Its saved states are removed afterwards; the audit says when, or why they are left.
    """
    context.store.delete_sweep(sweep_id, actor=user, now=context.clock())
    root = context.settings.checkpoints
    after.add_task(remove_states, context.store, sweep_id, root=root, clock=context.clock)
    after.add_task(remove_unused, context.store, context.settings, now=context.clock())


@router.get("/sweeps/{sweep_id}/rungs", operation_id="list_rungs", responses=problems(404, 422))
def list_rungs(
    context: In, user: User, sweep_id: str, limit: Limit = 1_000, cursor: Cursor = None
) -> Page[RungRecord]:
    """The early-stopping decisions, in the order in which they were taken."""
    return context.store.list_rungs(sweep_id, limit=limit, cursor=cursor)


@router.get("/sweeps/{sweep_id}/audit", operation_id="list_audit", responses=problems(422))
def list_audit(
    context: In,
    user: User,
    sweep_id: SweepId,
    kind: EventKind = None,
    trial: Annotated[
        str | None, Query(max_length=60, description="A trial's id: what happened to it alone.")
    ] = None,
    order: Annotated[EventOrder, Query(description="Which events come first.")] = "oldest",
    limit: Limit = 1_000,
    cursor: Cursor = None,
) -> Page[EventRecord]:
    """Who changed what of a sweep, when; kept when the sweep is deleted."""
    return context.store.list_events(
        sweep_id, kind=kind, trial_id=trial, order=order, limit=limit, cursor=cursor
    )


@router.get("/audit", operation_id="list_all_audit", responses=problems(422))
def list_all_audit(
    context: In, user: User, limit: Limit = 1_000, cursor: Cursor = None
) -> Page[EventRecord]:
    """Who changed what, when: every sweep's events, and the tokens'."""
    return context.store.list_events(limit=limit, cursor=cursor)


@router.get(
    "/sweeps/{sweep_id}/export",
    operation_id="export_sweep",
    response_class=StreamingResponse,
    responses={
        200: {"content": {kind.partition(";")[0]: {} for kind in MEDIA_TYPES.values()}},
        **problems(404, 422),
    },
)
def export_sweep(
    context: In,
    user: User,
    sweep_id: str,
    filter: TrialFilter,
    sort: TrialSort,
    format: Format = "csv",
    layout: Layout = "trials",
    fields: FieldsText = None,
) -> StreamingResponse:
    """All trials that match, as CSV, Parquet or an Arrow stream, or CSV as was published."""
    query = TrialQuery(filter=filter, sort=sort, now=context.clock())
    asked = Export(format, layout, query, parse_fields(fields) if fields else ())
    sweep = context.store.get_sweep(sweep_id)
    chunks = export(context.store, sweep, asked, trainables=context.trainables)
    first = next(chunks)  # errors come before the answer has begun
    name = f"sweep-{sweep.id}{'-published' if layout == 'published' else ''}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(
        chain([first], chunks), media_type=MEDIA_TYPES[format], headers=headers
    )
