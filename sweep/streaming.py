"""Listening to a sweep's live events, over lost connections and restarts of the service."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import httpx

from sweep.errors import ServiceUnavailable, SweepError
from sweep.live import EndTold, LiveEvent, TrialsTold
from sweep.records import SweepStatus

READ_TIMEOUT_S = 45.0
"""Three of the service's heartbeats."""

_PATIENCE_S = 120.0
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0

Connect = Callable[[str | None], AbstractContextManager[httpx.Response]]
"""Opens the stream after an event's id; raises when the service says no."""


def follow_events(connect: Connect, last_event_id: str | None) -> Iterator[LiveEvent]:
    """The events of a sweep until its end.

    Raises:
        ServiceUnavailable: when the service cannot be reached at first, or is away for two
            minutes later.
        SweepError: when it says no.
    """
    last, heard_at, wait = last_event_id, None, _FIRST_WAIT_S
    while True:
        try:
            with connect(last) as answer:
                heard_at = time.monotonic()
                for event in _events(answer):
                    last, heard_at, wait = event.id, time.monotonic(), _FIRST_WAIT_S
                    yield event
                    if event.kind == "end":
                        return
        except ServiceUnavailable:
            if heard_at is None or time.monotonic() - heard_at > _PATIENCE_S:
                raise
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_S)


def _events(answer: httpx.Response) -> Iterator[LiveEvent]:
    fields: dict[str, str] = {}
    for line in _lines(answer):
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        event = _event(fields)
        if event is not None:
            yield event
        fields = {}


def _lines(answer: httpx.Response) -> Iterator[str]:
    """The lines that are complete; httpx would also break them where JSON has U+2028."""
    rest = b""
    try:
        for chunk in answer.iter_bytes():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.rstrip(b"\r").decode()
    except httpx.TransportError as error:
        raise ServiceUnavailable(f"the stream of live events broke: {error}") from error


def _event(fields: dict[str, str]) -> LiveEvent | None:
    """The event of those fields; None for one of a kind that is not known here."""
    kind, data, id_ = fields.get("event"), fields.get("data", ""), fields.get("id", "")
    try:
        match kind:
            case "sweep":
                return LiveEvent(kind, id_, sweep=SweepStatus.model_validate_json(data))
            case "trials":
                told = TrialsTold.model_validate_json(data)
                return LiveEvent(kind, id_, trials=told.trials)
            case "end":
                return LiveEvent(kind, id_, state=EndTold.model_validate_json(data).state)
    except ValueError as error:
        raise SweepError(f"a live event cannot be read: {error}") from None
    return None
