"""The thread that proposes: how long it waits for a service, and what ends its process."""

import threading
from queue import Queue

import httpx
import pytest

from tests.unit.driver.builders import make_running, make_spec
from workers.driver.keeping import keep_proposing
from workers.driver.service import DriverService


@pytest.mark.parametrize(("status", "code"), [(409, 3), (401, 3), (422, 5)])
def test_a_busy_service_is_given_its_time_and_one_that_refuses_ends_the_process(
    status: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses, waits, codes = iter([429, 503, 429, status]), list[float](), Queue[int]()
    monkeypatch.setattr("os._exit", codes.put)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(next(statuses), headers={"Retry-After": "40"})

    spec = make_spec(
        parameters={"x": {"uniform": {"min": 0, "max": 1}}},
        search={"type": "tpe", "num_trials": 3},
    )
    service = DriverService("http://s", "token", transport=httpx.MockTransport(answer))
    keep_proposing(make_running(spec), service, threading.Event(), sleep=waits.append)
    assert codes.get(timeout=20) == code
    assert (waits[0], waits[2]) == (40, 40)
    assert 0 < waits[1] <= 5
