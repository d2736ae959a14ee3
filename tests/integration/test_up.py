"""`sweep up --run`: what `make run` does, as a process with no terminal."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from service.ray_head import RayHead, RayResources
from tests.integration.service_process import wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPEC = """
name: tiny
trainable: noop
metric: {name: value, mode: max}
parameters: {x: {grid: [1.0, 2.0, 3.0]}, reports: 2}
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_runs_shows_serves_and_ends_cleanly(
    home: Path, tmp_path: Path, end: signal.Signals
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    out = tmp_path / "out"
    with socket.socket() as taken, out.open("wb") as output:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "sweep.cli", "up", "--port", str(port)]
        process = subprocess.Popen(
            [*command, "--home", str(home), "--run", str(tmp_path / "spec.yaml")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={k: v for k, v in os.environ.items() if not k.startswith("SWEEP_")},
        )
        try:
            wait_for(lambda: "press Ctrl-C" in out.read_text(), "serving")
            text = out.read_text()
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(end)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
    assert "completed: 3 of 3 trials ended; best value 3" in text
    assert "│ 2     │ completed (finished)" in text
    assert f"127.0.0.1:{port}/" not in text
    assert "\x1b" not in text
    assert len(family) > 3
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert not (home / "server.json").exists()


def test_a_ray_head_outlives_its_service_and_is_found_again(home: Path) -> None:
    first, second = (RayHead(home, RayResources(cpus=1)) for _ in range(2))
    first.start()
    second.start()
    assert first.environment == second.environment
    assert (home / "ray.json").stat().st_mode & 0o777 == 0o600
    second.stop()
    assert not (home / "ray.json").exists()
    second.start()
    assert second.environment["RAY_ADDRESS"] != first.environment["RAY_ADDRESS"]
    second.stop()
    first.stop()


def test_a_service_that_cannot_start_ray_says_why_and_ends(home: Path) -> None:
    (home / "ray.log").mkdir()  # where the head's log would go
    answer = subprocess.run(
        [sys.executable, "-m", "service", "up", "--home", str(home), "--port", "21999"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 1
    assert "the dispatcher failed" in answer.stderr
    assert "ray.log" in answer.stderr
