"""How drivers are started: a protocol, and local subprocesses.

The driver's token goes through its environment, never its command line.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_LOG_TAIL_BYTES = 2_000


@dataclass(frozen=True)
class Launch:
    """A driver to start."""

    sweep_id: str
    epoch: int
    token: str


@dataclass(frozen=True)
class Exit:
    """A driver that ended."""

    sweep_id: str
    epoch: int
    reason: str


class Launcher(Protocol):
    """Starts drivers and tells which of them ended."""

    def launch(self, launch: Launch) -> None:
        """Start a driver. Raises `OSError` when it cannot be started."""
        ...

    def ended(self) -> Sequence[Exit]:
        """The drivers that ended since the last call."""
        ...

    def stop(self) -> None:
        """End the drivers that still run."""
        ...


class LocalLauncher:
    """Runs each driver as a subprocess, in a session of its own, with a log file."""

    def __init__(
        self, *, python: str, service_url: str, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self._command = [python, "-m", "workers.driver"]
        self._url = service_url
        self._folder = folder
        self._environment = dict(environment)
        self._children: dict[tuple[str, int], subprocess.Popen[bytes]] = {}

    def launch(self, launch: Launch) -> None:
        """See `Launcher`."""
        log = self._log_of(launch.sweep_id, launch.epoch)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            child = subprocess.Popen(
                self._command,
                env={
                    **os.environ,
                    **self._environment,
                    "SWEEP_DRIVER_URL": self._url,
                    "SWEEP_DRIVER_TOKEN": launch.token,
                    "SWEEP_DRIVER_SPOOL": str(self._folder / "spool"),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children[launch.sweep_id, launch.epoch] = child

    def ended(self) -> Sequence[Exit]:
        """See `Launcher`."""
        exits = []
        for key, child in list(self._children.items()):
            code = child.poll()
            if code is not None:
                del self._children[key]
                exits.append(Exit(*key, reason=self._reason(*key, code)))
        return exits

    def stop(self) -> None:
        """See `Launcher`."""
        for child in self._children.values():
            child.send_signal(signal.SIGTERM)
        for child in self._children.values():
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _log_of(self, sweep_id: str, epoch: int) -> Path:
        return self._folder / "drivers" / f"{sweep_id}-{epoch}.log"

    def _reason(self, sweep_id: str, epoch: int, code: int) -> str:
        if code == 0:
            return "exit 0"
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        with self._log_of(sweep_id, epoch).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
            tail = log.read().decode(errors="replace").strip()
        return f"{how}; its log ends: {tail}" if tail else how
