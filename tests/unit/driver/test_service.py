"""The driver's calls to several API servers over real HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sweep.errors import Fenced, ServiceUnavailable, TooManyRequests
from sweep.wire import Heartbeat, Known
from tests.fixtures import serve
from workers.driver.service import DriverService

BEAT = Heartbeat(known=Known(trials=0))


class Api:
    """An API server that answers heartbeats with a status of our choice."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.beats = 0
        routes = [Route("/v1/driver/heartbeat", self._beat, methods=["POST"])]
        self.app = Starlette(routes=routes)

    async def _beat(self, request: Request) -> Response:
        self.beats += 1
        assert request.headers["authorization"] == "Bearer swd_x"
        return Response('{"wanted": "run"}', status_code=self.status, headers=self.headers)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_it_goes_on_to_the_next_when_one_is_away_and_stays_there(stack: ExitStack) -> None:
    second, third = Api(), Api()
    urls = ["http://127.0.0.1:9", *(stack.enter_context(serve(a.app)) for a in (second, third))]
    service = stack.enter_context(closing(DriverService(" , ".join(urls), "swd_x")))
    service.heartbeat(BEAT)
    service.heartbeat(BEAT)
    assert (second.beats, third.beats) == (2, 0)
    second.status = 503
    service.heartbeat(BEAT)
    second.status = 200
    service.heartbeat(BEAT)
    assert (second.beats, third.beats) == (3, 2)


def test_it_comes_round_to_the_first(stack: ExitStack) -> None:
    first, second = Api(), Api()
    urls = ",".join(stack.enter_context(serve(api.app)) for api in (first, second))
    service = stack.enter_context(closing(DriverService(urls, "swd_x")))
    first.status = 502
    service.heartbeat(BEAT)
    first.status, second.status = 200, 500
    service.heartbeat(BEAT)
    service.heartbeat(BEAT)
    assert (first.beats, second.beats) == (3, 2)


def test_when_all_are_away_it_says_so(stack: ExitStack) -> None:
    api = Api()
    api.status = 503
    url = stack.enter_context(serve(api.app))
    urls = f"{url},http://127.0.0.1:9"
    service = stack.enter_context(closing(DriverService(urls, "swd_x")))
    with pytest.raises(ServiceUnavailable, match=r"cannot be reached at http://127\.0\.0\.1:9/"):
        service.heartbeat(BEAT)
    assert api.beats == 1


def test_a_fence_is_no_reason_to_ask_another(stack: ExitStack) -> None:
    first, second = Api(), Api()
    first.status = 409
    urls = ",".join(stack.enter_context(serve(api.app)) for api in (first, second))
    service = stack.enter_context(closing(DriverService(urls, "swd_x")))
    with pytest.raises(Fenced):
        service.heartbeat(BEAT)
    assert second.beats == 0


@pytest.mark.parametrize(
    ("given", "seconds"), [("7", 7), ("0", 0), ("86400", 60), ("tomorrow", 1), (None, 1)]
)
def test_a_busy_server_says_when_to_ask_again(
    given: str | None, seconds: float, stack: ExitStack
) -> None:
    busy = Api()
    busy.status = 429
    busy.headers = {} if given is None else {"Retry-After": given}
    urls = f"{stack.enter_context(serve(busy.app))},http://127.0.0.1:9"
    service = stack.enter_context(closing(DriverService(urls, "swd_x")))
    with pytest.raises(TooManyRequests) as caught:
        service.heartbeat(BEAT)
    assert caught.value.retry_after_s == seconds
