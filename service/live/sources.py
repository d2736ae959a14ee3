"""Where live events come from: the store, read in steps, and put into messages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from fastapi.sse import format_sse_event
from pydantic import BaseModel

from service.store.interface import Store
from sweep.errors import NotFound
from sweep.live import MAX_TRIALS_TOLD, EndTold, Position, TrialsTold
from sweep.records import SweepRecord, TrialRecord
from sweep.states import FINAL_SWEEP_STATES

MAX_PAGES = 20
"""Messages of trials in one look; what is left comes with the next, newer by then."""

_SLACK = 100
"""Events of the audit that may have been committed after ones with higher ids."""

P = TypeVar("P", Position, int)


@dataclass(frozen=True)
class Look(Generic[P]):
    """What one look found: encoded once, for however many listeners."""

    messages: tuple[bytes, ...]
    position: P
    """All that changed up to here is told."""
    present: bytes | None = None
    """What somebody is told first who listens from here on."""
    end: bytes | None = None
    """The last message, when nothing follows."""


class Source(Protocol[P]):
    """Something to listen to. Both methods read the store, so they run in threads."""

    def look(self, after: P | None) -> Look[P] | None:
        """What changed since; None when nothing did. At first only where things stand."""
        ...

    def since(self, after: P, upto: P) -> Iterator[bytes]:
        """What changed between two positions."""
        ...


class SweepSource:
    """One sweep and its trials."""

    def __init__(self, store: Store, sweep_id: str) -> None:
        self._store = store
        self._id = sweep_id

    def look(self, after: Position | None) -> Look[Position] | None:
        """See `Source`."""
        try:
            return self._look(after)
        except NotFound:
            if after is None:
                raise
            end = _message("end", EndTold(state=None), after)
            return Look((end,), after, end=end)

    def _look(self, after: Position | None) -> Look[Position] | None:
        messages: list[bytes] = []
        reached, complete = after, False
        for _ in range(MAX_PAGES):
            found = self._store.changes(self._id, after=reached, upto=None, limit=MAX_TRIALS_TOLD)
            if found is None:
                break
            messages += _told(found.trials)
            reached, complete = found.reached, found.complete
            if complete:
                break
        if reached is None or reached == after:
            return None
        sweep = self._store.get_sweep(self._id)
        messages.append(present := _sweep(sweep, reached))
        end = None
        if complete and sweep.version == reached.version and sweep.state in FINAL_SWEEP_STATES:
            messages.append(end := _message("end", EndTold(state=sweep.state), reached))
        return Look(tuple(messages), reached, present, end)

    def since(self, after: Position, upto: Position) -> Iterator[bytes]:
        """See `Source`."""
        complete = False
        while not complete:
            found = self._store.changes(self._id, after=after, upto=upto, limit=MAX_TRIALS_TOLD)
            if found is None:
                return
            yield from _told(found.trials)
            after, complete = found.reached, found.complete


class ListSource:
    """All sweeps, without their trials."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._versions: Mapping[str, int] = {}

    def look(self, after: int | None) -> Look[int] | None:
        """See `Source`."""
        found = self._store.list_changes(self._versions, after_event=after)
        self._versions = found.versions
        if after is not None and not found.sweeps:
            return None
        told = tuple(_sweep(sweep, found.last_event) for sweep in found.sweeps)
        return Look(told, found.last_event)

    def since(self, after: int, upto: int) -> Iterator[bytes]:
        """Every sweep that is not final, and those that became so."""
        found = self._store.list_changes({}, after_event=max(0, after - _SLACK))
        for sweep in found.sweeps:
            yield _sweep(sweep, upto)


def _told(trials: tuple[tuple[Position, TrialRecord], ...]) -> list[bytes]:
    if not trials:
        return []
    told = TrialsTold(trials=tuple(trial for _, trial in trials))
    body = told.model_dump_json(exclude={"trials": {"__all__": {"error"}}})
    return [format_sse_event(event="trials", id=str(trials[-1][0]), data_str=body)]


def _sweep(sweep: SweepRecord, position: Position | int) -> bytes:
    body = sweep.model_dump_json(exclude={"spec"})
    return format_sse_event(event="sweep", id=str(position), data_str=body)


def _message(event: str, data: BaseModel, position: Position) -> bytes:
    return format_sse_event(event=event, id=str(position), data_str=data.model_dump_json())
