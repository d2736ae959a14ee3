"""The parameters of questions in the query language, and the fields that it has."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.api.context import In, User, problems
from service.completion import sweep_fields, trial_fields
from service.query.ast import Filter, SortKey
from service.query.parse import MAX_CHARS, MAX_FIELDS_CHARS, parse_filter, parse_sort
from sweep.records import QueryField

router = APIRouter(prefix="/v1", tags=["queries"])

FilterText = Annotated[
    str | None,
    Query(
        max_length=MAX_CHARS,
        description="For example: state == 'completed' and parameters.lr >= 1e-3 and best > 0.9",
    ),
]
SortText = Annotated[
    str | None,
    Query(max_length=MAX_CHARS, description="Fields, `-` before one for descending: -best,index"),
]
FieldsText = Annotated[
    str | None,
    Query(
        max_length=MAX_FIELDS_CHARS,
        description="Only these fields, each under its name: index,parameters.lr,metrics.loss@100",
    ),
]


def trial_filter(filter: FilterText = None) -> Filter | None:
    """What the request's `filter` asks of trials; None: all of them."""
    return parse_filter(filter) if filter else None


def trial_sort(sort: SortText = None) -> tuple[SortKey, ...]:
    """The order of trials that the request's `sort` asks for."""
    return parse_sort(sort) if sort else ()


TrialFilter = Annotated[Filter | None, Depends(trial_filter)]
TrialSort = Annotated[tuple[SortKey, ...], Depends(trial_sort)]
Count = Annotated[bool, Query(description="Also how many there are on all pages.")]


@router.get("/query/fields", operation_id="list_query_fields", responses=problems(404, 422))
def list_query_fields(
    context: In,
    user: User,
    sweep: Annotated[
        str | None, Query(max_length=40, description="The sweep whose trials are asked.")
    ] = None,
) -> list[QueryField]:
    """The fields that queries about a sweep's trials may name; without one, about sweeps."""
    if sweep is None:
        return sweep_fields(context.store)
    record = context.store.get_sweep(sweep)
    return trial_fields(context.store, record, context.trainables)
