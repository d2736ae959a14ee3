"""When the service is away, slow or says no: what a driver's link does, in a real process."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sweep.states import WantedState
from sweep.wire import Ack

DRIVER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sweep.spec import Resources
from sweep.wire import Assignment
from tests.unit.driver.builders import make_spec, make_tasks
from workers.driver.core import SweepCore
from workers.driver.link import Link
from workers.driver.outbox import Outbox
from workers.driver.service import DriverService
from workers.driver.running import LiveWork, RunningSweep

spec = make_spec()
now = lambda: datetime.now(UTC)
outbox = Outbox(Path(sys.argv[2]))
core = SweepCore(spec, make_tasks(spec), (), max_concurrent=None, now=now())
sweep = RunningSweep(
    core,
    Assignment(
        sweep_id="s", epoch=1, spec=spec, code="m:f", resources=Resources(), reuse_actors=True,
        max_concurrent=None, lease_s=1.5, checkpoint_root="none",
    ),
    clock=now,
    emit=outbox.put,
)
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
