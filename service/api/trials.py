"""Trials and their reports."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from service.api.context import Cursor, In, Limit, User, problems
from service.api.queries import Count, FieldsText, TrialFilter, TrialSort
from service.query.parse import parse_fields
from service.store.interface import TrialQuery
from sweep.records import Page, ReportRecord, TrialRecord

router = APIRouter(prefix="/v1", tags=["trials"])

Projected = Mapping[str, Any]


@router.get(
    "/sweeps/{sweep_id}/trials",
    operation_id="list_trials",
    response_model=Page[TrialRecord] | Page[Projected],
    responses=problems(404, 422),
)
def list_trials(
    context: In,
    user: User,
    sweep_id: str,
    filter: TrialFilter,
    sort: TrialSort,
    fields: FieldsText = None,
    count: Count = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[TrialRecord] | Page[Projected]:
    """A sweep's trials, filtered and sorted, or some of their fields; by index without a sort."""
    query = TrialQuery(filter=filter, sort=sort, limit=limit, cursor=cursor, now=context.clock())
    page: Page[Any]
    if fields:
        page = context.store.project_trials(sweep_id, query, parse_fields(fields))
    else:
        page = context.store.list_trials(sweep_id, query)
    if not count:
        return page
    return page.model_copy(update={"count": context.store.count_trials(sweep_id, query)})


@router.get("/trials/{trial_id}", operation_id="get_trial", responses=problems(404))
def get_trial(context: In, user: User, trial_id: str) -> TrialRecord:
    """One trial."""
    return context.store.get_trial(trial_id)


@router.get("/trials/{trial_id}/reports", operation_id="list_reports", responses=problems(404, 422))
def list_reports(
    context: In, user: User, trial_id: str, limit: Limit = 1_000, cursor: Cursor = None
) -> Page[ReportRecord]:
    """What a trial reported, by step."""
    return context.store.list_reports(trial_id, limit=limit, cursor=cursor)
