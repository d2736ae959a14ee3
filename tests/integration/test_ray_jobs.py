"""Drivers as jobs of a real Ray head with token authentication, and the service's roles."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from service.dispatch.launcher import Exit, Launch, LauncherAway
from service.dispatch.ray_jobs import RayJobLauncher, RayJobsApi
from sweep.client import Client
from sweep.states import SweepState
from sweep.wire import EXIT_NO_RAY
from tests.integration import trainings
from tests.integration.ray_with_jobs import RayWithJobs, ray_with_jobs
from tests.integration.service_process import wait_for
from tests.integration.test_sweeps import spec

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayWithJobs]:
    with ray_with_jobs(tmp_path_factory.mktemp("ray-jobs")) as found:
        yield found


@pytest.fixture
def launcher(ray: RayWithJobs, tmp_path: Path) -> Iterator[Callable[[str], RayJobLauncher]]:
    """Launchers whose drivers run a shell script."""
    with ExitStack() as stack:

        def make(script: str) -> RayJobLauncher:
            program = tmp_path / "driver"
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            api = RayJobsApi(ray.url, ray.token)
            jobs = RayJobLauncher(api, python=str(program), service_url="http://a:1")
            stack.callback(jobs.stop)
            return jobs

        yield make


def exits(launcher: RayJobLauncher) -> Sequence[Exit]:
    found: list[Exit] = []
    wait_for(lambda: found.extend(launcher.ended()) or found, "a job's end")
    return found


def test_a_job_gets_its_token_unseen_and_its_end_is_told_with_its_log(
    ray: RayWithJobs, launcher: Callable[[str], RayJobLauncher]
) -> None:
    jobs = launcher(f'cat "$SWEEP_DRIVER_TOKEN_FILE"; echo " $*"; exit {EXIT_NO_RAY}')
    jobs.launch(Launch("seen", 3, "swd_unseen"))
    shown = httpx.get(f"{ray.url}/api/jobs/", headers=ray.headers).text
    assert "sweep-seen-3" in shown
    assert "swd_unseen" not in shown
    (gone,) = exits(jobs)
    assert (gone.sweep_id, gone.epoch, gone.blameless) == ("seen", 3, True)
    assert gone.reason.startswith("Ray job FAILED: ")
    assert "swd_unseen -m workers.driver" in gone.reason


def test_any_dispatcher_can_end_a_job_by_its_name(
    launcher: Callable[[str], RayJobLauncher],
) -> None:
    first = launcher("exec sleep 600")
    first.launch(Launch("frozen", 1, "t"))
    second = launcher("exec sleep 600")
    second.kill("frozen", 1)
    second.kill("unknown", 1)
    (gone,) = exits(first)
    assert gone.reason.startswith("Ray job STOPPED: ")
    assert not gone.blameless
    assert second.ended() == []


def test_a_cluster_that_refuses_us_is_away(ray: RayWithJobs) -> None:
    api = RayJobsApi(ray.url, "not the token")
    jobs = RayJobLauncher(api, python="python", service_url="http://a:1")
    with pytest.raises(LauncherAway, match="403"):
        jobs.launch(Launch("s", 1, "t"))
    jobs.kill("s", 1)
    jobs.stop()


@contextmanager
def role(name: str, home: Path, settings: dict[str, str]) -> Iterator[str]:
    """`python -m service NAME` as a process, ended cleanly; its URL."""
    log = home / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", name, "--home", str(home), "--port", "22500"],
            env=settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def url() -> list[str]:
        words = log.read_text().split()
        return [word.removesuffix("/healthz") for word in words if word.startswith("http://127")]

    try:
        wait_for(url, f"the start of {name}")
        yield url()[0]
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_two_roles_run_a_sweep_and_a_job_outlives_its_dispatcher(
    ray: RayWithJobs, home: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.py").write_text(Path(trainings.__file__).read_text())
    settings = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SWEEP_", "RAY_"))},
        "SWEEP_HOME": str(home),
        "SWEEP_LAUNCHER": "ray-job",
        "SWEEP_RAY_JOBS_URL": ray.url,
        "SWEEP_RAY_AUTH_TOKEN": ray.token,
        "SWEEP_PYTHON": sys.executable,
    }
    run = [sys.executable, "-m", "service"]
    subprocess.run([*run, "migrate"], env=settings, check=True)
    answer = subprocess.run(
        [*run, "token", "me", "--role", "code"],
        env=settings,
        check=True,
        capture_output=True,
        text=True,
    )
    with role("api", home, settings) as api:
        client = Client(api, token=answer.stdout.strip())
        parameters = {"x": {"grid": [1, 2, 3, 4]}, "steps": 40, "pace": 0.05}
        given = spec("steady", parameters=parameters, max_concurrent=2)
        sweep = client.submit({**given, "trainable": "mine:steady"}, code=own)
        urls = {"SWEEP_PUBLIC_URL": f"http://127.0.0.1:9,{api}"}
        with role("dispatch", home, {**settings, **urls}) as health:
            wait_for(lambda: client.sweep(sweep.id).trials["running"], "a running trial")
            assert httpx.get(f"{health}/healthz").json() == {"status": "ok"}
        ended = client.wait(sweep.id, poll=0.2)
        assert (ended.state, ended.epoch) == (SweepState.COMPLETED, 1)
        assert [t.reports for t in client.trials(sweep.id)] == [40] * 4
        client.close()
