"""The service over three hosts, its parts started by the commands that containers run."""

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from sweep.client import Client
from tests.cluster.hosts import Host, HostProcess, Network
from tests.integration.service_process import wait_for

CPUS = 2
"""That each host offers to trials."""
_API_PORT, _DISPATCHER_PORT = 8080, 8090
_RAY_PORT, _JOBS_PORT, _AGENT_PORT = 6379, 8265, 52_365
_START_WITHIN_S = 240.0
_RESTARTING = 'while :; do "$@"; sleep 1; done'
"""As containers are: Ray gives itself 30 s to start, which a busy machine may exceed."""
_QUICK_TO_MISS_A_NODE = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
}


@dataclass(frozen=True)
class Deployment:
    """What runs, and how to reach it."""

    network: Network
    hosts: list[Host]
    apis: list[HostProcess]
    client: Client
    """Of the second API server; use it where the network is entered."""


@contextmanager
def deployed(
    network: Network, hosts: list[Host], *, database_url: str, folder: Path
) -> Iterator[Deployment]:
    """Ray on all hosts, an API server on the first two, a dispatcher on the first."""
    head, second, _ = hosts
    parts = _Parts(_ray_environment(), _settings(hosts, database_url, folder), folder)
    parts.run(head, "migrate")
    token = parts.run(head, "token", "tester").strip()
    with network.entered(), Client(f"http://{second.address}:{_API_PORT}", token=token) as client:
        parts.ray(hosts)
        apis = [parts.service(host, "api", _API_PORT, page="readyz") for host in (head, second)]
        parts.service(head, "dispatch", _DISPATCHER_PORT, page="healthz")
        yield Deployment(network, hosts, apis, client)


class _Parts:
    """Starts them, and tells when they are well by the pages that containers are probed by."""

    def __init__(
        self, environment: Mapping[str, str], settings: Mapping[str, str], folder: Path
    ) -> None:
        self._environment = environment
        self._settings = settings
        self._folder = folder
        self._started: list[tuple[Path, HostProcess]] = []

    def run(self, host: Host, *arguments: str) -> str:
        """A command of the service to its end; what it prints."""
        command = [sys.executable, "-m", "service", *arguments]
        return host.run(command, {**self._environment, **self._settings})

    def ray(self, hosts: list[Host]) -> None:
        """Its head on the first host, workers on the others."""
        head, *others = hosts
        ports = [f"--port={_RAY_PORT}", f"--dashboard-port={_JOBS_PORT}"]
        self._ray(head, ["--head", *ports, "--dashboard-host=0.0.0.0"], _QUICK_TO_MISS_A_NODE)
        self._wait_for(f"http://{head.address}:{_JOBS_PORT}/api/gcs_healthz")
        for host in others:
            self._ray(host, [f"--address={head.address}:{_RAY_PORT}"], {})
        for host in hosts:
            self._wait_for(f"http://{host.address}:{_AGENT_PORT}/api/local_raylet_healthz")

    def service(self, host: Host, role: str, port: int, *, page: str) -> HostProcess:
        """A role of the service, once one of its pages answers."""
        listen = ["--host", "0.0.0.0", "--port", str(port)]
        home = ["--home", str(self._folder / f"{role}-{host.name}")]
        command = [sys.executable, "-m", "service", role, *listen, *home]
        process = self._start(host, role, command, self._settings)
        self._wait_for(f"http://{host.address}:{port}/{page}")
        return process

    def _wait_for(self, url: str) -> None:
        """Until a URL answers 200.

        Raises:
            AssertionError: when it does not in time, or what was started has ended.
        """

        http = httpx.Client(timeout=2, trust_env=False)

        def answers() -> bool:
            ended = [log for log, process in self._started if process.exit_code is not None]
            assert not ended, "\n".join(f"{log}: {log.read_text()[-2_000:]}" for log in ended)
            with suppress(httpx.HTTPError):
                return http.get(url).status_code == httpx.codes.OK
            return False

        with http:
            wait_for(answers, url, timeout=_START_WITHIN_S)

    def _ray(self, host: Host, arguments: list[str], environment: Mapping[str, str]) -> None:
        common = [f"--node-ip-address={host.address}", f"--num-cpus={CPUS}", "--num-gpus=0"]
        common += ["--object-store-memory=100000000", "--disable-usage-stats", "--block"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, *common]
        self._start(host, "ray", ["bash", "-c", _RESTARTING, "ray", *command], environment)

    def _start(
        self, host: Host, what: str, command: list[str], more: Mapping[str, str]
    ) -> HostProcess:
        log = self._folder / f"{what}-{host.name}.log"
        process = host.start(command, environment={**self._environment, **more}, log=log)
        self._started.append((log, process))
        return process


def _ray_environment() -> dict[str, str]:
    """What every process of the cluster has: its lock, and nothing of the database."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SWEEP_", "RAY_"))}
    return {
        **inherited,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_worker_niceness": "0",  # else trials would starve beside what else runs here
    }


def _settings(hosts: list[Host], database_url: str, folder: Path) -> dict[str, str]:
    """The service's; the API is on the first two hosts, Ray's head on the first."""
    urls = [f"http://{host.address}:{_API_PORT}" for host in hosts[:2]]
    return {
        "SWEEP_CHECKPOINT_ROOT": str(folder / "checkpoints"),
        "SWEEP_DATABASE_URL": database_url,
        "SWEEP_HOME": str(folder),
        "SWEEP_LAUNCHER": "ray-job",
        "SWEEP_PUBLIC_URL": ",".join(urls),
        "SWEEP_PYTHON": sys.executable,
        "SWEEP_RAY_JOBS_URL": f"http://{hosts[0].address}:{_JOBS_PORT}",
    }
