"""What the launcher of Ray jobs makes of answers, and of none, in simulated time."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from service.dispatch.launcher import Exit, Launch, LauncherAway
from service.dispatch.ray_jobs import RayJobLauncher, RayJobsApi, submission_id
from sweep.wire import EXIT_NO_RAY


class Dashboard:
    """The part of Ray's job API that the launcher uses, in memory."""

    def __init__(self) -> None:
        self.away = False
        self.status: int | None = None
        self.jobs: dict[str, dict[str, object]] = {}
        self.log = "the log"
        self.asked = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("connection refused")
        assert request.headers["authorization"] == "Bearer secret"
        if self.status is not None:
            return httpx.Response(self.status, text="no")
        if request.method in ("PUT", "POST") and not request.url.path.endswith("/stop"):
            return self._submit(request)
        name, _, part = request.url.path.removeprefix("/api/jobs/").partition("/")
        if name not in self.jobs:
            return httpx.Response(404, text=f"Job {name} does not exist")
        self.asked += 1
        if part == "stop":
            self.jobs[name]["status"] = "STOPPED"
        return httpx.Response(200, json={"logs": self.log} if part == "logs" else self.jobs[name])

    def _submit(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            job = json.loads(request.content)
            assert "swd_x" not in str(job)
            self.jobs[job["submission_id"]] = {**job, "status": "PENDING", "message": "fine"}
        return httpx.Response(200, json={})


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


Parts = tuple[Dashboard, Time, RayJobLauncher]


@pytest.fixture
def parts() -> Iterator[Parts]:
    dashboard, time = Dashboard(), Time()
    launcher = RayJobLauncher(
        RayJobsApi("http://ray", "secret"),
        python="/opt/my python",
        service_url="http://a:1,http://b:2",
        clock=time,
        transport=httpx.MockTransport(dashboard.handle),
    )
    yield dashboard, time, launcher
    launcher.stop()


def test_a_job_is_named_by_its_sweep_and_epoch(parts: Parts) -> None:
    dashboard, _, launcher = parts
    launcher.launch(Launch("s", 7, "swd_x"))
    job = dashboard.jobs[submission_id("s", 7)]
    assert job["entrypoint"] == "'/opt/my python' -m workers.driver"
    assert job["runtime_env"]["env_vars"]["SWEEP_DRIVER_URL"] == "http://a:1,http://b:2"  # type: ignore[index]
    assert job["metadata"] == {"sweep": "s", "epoch": "7"}


def test_jobs_are_asked_about_now_and_then_until_they_ended(parts: Parts) -> None:
    dashboard, time, launcher = parts
    launcher.launch(Launch("s", 1, "swd_x"))
    for tenth in range(100):
        time.now = tenth / 10
        assert launcher.ended() == []
    assert dashboard.asked == 5
    dashboard.jobs["sweep-s-1"] |= {"status": "FAILED", "driver_exit_code": 5}
    time.now = 20
    assert launcher.ended() == [Exit("s", 1, "Ray job FAILED: fine; its log ends: the log")]
    time.now = 30
    assert launcher.ended() == []


def test_a_driver_that_lost_ray_is_not_to_blame(parts: Parts) -> None:
    dashboard, _, launcher = parts
    launcher.launch(Launch("s", 1, "swd_x"))
    dashboard.jobs["sweep-s-1"] |= {"status": "FAILED", "driver_exit_code": EXIT_NO_RAY}
    assert [gone.blameless for gone in launcher.ended()] == [True]


def test_a_head_that_is_away_has_ended_nothing_and_one_that_forgot_has(parts: Parts) -> None:
    dashboard, time, launcher = parts
    launcher.launch(Launch("s", 1, "swd_x"))
    dashboard.away = True
    assert launcher.ended() == []
    launcher.kill("s", 9)
    dashboard.away, dashboard.status = False, 500
    time.now = 10
    assert launcher.ended() == []
    dashboard.status = None
    dashboard.jobs.clear()
    time.now = 15
    assert launcher.ended() == []  # it waits longer after a failure
    time.now = 20
    assert launcher.ended() == [Exit("s", 1, "Ray knows its job no longer", blameless=True)]


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_what_would_do_later_is_told_apart(parts: Parts, status: int) -> None:
    dashboard, _, launcher = parts
    dashboard.status = status
    with pytest.raises(LauncherAway, match=f"{status} no"):
        launcher.launch(Launch("s", 1, "swd_x"))
    dashboard.status = 400
    with pytest.raises(OSError, match="400 no"):
        launcher.launch(Launch("s", 1, "swd_x"))
    dashboard.status, dashboard.away = None, True
    with pytest.raises(LauncherAway, match="connection refused"):
        launcher.launch(Launch("s", 1, "swd_x"))
    assert launcher.ended() == []


def _stop(launcher: RayJobLauncher) -> None:
    launcher.stop()


def _kill(launcher: RayJobLauncher) -> None:
    launcher.kill("s", 1)


@pytest.mark.parametrize(("end", "status"), [(_stop, "PENDING"), (_kill, "STOPPED")])
def test_killing_stops_a_job_and_a_dispatchers_end_does_not(
    parts: Parts, end: Callable[[RayJobLauncher], None], status: str
) -> None:
    dashboard, _, launcher = parts
    launcher.launch(Launch("s", 1, "swd_x"))
    end(launcher)
    assert dashboard.jobs["sweep-s-1"]["status"] == status
