"""Processes that are killed and started again, and a PostgreSQL that is, too."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.postgres import open_server
from tests.integration.service_process import wait_for


class Part:
    """A process of the deployment, with its log."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.runs:
            return
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def runs(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL to it alone: no chance to clean up."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, *, within_s: float = 60.0) -> None:
        """SIGTERM; SIGKILL when that does not help in time."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        self._process.kill()
        self._process.wait()


class Postgres:
    """A PostgreSQL of the tests' own, whose URL stays when it is started again."""

    def __init__(self, folder: Path) -> None:
        self._server, self.url = open_server(folder)

    def crash(self) -> None:
        """SIGQUIT, its immediate mode: connections break and the log is replayed later."""
        process = psutil.Process(self._server.get_pid())
        process.send_signal(signal.SIGQUIT)
        process.wait(30)

    def start(self) -> None:
        """Start it again, in its folder."""
        wait_for(self._starts, "PostgreSQL")

    def stop(self) -> None:
        """Stop it for good."""
        self._server.cleanup()

    def _starts(self) -> bool:
        try:
            self._server.ensure_postgres_running()
        except (subprocess.SubprocessError, AssertionError):  # a busy machine takes its time
            return False
        return True


def processes_with(variable: str, start: str) -> Iterator[tuple[psutil.Process, str]]:
    """The live processes with a variable whose value starts so, and their command lines."""
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(variable, "").startswith(start)
            if marked and process.status() != psutil.STATUS_ZOMBIE:
                yield process, " ".join(process.cmdline())
        except (psutil.Error, OSError):
            continue


def service_command(role: str, *arguments: str) -> list[str]:
    """The command of a role of the service."""
    return [sys.executable, "-m", "service", role, *arguments]


def clean_environment() -> dict[str, str]:
    """This process's, without settings of the service's or of Ray's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SWEEP_", "RAY_"))}
    return {**kept, "PYTHONPATH": os.pathsep.join(sys.path)}
