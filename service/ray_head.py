"""A local Ray head, started as a process of its own and found again after a restart.

Ray is never imported here: the head is `ray start --head --block`, guarded by Ray's
token authentication with a token of our own. The head outlives a service that is
killed, and the service that starts next in the same home goes on with it, so that
sweeps in flight are not lost. A head that died is started again with its port and its
token, so that drivers that wait for it find it.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from sweep.errors import ServiceUnavailable

_START_WITHIN_S = 60.0
_MARK = "SWEEP_RAY_HEAD"
"""An environment variable by which all that a home's head started is known."""


@dataclass(frozen=True)
class RayResources:
    """What the head offers; None: what Ray finds on the machine."""

    cpus: int | None = None
    gpus: int | None = None


@dataclass(frozen=True)
class _Record:
    """What is written down of a head, to find it again."""

    pid: int
    created: float
    port: int
    token: str


class RayHead:
    """A Ray head on this machine."""

    def __init__(self, home: Path, resources: RayResources) -> None:
        self._file = home / "ray.json"
        self._log = home / "ray.log"
        self._resources = resources
        self._record: _Record | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs in its environment to connect."""
        record = self._started()
        return {
            "RAY_ADDRESS": f"127.0.0.1:{record.port}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": record.token,
        }

    def start(self) -> None:
        """Go on with the head of this home if it lives, or start one and wait for it.

        Raises:
            ServiceUnavailable: when it does not come up.
        """
        last = self._read()
        if last is not None and _lives(last) and _listens(last.port):
            self._record = last
        elif last is not None:
            self._launch(last.port, last.token)
        else:
            self._launch(_free_port(), secrets.token_hex(32))

    def restart(self) -> None:
        """Start a head that died once more, with its port and token.

        Raises:
            ServiceUnavailable: when it does not come up.
        """
        record = self._started()
        self._launch(record.port, record.token)

    @property
    def alive(self) -> bool:
        """Whether the head's process lives; it ends when one of Ray's own does."""
        if self._process is not None and self._process.poll() is not None:
            return False
        return _lives(self._started())

    @property
    def answers(self) -> bool:
        """Whether its port answers now."""
        return _listens(self._started().port)

    def stop(self) -> None:
        """End the head and all that runs under it."""
        record, self._record = self._record, None
        if record is not None:
            family = _family(psutil.Process(record.pid)) if _lives(record) else []
            _end(list({*family, *_marked(self._mark)}))
            self._file.unlink(missing_ok=True)
        elif self._process is not None:  # it did not come up: parts of it may have
            _end(_marked(self._mark))
        self._reap()

    def _launch(self, port: int, token: str) -> None:
        """Start a head, once nothing is left of one before it that might hold its port."""
        _end(_marked(self._mark))
        self._reap()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(port),
                env={
                    **os.environ,
                    "RAY_AUTH_MODE": "token",
                    "RAY_AUTH_TOKEN": token,
                    _MARK: self._mark,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait(self._process, port)
        created = psutil.Process(self._process.pid).create_time()
        self._record = _Record(self._process.pid, created, port, token)
        self._write(self._record)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None

    @property
    def _mark(self) -> str:
        return str(self._file.resolve())

    def _started(self) -> _Record:
        if self._record is None:
            raise ServiceUnavailable("the local Ray head is not started")
        return self._record

    def _command(self, port: int) -> list[str]:
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
            f"--port={port}",
            "--include-dashboard=false",
            "--disable-usage-stats",
        ]
        if self._resources.cpus is not None:
            command.append(f"--num-cpus={self._resources.cpus}")
        if self._resources.gpus is not None:
            command.append(f"--num-gpus={self._resources.gpus}")
        return command

    def _wait(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        give_up_at = time.monotonic() + _START_WITHIN_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > give_up_at:
                process.kill()
                tail = self._log.read_text(errors="replace")[-2_000:].strip()
                raise ServiceUnavailable(
                    f"the local Ray head did not start; {self._log} ends: {tail}"
                )
            time.sleep(0.1)

    def _read(self) -> _Record | None:
        try:
            return _Record(**json.loads(self._file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _write(self, record: _Record) -> None:
        self._file.touch(mode=0o600)
        self._file.write_text(json.dumps(asdict(record)))


def _lives(record: _Record) -> bool:
    try:
        process = psutil.Process(record.pid)
        return process.create_time() == record.created and process.is_running()
    except psutil.NoSuchProcess:
        return False


def _family(head: psutil.Process) -> list[psutil.Process]:
    return [head, *head.children(recursive=True)]


def _marked(mark: str) -> list[psutil.Process]:
    """The processes of a head, those too whose parent died."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=5)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
