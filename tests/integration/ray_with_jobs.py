"""A Ray head whose dashboard takes jobs, guarded by a token, with ports of its own."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.integration.service_process import wait_for


@dataclass(frozen=True)
class RayWithJobs:
    """Where it is, and what opens it."""

    url: str
    token: str
    pid: int

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs to be answered."""
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def ray_with_jobs(folder: Path) -> Iterator[RayWithJobs]:
    """The head, ready to take jobs, for the length of the block."""
    port, dashboard, agent, agent_rpc, client = _free_ports(5)
    token = secrets.token_hex(32)
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *(f"--port={port}", "--include-dashboard=true", f"--dashboard-port={dashboard}"),
        *(f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={agent_rpc}"),
        *(f"--ray-client-server-port={client}", "--num-cpus=2", "--disable-usage-stats"),
    ]
    variables = {k: v for k, v in os.environ.items() if not k.startswith("SWEEP_")}
    with (folder / "ray.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={
                **variables,
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": token,
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    ray = RayWithJobs(f"http://127.0.0.1:{dashboard}", token, process.pid)
    try:
        wait_for(lambda: _takes_jobs(ray), "Ray's dashboard")
        yield ray
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        _, alive = psutil.wait_procs(family, timeout=5)
        for one in alive:
            one.kill()
        psutil.wait_procs(alive, timeout=5)


def _takes_jobs(ray: RayWithJobs) -> bool:
    try:
        return httpx.get(f"{ray.url}/api/jobs/", headers=ray.headers, timeout=5).is_success
    except httpx.HTTPError:
        return False


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
