"""Drivers as subprocesses of the dispatcher, on its own machine.

A driver's token goes through its environment, never its command line. Each driver is
written down in a file, so that a dispatcher that comes later on this machine can end it.
"""

import errno
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from service.dispatch.launcher import LOG_TAIL_CHARS, Exit, Launch, LauncherAway, exit_reason
from sweep.wire import EXIT_NO_RAY

logger = logging.getLogger(__name__)

_PASSING = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT}
)


@dataclass(frozen=True)
class _Record:
    """A driver as it is written down; the time tells it from a later process of its number."""

    pid: int
    created: float
    host: str


class LocalLauncher:
    """Runs each driver as a subprocess, in a session of its own, with a log file."""

    def __init__(
        self,
        *,
        python: str,
        service_url: str,
        folder: Path,
        environment: Callable[[], Mapping[str, str]],
    ) -> None:
        self._command = [python, "-m", "workers.driver"]
        self._url = service_url
        self._folder = folder
        self._environment = environment
        self._children: dict[tuple[str, int], subprocess.Popen[bytes]] = {}

    def launch(self, launch: Launch) -> None:
        """See `Launcher`."""
        key = launch.sweep_id, launch.epoch
        try:
            self._log_of(*key).parent.mkdir(parents=True, exist_ok=True)
            self._children[key] = self._start(launch)
        except OSError as error:
            if error.errno in _PASSING:
                raise LauncherAway(f"this machine is out of means: {error}") from error
            raise
        self._write_down(*key, self._children[key].pid)

    def ended(self) -> Sequence[Exit]:
        """See `Launcher`."""
        exits = []
        for key, child in list(self._children.items()):
            code = child.poll()
            if code is not None:
                exits.append(self._exit(*key, code))
                self._forget(*key)
        self._clear_orphans()
        return exits

    def kill(self, sweep_id: str, epoch: int) -> None:
        """See `Launcher`."""
        record = self._read(sweep_id, epoch)
        if record is None or record.host != socket.gethostname():
            return
        logger.warning("ending driver %d of sweep %s: its lease ran out", epoch, sweep_id)
        try:
            process = psutil.Process(record.pid)
            if process.create_time() == record.created:
                for one in (process, *process.children(recursive=True)):
                    one.kill()
        except psutil.Error as error:
            logger.warning("driver %d of sweep %s: %s", epoch, sweep_id, error)
        self._clear(sweep_id, epoch)

    def stop(self) -> None:
        """End the drivers: their trials run on a cluster that may end with the service."""
        for child in self._children.values():
            child.send_signal(signal.SIGTERM)
        for key, child in list(self._children.items()):
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            self._forget(*key)

    def _start(self, launch: Launch) -> "subprocess.Popen[bytes]":
        with self._log_of(launch.sweep_id, launch.epoch).open("ab") as output:
            return subprocess.Popen(
                self._command,
                env={
                    **os.environ,
                    **self._environment(),
                    "SWEEP_DRIVER_URL": self._url,
                    "SWEEP_DRIVER_TOKEN": launch.token,
                    "SWEEP_DRIVER_SPOOL": str(self._spool_of(launch.sweep_id, launch.epoch)),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _exit(self, sweep_id: str, epoch: int, code: int) -> Exit:
        if code == 0:
            return Exit(sweep_id, epoch, "exit 0")
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        reason = exit_reason(how, _tail(self._log_of(sweep_id, epoch)))
        return Exit(sweep_id, epoch, reason, blameless=code == EXIT_NO_RAY)

    def _log_of(self, sweep_id: str, epoch: int) -> Path:
        return self._folder / "drivers" / f"{sweep_id}-{epoch}.log"

    def _record_of(self, sweep_id: str, epoch: int) -> Path:
        return self._folder / "drivers" / f"{sweep_id}-{epoch}.json"

    def _write_down(self, sweep_id: str, epoch: int, pid: int) -> None:
        try:
            record = _Record(pid, psutil.Process(pid).create_time(), socket.gethostname())
            self._record_of(sweep_id, epoch).write_text(json.dumps(asdict(record)))
        except (psutil.Error, OSError) as error:
            logger.warning("driver %d of sweep %s is not written down: %s", epoch, sweep_id, error)

    def _spool_of(self, sweep_id: str, epoch: int) -> Path:
        return self._folder / "spool" / f"{sweep_id}-{epoch}"

    def _read(self, sweep_id: str, epoch: int) -> _Record | None:
        try:
            return _Record(**json.loads(self._record_of(sweep_id, epoch).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _forget(self, sweep_id: str, epoch: int) -> None:
        del self._children[sweep_id, epoch]
        self._clear(sweep_id, epoch)

    def _clear_orphans(self) -> None:
        """Remove what is left of drivers that a dispatcher before this one started."""
        for file in (self._folder / "drivers").glob("*-*.json"):
            sweep_id, _, epoch = file.stem.rpartition("-")
            if (sweep_id, int(epoch)) in self._children:
                continue
            record = self._read(sweep_id, int(epoch))
            if record and record.host == socket.gethostname() and not _runs(record):
                self._clear(sweep_id, int(epoch))

    def _clear(self, sweep_id: str, epoch: int) -> None:
        """Remove what a driver that is over leaves: its successor trains again what it spooled."""
        self._record_of(sweep_id, epoch).unlink(missing_ok=True)
        shutil.rmtree(self._spool_of(sweep_id, epoch), ignore_errors=True)


def _runs(record: _Record) -> bool:
    try:
        return psutil.Process(record.pid).create_time() == record.created
    except psutil.NoSuchProcess:
        return False


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_CHARS))
            return file.read().decode(errors="replace")
    except OSError as error:
        return f"(cannot be read: {error})"
