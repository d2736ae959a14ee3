"""When the service is away, slow or says no: what a driver's link does, in a real process."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from sweep.spec import Budget
from sweep.states import WantedState
from sweep.wire import Ack
from tests.unit.driver.builders import make_running, make_spec
from workers.driver.link import Link
from workers.driver.outbox import Outbox
from workers.driver.running import LiveWork
from workers.driver.service import DriverService

DRIVER = """
import sys
from pathlib import Path
from tests.unit.driver.builders import make_running, make_spec
from workers.driver.link import Link
from workers.driver.outbox import Outbox
from workers.driver.running import LiveWork
from workers.driver.service import DriverService

outbox = Outbox(Path(sys.argv[2]))
sweep = make_running(make_spec(), outbox.put)
link = Link(DriverService(sys.argv[1], "token"), sweep, outbox, on_over=lambda: None)
link.start()
sweep.plan_next()
sweep.on_failure(LiveWork(sweep.plan_next()), "boom")
sweep.finish()
link.drain()
print("drained")
"""


class Service(ThreadingHTTPServer):
    """Answers batches with a list of statuses, the last again and again; beats with 200."""

    def __init__(self, statuses: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = statuses
        self.batches: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 200
        if self.path.endswith("/batch"):
            self.server.batches.append(body)
            waiting = self.server.statuses
            status = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        answer = Ack(wanted=WantedState.RUN).model_dump_json().encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    server = Service(list(request.param))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(service: Service, spool: str) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{service.server_port}"
    return subprocess.run(
        [sys.executable, "-c", DRIVER, url, spool],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("service", [[500, 503, 200], [429, 429, 200]], indirect=True)
def test_a_batch_is_sent_again_until_it_is_taken(service: Service, tmp_path: object) -> None:
    ended = run(service, f"{tmp_path}/spool")
    assert (ended.returncode, ended.stdout) == (0, "drained\n")
    assert len(service.batches) == 3
    assert len(set(service.batches)) == 1


@pytest.mark.parametrize(
    ("service", "code"), [([409], 3), ([401], 3), ([422], 5), ([413], 5)], indirect=["service"]
)
def test_a_driver_that_is_refused_ends(service: Service, code: int, tmp_path: object) -> None:
    ended = run(service, f"{tmp_path}/spool")
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr


def test_who_is_told_of_news_sees_what_was_answered(tmp_path: Path) -> None:
    """A search that looks before the answer is taken in would sleep on a raised budget."""
    outbox, budget = Outbox(tmp_path / "spool"), Budget(trials=1)

    def answer(request: httpx.Request) -> httpx.Response:
        ack = Ack(wanted=WantedState.RUN, budget=budget)
        return httpx.Response(200, text=ack.model_dump_json())

    search = {"type": "tpe", "num_trials": 9, "startup_trials": 1}
    parameters = {"x": {"uniform": {"min": 0, "max": 1}}}
    spec = make_spec(parameters=parameters, search=search, budget=budget.model_dump())
    sweep, seen = make_running(spec, outbox.put), list[bool]()
    link = Link(
        DriverService("http://s", "token", transport=httpx.MockTransport(answer)),
        sweep,
        outbox,
        on_over=lambda: None,
        on_news=lambda: seen.append(sweep.searching),
    )
    link._attempt(link._beat)
    budget = Budget(trials=2)
    link._attempt(link._beat)
    assert seen == [False, True]
    work = sweep.plan_next()
    assert work is not None
    sweep.on_failure(LiveWork(work), "boom")
    budget = Budget(trials=1)
    link._attempt(link._send)
    link._attempt(link._send)  # nothing is left to send
    assert seen == [False, True, False]
