"""Trials and their reports."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.context import Cursor, In, Limit, User, problems
from service.api.sweeps import FilterText
from service.query.parse import parse_filter, parse_sort
from service.store.interface import TrialQuery
from sweep.records import Page, ReportRecord, TrialRecord

router = APIRouter(prefix="/v1", tags=["trials"])

SortText = Annotated[
    str | None,
    Query(max_length=2_000, description="Fields, `-` before one for descending: -best,index"),
]


@router.get("/sweeps/{sweep_id}/trials", operation_id="list_trials", responses=problems(404, 422))
def list_trials(
    context: In,
    user: User,
    sweep_id: str,
    filter: FilterText = None,
    sort: SortText = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[TrialRecord]:
    """A sweep's trials, filtered and sorted; by index when no sort is given."""
    query = TrialQuery(
        filter=parse_filter(filter) if filter else None,
        sort=parse_sort(sort) if sort else (),
        limit=limit,
        cursor=cursor,
    )
    return context.store.list_trials(sweep_id, query)


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
