"""The whole service as processes that can be struck one by one."""

import json
import signal
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil

from service.auth import issue_token
from service.dispatching import now
from service.store.open import migrate, open_store
from sweep.client import Client
from tests.chaos.processes import (
    Part,
    Postgres,
    clean_environment,
    processes_with,
    service_command,
)
from tests.integration.service_process import wait_for

LEASE_S = 7
CPUS = 2
"""That each of the two nodes offers."""
MEMORY_MESSAGES = 10
"""Few, so that drivers soon spool."""
_NODE_MARK = "CHAOS_NODE"
_RESTARTING = 'while :; do "$@"; sleep 1; done'
"""As a supervisor or a container would."""


class Deployment:
    """PostgreSQL, an API server, a dispatcher with its Ray head, and a second Ray node."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        (folder / "postgres").mkdir()
        self.postgres = Postgres(folder / "postgres")
        ports = _free_ports(2)
        self.url = f"http://127.0.0.1:{ports[0]}"
        self._health = f"http://127.0.0.1:{ports[1]}/healthz"
        self._http = httpx.Client(timeout=2, trust_env=False)
        settings = {
            **clean_environment(),
            "SWEEP_DATABASE_URL": self.postgres.url,
            "SWEEP_HOME": str(self.home),
            "SWEEP_PUBLIC_URL": self.url,
            "SWEEP_LEASE_S": str(LEASE_S),
            "SWEEP_DRIVER_MEMORY_MESSAGES": str(MEMORY_MESSAGES),
            "OMP_NUM_THREADS": "1",
        }
        self.api = Part(
            service_command("api", "--port", str(ports[0])), settings, folder / "api.log"
        )
        self.dispatcher = Part(
            service_command("dispatch", "--port", str(ports[1]), "--num-cpus", str(CPUS)),
            settings,
            folder / "dispatcher.log",
        )
        self._folder = folder
        self._node: Part | None = None
        self.client = Client(self.url, token=self._token())

    def _token(self) -> str:
        migrate(self.postgres.url)
        store = open_store(self.postgres.url)
        token = issue_token(store, token_id="chaos", name="chaos", now=now())
        store.close()
        return token.secret

    def start(self) -> None:
        """Start all of it and wait until it is well."""
        self.api.start()
        self.dispatcher.start()
        self.wait_until_well()
        record = json.loads((self.home / "ray.json").read_text())
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        node = [f"--address=127.0.0.1:{record['port']}", f"--num-cpus={CPUS}", "--num-gpus=0"]
        self._node = Part(
            ["sh", "-c", _RESTARTING, "sh", *ray, *node, "--disable-usage-stats"],
            {
                **clean_environment(),
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": record["token"],
                "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # to give up a head that died
                _NODE_MARK: str(self._folder),
            },
            self._folder / "node.log",
        )
        self._node.start()
        wait_for(self.node_raylets, "the second node")

    def stop(self) -> None:
        """Stop all of it; nothing is left whatever has happened."""
        with ExitStack() as stack:
            stack.callback(self.postgres.stop)
            stack.callback(self._end_what_is_left)
            stack.callback(self.api.stop)
            stack.callback(self.dispatcher.stop)
            if self._node is not None:
                stack.callback(self._node.stop)
            self.client.close()
            self._http.close()

    def _end_what_is_left(self) -> None:
        node = processes_with(_NODE_MARK, str(self._folder))
        head = processes_with("SWEEP_RAY_HEAD", str((self.home / "ray.json").resolve()))
        _end([*self.drivers(), *(process for process, _ in (*node, *head))])

    def wait_until_well(self) -> None:
        """Until the API and the dispatcher say so."""
        wait_for(self.client.is_ready, "the API server's readiness")
        wait_for(self._dispatches, "the dispatcher's health")

    def _dispatches(self) -> bool:
        with suppress(httpx.HTTPError):
            return self._http.get(self._health).status_code == httpx.codes.OK
        return False

    @property
    def spool(self) -> Path:
        """The folder of drivers' spool files."""
        return self.home / "spool"

    def spooled(self) -> int:
        """The bytes that lie in spool files."""
        return sum(_size(file) for file in self.spool.glob("*/*.jsonl"))

    def drivers(self, sweep_id: str = "") -> list[psutil.Process]:
        """The drivers' processes: a sweep's, or all."""
        found = processes_with("SWEEP_DRIVER_SPOOL", f"{self.spool}/{sweep_id}")
        return [process for process, command in found if "-m workers.driver" in command]

    def trial_actors(self) -> list[psutil.Process]:
        """The processes of trials, on both nodes."""
        return [p for p, command in self._of_ray() if "TrialActor" in command]

    def training_actors(self) -> list[psutil.Process]:
        """Those that train now: Ray puts the method that runs into a process's title."""
        return [p for p, command in self._of_ray() if "TrialActor.train" in command]

    def node_raylets(self) -> list[psutil.Process]:
        """The raylet of the second node, if it lives."""
        found = processes_with(_NODE_MARK, str(self._folder))
        return [p for p, command in found if Path(command.partition(" ")[0]).name == "raylet"]

    def head_gcs(self) -> list[psutil.Process]:
        """The process of Ray's head that everything else of Ray depends on, if it lives."""
        found = processes_with("SWEEP_RAY_HEAD", str((self.home / "ray.json").resolve()))
        return [p for p, command in found if Path(command.partition(" ")[0]).name == "gcs_server"]

    def _of_ray(self) -> list[tuple[psutil.Process, str]]:
        head = processes_with("SWEEP_RAY_HEAD", str((self.home / "ray.json").resolve()))
        return [*head, *processes_with(_NODE_MARK, str(self._folder))]


def runs(process: psutil.Process) -> bool:
    """Whether it lives; one that ended and that nobody has waited for yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def freeze(process: psutil.Process) -> None:
    """SIGSTOP."""
    process.send_signal(signal.SIGSTOP)


def thaw(process: psutil.Process) -> None:
    """SIGCONT, to one that was ended meanwhile too."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGCONT)


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
