"""The driver's calls to the sweep service."""

from collections.abc import Sequence

import httpx

from sweep.errors import Fenced, ServiceUnavailable, SweepError, Unauthorized
from sweep.wire import (
    Ack,
    Assignment,
    Batch,
    Heartbeat,
    Known,
    Message,
    RungEntry,
    RungPage,
    TaskPage,
    TrialTask,
)

_PAGE = 1_000


class DriverService:
    """Speaks `sweep.wire` with a token that is good for one sweep and epoch.

    Every method raises `ServiceUnavailable` when the service is away (try again
    later), `Fenced` when a successor holds the lease, and `Unauthorized` when the
    token is not known.
    """

    def __init__(
        self, url: str, token: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/v1/driver",
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(30, connect=5),
            transport=transport,
        )

    def assignment(self) -> Assignment:
        """The spec and how to run it."""
        return Assignment.model_validate_json(self._call("GET", "/assignment"))

    def tasks(self) -> list[TrialTask]:
        """Every trial of the sweep."""
        found: list[TrialTask] = []
        after: int | None = -1
        while after is not None:
            page = TaskPage.model_validate_json(
                self._call("GET", f"/trials?after={after}&limit={_PAGE}")
            )
            found += page.items
            after = page.next_after
        return found

    def rungs(self) -> list[RungEntry]:
        """Every rung decision of the sweep, in order."""
        found: list[RungEntry] = []
        after: int | None = 0
        while after is not None:
            page = RungPage.model_validate_json(
                self._call("GET", f"/rungs?after={after}&limit={_PAGE}")
            )
            found += page.items
            after = page.next_after
        return found

    def send(self, messages: Sequence[Message], *, known: Known) -> Ack:
        """Send a batch of messages."""
        batch = Batch(messages=tuple(messages), known=known)
        return Ack.model_validate_json(self._call("POST", "/batch", batch.model_dump_json()))

    def heartbeat(self, beat: Heartbeat) -> Ack:
        """Extend the lease."""
        return Ack.model_validate_json(self._call("POST", "/heartbeat", beat.model_dump_json()))

    def _call(self, method: str, path: str, body: str | None = None) -> bytes:
        try:
            answer = self._http.request(
                method, path, content=body, headers={"Content-Type": "application/json"}
            )
        except httpx.TransportError as error:
            raise ServiceUnavailable(f"the sweep service cannot be reached: {error}") from error
        if answer.is_success:
            return answer.content
        raise _error(answer)


def _error(answer: httpx.Response) -> SweepError:
    request = answer.request
    text = f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:500]}"
    if answer.status_code == 409:
        return Fenced(text)
    if answer.status_code in (401, 403):
        return Unauthorized(text)
    if answer.status_code == 429 or answer.status_code >= 500:
        return ServiceUnavailable(text)
    return SweepError(text)
