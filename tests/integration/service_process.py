"""The real service as a real process, for tests that kill it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from sweep.client import Client

WAIT_S = 120.0


class ServiceProcess:
    """`python -m service up` with its own home, on the Ray cluster that all tests share.

    With SWEEP_RAY_ADDRESS empty it starts a Ray head of its own.
    """

    def __init__(self, home: Path, environment: Mapping[str, str], **settings: str) -> None:
        self.home = home
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SWEEP_")},
            **environment,
            "SWEEP_RAY_ADDRESS": environment.get("RAY_ADDRESS", ""),
            "SWEEP_LEASE_S": "8",
            "PYTHONPATH": os.pathsep.join(sys.path),
            **settings,
        }
        self._port = 21_000 + os.getpid() % 10_000
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[Client] = []

    def start(self) -> Client:
        """Start it and wait until it is ready."""
        command = [sys.executable, "-m", "service", "up", "--home", str(self.home)]
        if not self._environment["SWEEP_RAY_ADDRESS"]:
            command += ["--num-cpus", "2"]
        with (self.home / "service.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self._port)],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        pid = self._process.pid
        wait_for(lambda: self._address().get("pid") == pid, "server.json")
        self._port = int(str(self._address()["url"]).rpartition(":")[2])
        client = Client(self._address()["url"])
        self._clients.append(client)
        wait_for(client.is_ready, "readiness")
        return client

    def kill(self) -> None:
        """SIGKILL: no chance to clean up."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, then wait."""
        for client in self._clients:
            client.close()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    def trial_actors(self) -> list[psutil.Process]:
        """The live processes of trials on the cluster that this service uses."""
        _, _, port = self._environment["SWEEP_RAY_ADDRESS"].rpartition(":")
        found = []
        for process in psutil.process_iter():
            try:
                parent = process.parent()
                if (
                    "TrialActor" in " ".join(process.cmdline())
                    and process.status() != psutil.STATUS_ZOMBIE
                    and parent is not None
                    and any(part.endswith(f":{port}") for part in parent.cmdline())
                ):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def drivers(self, sweep_id: str) -> list[psutil.Process]:
        """The live driver processes of this service's sweep."""
        log = f"{self.home}/drivers/{sweep_id}-"
        found = []
        for process in psutil.process_iter():
            try:
                if "workers.driver" in process.cmdline() and any(
                    file.path.startswith(log) for file in process.open_files()
                ):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def _address(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.home / "server.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found


def wait_for(condition: Callable[[], object], what: str, *, timeout: float = WAIT_S) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: naming what did not come about in time.
    """
    give_up_at = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < give_up_at, f"{what} did not come about in {timeout:.0f} s"
        time.sleep(0.05)


def trial_actors(sweep_id: str, environment: Mapping[str, str]) -> list[str]:
    """The states of the sweep's actors that Ray still knows alive."""
    script = (
        "import ray, sys\n"
        "ray.init(log_to_driver=False, logging_level='ERROR')\n"
        "from ray._private.state import actors\n"
        "for a in actors().values():\n"
        "    if a.get('RayNamespace', a.get('Namespace', '')) == sys.argv[1]"
        " and a['State'] != 'DEAD': print(a['State'])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, sweep_id],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.split()
