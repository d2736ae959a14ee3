"""Live events, as server-sent events."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.sse import EventSourceResponse
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.context import In, User, problems
from service.live.feed import Listener
from sweep.errors import QueryError
from sweep.live import parse_position

router = APIRouter(prefix="/v1", tags=["events"])

_MAX_ID = 40
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

LastEventHeader = Annotated[str | None, Header(alias="Last-Event-ID", max_length=_MAX_ID)]
LastEventId = Annotated[
    str | None,
    Query(
        max_length=_MAX_ID,
        description="The id of the last event that was seen, or a sweep's `version`: goes on "
        "after it. The header Last-Event-ID comes first.",
    ),
]

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "Events until the client goes, or until `end`.",
    }
}


class _Stream(EventSourceResponse):
    """A listener's stream, which leaves when it is over, however that comes about."""

    def __init__(self, listener: Listener, leave: Callable[[Listener], None]) -> None:
        super().__init__(listener.stream(), headers=_HEADERS)
        self._listener, self._leave = listener, leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave(self._listener)


@router.get(
    "/sweeps/{sweep_id}/events",
    operation_id="sweep_events",
    response_class=StreamingResponse,
    responses={**_STREAM, **problems(404, 422)},
)
async def sweep_events(
    context: In,
    user: User,
    sweep_id: str,
    last_event_id: LastEventId = None,
    header: LastEventHeader = None,
) -> EventSourceResponse:
    """What changes of a sweep, as it changes.

    Events: `sweep`, the sweep without its spec, first as it is now; `trials`, those that
    changed, at most 200 in one, without the text of their errors; `end` when the sweep is final.
    """
    given = header or last_event_id
    listener = await context.hub.sweep(sweep_id, parse_position(given) if given else None)
    return _Stream(listener, context.hub.leave)


@router.get(
    "/events",
    operation_id="events",
    response_class=StreamingResponse,
    responses={**_STREAM, **problems(422)},
)
async def events(
    context: In, user: User, last_event_id: LastEventId = None, header: LastEventHeader = None
) -> EventSourceResponse:
    """Each sweep that changes, from now on: the event `sweep`, without the spec.

    With the id of the last event, every sweep that is not final is told first, and those
    that became so. Connect first and read the list of sweeps then, so that nothing is missed.
    """
    given = header or last_event_id
    listener = await context.hub.sweeps(_number(given) if given else None)
    return _Stream(listener, context.hub.leave)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise QueryError(f"the last event id {text!r:.100} is not one of this service's")
    return int(text)
