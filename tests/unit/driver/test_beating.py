"""A lease is kept while a sweep is read."""

import threading

import httpx

from sweep.records import Usage
from sweep.spec import Resources
from sweep.states import WantedState
from sweep.wire import Ack, Assignment, Heartbeat
from tests.unit.driver.builders import make_spec
from workers.driver.beating import lease_kept
from workers.driver.service import DriverService

ASSIGNMENT = Assignment(
    sweep_id="s",
    epoch=1,
    spec=make_spec(),
    code="m:f",
    resources=Resources(),
    reuse_actors=True,
    max_concurrent=None,
    used=Usage(seconds=7),
    lease_s=0.15,
    checkpoint_root="none",
)
WITHIN_S = 60


class Beats:
    """Answers heartbeats and lets a test wait for a number of them."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self._changed = threading.Condition()
        self.seen: list[Heartbeat] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/driver/heartbeat"
        with self._changed:
            self.seen.append(Heartbeat.model_validate_json(request.content))
            self._changed.notify_all()
        status = self._statuses.pop(0) if self._statuses else 200
        return httpx.Response(status, text=Ack(wanted=WantedState.RUN).model_dump_json())

    def wait(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.seen) >= count, WITHIN_S)


def service_of(beats: Beats) -> DriverService:
    return DriverService("http://here", "swd_x", transport=httpx.MockTransport(beats))


def test_it_beats_until_the_block_ends_and_asks_for_no_trials() -> None:
    beats = Beats()
    with lease_kept(service_of(beats), ASSIGNMENT):
        assert beats.wait(3)
    assert {beat.known.trials for beat in beats.seen} == {2**31 - 1}
    assert len(beats.seen) >= 3
    signs = beats.seen[-1].signs
    assert signs.pid is not None
    assert signs.used == ASSIGNMENT.used


def test_it_goes_on_when_the_service_was_away_and_ends_when_fenced() -> None:
    beats = Beats(503, 503, 409)
    with lease_kept(service_of(beats), ASSIGNMENT):
        assert beats.wait(3)
    assert len(beats.seen) == 3
