"""The driver's calls to the sweep service."""

from collections.abc import Callable, Sequence
from typing import IO, TypeVar

import httpx

from sweep.errors import Fenced, ServiceUnavailable, SweepError, TooManyRequests, Unauthorized
from sweep.wire import (
    Ack,
    Assignment,
    Batch,
    Heartbeat,
    Known,
    Message,
    PastReportPage,
    ResultPage,
    RungEntry,
    RungPage,
    SearchResult,
    TaskPage,
    TrialTask,
)

T = TypeVar("T")

_PAGE = 1_000
_LONGEST_RETRY_S = 60.0


class DriverService:
    """Speaks `sweep.wire` with a token that is good for one sweep and epoch.

    Of several API servers it stays with the one that answers, and goes on to the next
    when that is away; any may be told the same twice. Every method raises
    `ServiceUnavailable` when all are away (try again later; `TooManyRequests` says when, of
    servers that have too much to do), `Fenced` when a successor
    holds the lease, and `Unauthorized` when the token is not known.
    """

    def __init__(
        self, urls: str, token: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        """`urls`: the service's, or several with commas between, in the order to try them."""
        given = [url.strip().rstrip("/") for url in urls.split(",")]
        self._urls = tuple(f"{url}/v1/driver" for url in given if url)
        self._at = 0
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(30, connect=5),
            transport=transport,
        )

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

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

    def results(self, after: int) -> list[SearchResult]:
        """How far the trials of the sweep's search past an index are, in its order."""
        return self._results("/results", after)

    def history(self) -> list[SearchResult]:
        """The trials of other sweeps that the sweep's search starts from, in their order."""
        return self._results("/history", -1)

    def _results(self, path: str, start: int) -> list[SearchResult]:
        found: list[SearchResult] = []
        after: int | None = start
        while after is not None:
            page = ResultPage.model_validate_json(
                self._call("GET", f"{path}?after={after}&limit={_PAGE}")
            )
            found += page.items
            after = page.next_after
        return found

    def past_reports(self, after: tuple[int, int]) -> PastReportPage:
        """A page of what trials have reported of the metric that rungs compare.

        Args:
            after: the trial and step after which it begins; (0, 0) at first.
        """
        trial, step = after
        path = f"/past-reports?trial={trial}&step={step}"
        return PastReportPage.model_validate_json(self._call("GET", path))

    def code(self, to: IO[bytes]) -> None:
        """Write the sweep's archive of code, a piece at a time; what was written before goes."""
        self._turns(lambda url: self._fetch(f"{url}/code", to))

    def send(self, messages: Sequence[Message], *, known: Known) -> Ack:
        """Send a batch of messages."""
        batch = Batch(messages=tuple(messages), known=known)
        return Ack.model_validate_json(self._call("POST", "/batch", batch.model_dump_json()))

    def heartbeat(self, beat: Heartbeat) -> Ack:
        """Extend the lease."""
        return Ack.model_validate_json(self._call("POST", "/heartbeat", beat.model_dump_json()))

    def _call(self, method: str, path: str, body: str | None = None) -> bytes:
        return self._turns(lambda url: self._call_one(method, url + path, body))

    def _turns(self, call: Callable[[str], T]) -> T:
        """What the first server answers that is not away, from the last that did."""
        first, count = self._at, len(self._urls)
        found: ServiceUnavailable | None = None
        for turn in range(count):
            at = (first + turn) % count
            try:
                answer = call(self._urls[at])
            except ServiceUnavailable as error:
                if not isinstance(found, TooManyRequests):  # one that is busy is not away
                    found = error
            else:
                self._at = at
                return answer
        assert found is not None, "there is a URL"
        raise found

    def _fetch(self, url: str, to: IO[bytes]) -> None:
        to.seek(0)
        to.truncate()
        try:
            with self._http.stream("GET", url) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _error(answer)
                for piece in answer.iter_bytes():
                    to.write(piece)
        except httpx.TransportError as error:
            raise _away(url, error) from error

    def _call_one(self, method: str, url: str, body: str | None) -> bytes:
        try:
            answer = self._http.request(
                method, url, content=body, headers={"Content-Type": "application/json"}
            )
        except httpx.TransportError as error:
            raise _away(url, error) from error
        if answer.is_success:
            return answer.content
        raise _error(answer)


def _away(url: str, error: httpx.TransportError) -> ServiceUnavailable:
    return ServiceUnavailable(f"the sweep service cannot be reached at {url}: {error}")


def _retry_after_s(answer: httpx.Response) -> float:
    """What the answer says, within reason; a second when it says nothing that can be read."""
    given = answer.headers.get("retry-after", "").strip()
    seconds = float(given) if given.isascii() and given.isdigit() else 1.0
    return min(seconds, _LONGEST_RETRY_S)


def _error(answer: httpx.Response) -> SweepError:
    request = answer.request
    text = f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:500]}"
    if answer.status_code == 409:
        return Fenced(text)
    if answer.status_code in (401, 403):
        return Unauthorized(text)
    if answer.status_code == 429:
        return TooManyRequests(text, retry_after_s=_retry_after_s(answer))
    if answer.status_code >= 500:
        return ServiceUnavailable(text)
    return SweepError(text)
