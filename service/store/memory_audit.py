"""The part of the store in memory that keeps events and tokens."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from service.store import cursors
from sweep.errors import Conflict, NotFound
from sweep.records import EventRecord, Page, TokenRecord


class MemoryAudit:
    """Events and tokens behind the store's one lock."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._events: list[EventRecord] = []
        self._tokens: list[tuple[TokenRecord, str]] = []

    def list_events(
        self, sweep_id: str | None = None, *, limit: int = 1000, cursor: str | None = None
    ) -> Page[EventRecord]:
        """See `Store`."""
        question = ("events", sweep_id)
        start = cursors.decode_int(cursor, question=question, start=0)
        with self._lock:
            found = [e for e in self._events if e.id > start and sweep_id in (None, e.sweep_id)]
        more = (
            cursors.encode([found[limit - 1].id], question=question) if len(found) > limit else None
        )
        return Page(items=tuple(found[:limit]), next_cursor=more)

    def create_token(
        self, token_id: str, *, name: str, token_hash: str, now: datetime
    ) -> TokenRecord:
        """See `Store`."""
        with self._lock:
            if any(t.name == name and t.revoked_at is None for t, _ in self._tokens):
                raise Conflict(f"there is a token {name!r} already")
            record = TokenRecord(id=token_id, name=name, created_at=now)
            self._tokens.append((record, token_hash))
            self.tell("token.created", name, now, detail={"token": token_id})
            return record

    def list_tokens(self) -> Sequence[TokenRecord]:
        """See `Store`."""
        with self._lock:
            return [token for token, _ in self._tokens]

    def revoke_token(self, token_id: str, *, now: datetime) -> TokenRecord:
        """See `Store`."""
        with self._lock:
            revoked = self._change_token(
                lambda t: token_id in (t.id, t.name) and t.revoked_at is None, revoked_at=now
            )
            if revoked is None:
                raise NotFound(f"there is no live token {token_id!r}")
            self.tell("token.revoked", revoked.name, now, detail={"token": revoked.id})
            return revoked

    def live_token_hashes(self) -> Sequence[tuple[TokenRecord, str]]:
        """See `Store`."""
        with self._lock:
            return [(t, h) for t, h in self._tokens if t.revoked_at is None]

    def touch_token(self, token_id: str, *, now: datetime) -> None:
        """See `Store`."""
        with self._lock:
            self._change_token(lambda t: t.id == token_id, last_used_at=now)

    def _change_token(
        self, wanted: Callable[[TokenRecord], bool], **changes: datetime
    ) -> TokenRecord | None:
        for i, (token, token_hash) in enumerate(self._tokens):
            if wanted(token):
                changed = token.model_copy(update=changes)
                self._tokens[i] = (changed, token_hash)
                return changed
        return None

    def tell(
        self,
        kind: str,
        actor: str,
        now: datetime,
        sweep_id: str | None = None,
        *,
        trial: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Write an event."""
        self._events.append(
            EventRecord(
                id=len(self._events) + 1,
                time=now,
                actor=actor,
                kind=kind,
                sweep_id=sweep_id,
                trial_id=trial,
                detail=detail or {},
            )
        )
