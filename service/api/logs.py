"""What trials print."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from service.api.context import Cursor, In, Limit, User, problems
from service.store.interface import LogQuery, Store
from sweep.logs import as_text
from sweep.records import LogPage, LogRecord

router = APIRouter(prefix="/v1", tags=["trials"])

Stream = Annotated[Literal["stdout", "stderr"] | None, Query(description="Only that stream.")]
Tail = Annotated[
    int | None, Query(ge=1, le=10_000, description="So many lines from the end; no cursor then.")
]
Format = Annotated[
    Literal["json", "text"], Query(description="A page of pieces, or all of it as plain text.")
]


@router.get(
    "/trials/{trial_id}/logs",
    operation_id="list_logs",
    response_model=LogPage,
    responses={200: {"content": {"text/plain": {}}}, **problems(404, 422)},
)
def list_logs(
    context: In,
    user: User,
    trial_id: str,
    stream: Stream = None,
    tail: Tail = None,
    format: Format = "json",
    limit: Limit = 1_000,
    cursor: Cursor = None,
) -> LogPage | StreamingResponse:
    """What was printed while a trial trained, attempt after attempt.

    A trial of a pack has the pack's log. Of each stream of an attempt the first and the
    last 256 KiB are kept.
    """
    query = LogQuery(stream=stream, tail=tail, limit=limit, cursor=cursor)
    first = context.store.list_logs(trial_id, query)
    if format == "json":
        return first
    pieces = _all(context.store, trial_id, query, first)
    return StreamingResponse(as_text(pieces), media_type="text/plain; charset=utf-8")


def _all(store: Store, trial_id: str, query: LogQuery, first: LogPage) -> Iterator[LogRecord]:
    page = first
    yield from page.items
    while page.next_cursor is not None:
        page = store.list_logs(trial_id, replace(query, cursor=page.next_cursor))
        yield from page.items
