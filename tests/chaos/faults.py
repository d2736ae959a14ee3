"""What is done to the deployment, when it may be undone, and how."""

import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import httpx
import psutil

from tests.chaos.deployment import Deployment, freeze, runs, thaw
from tests.chaos.runs import PACE_S, STEPS, Recovery
from tests.integration.service_process import wait_for

AWAY_S = 60.0


class Fault(ABC):
    """One fault, struck once; most need nobody to undo them."""

    name: ClassVar[str]

    def __init__(self, at: Deployment, sweep_id: str) -> None:
        self._at = at
        self._sweep_id = sweep_id
        self.struck_at = 0.0

    def strike(self) -> None:
        """Do it, as soon as there is something to do it to."""
        self._strike()
        self.struck_at = time.monotonic()

    @abstractmethod
    def _strike(self) -> None:
        """Do it."""

    def felt(self) -> bool:
        """Whether what it stops has stopped: what is heard from then on is of what goes on."""
        return True

    def passed(self) -> bool:
        """Whether it has lasted long enough to be undone."""
        return True

    def undo(self) -> None:  # noqa: B027 - most have nothing to do
        """What a supervisor, or time, does in the end; nothing for most."""

    def check(self) -> None:  # noqa: B027 - most have nothing to do
        """What else must hold when the sweep trains again."""

    def clean(self) -> None:  # noqa: B027 - most have nothing to do
        """Remove what would be in the way of other tests, whatever has happened."""

    @property
    def lasts_s(self) -> float:
        """The seconds since it was struck."""
        return time.monotonic() - self.struck_at

    def _driver(self) -> psutil.Process:
        """The sweep's driver, once there is one."""
        return one_of(lambda: self._at.drivers(self._sweep_id), "the sweep's driver")


class TrialKilled(Fault):
    name = "a trial's process is killed"

    def _strike(self) -> None:
        self._attempts_before = self._attempts()
        one_of(self._at.training_actors, "a trial's process").kill()

    def check(self) -> None:
        wait_for(lambda: self._attempts() > self._attempts_before, "another attempt at a trial")

    def _attempts(self) -> int:
        """At trials that were tried before, beyond their first."""
        trials = self._at.client.trials(self._sweep_id)
        return sum(trial.attempts - 1 for trial in trials if trial.attempts)


class NodeKilled(Fault):
    name = "a worker node is killed, and joins again"

    def _strike(self) -> None:
        raylet = one_of(self._at.node_raylets, "the second node")
        self._workers = raylet.children(recursive=True)
        raylet.kill()

    def felt(self) -> bool:
        return not any(map(runs, self._workers))

    def undo(self) -> None:
        wait_for(self._at.node_raylets, "the second node, started again by its supervisor")


class RayHeadKilled(Fault):
    name = "the Ray head is killed"

    def _strike(self) -> None:
        self._driver_before = self._driver()
        one_of(self._at.head_gcs, "the Ray head").kill()

    def felt(self) -> bool:
        return not runs(self._driver_before)

    def undo(self) -> None:
        wait_for(self._at.head_gcs, "the Ray head, started again by the service")


class DriverKilled(Fault):
    name = "the driver is killed"

    def _strike(self) -> None:
        self._driver().kill()


class DriverFrozen(Fault):
    name = "the driver is frozen past its lease, then continued"

    def _strike(self) -> None:
        self._epoch = self._at.client.sweep(self._sweep_id).epoch
        self._frozen = self._driver()
        self._token = self._frozen.environ()["SWEEP_DRIVER_TOKEN"]
        freeze(self._frozen)

    def passed(self) -> bool:
        return self._at.client.sweep(self._sweep_id).epoch > self._epoch

    def undo(self) -> None:
        thaw(self._frozen)
        late = httpx.post(
            f"{self._at.url}/v1/driver/batch",
            headers={"Authorization": f"Bearer {self._token}"},
            json=_late_report(),
        )
        assert (late.status_code, late.json()["code"]) == (409, "fenced")
        wait_for(lambda: not runs(self._frozen), "the end of the frozen driver")


class ApiKilled(Fault):
    name = "the API server is killed, and started again"

    def _strike(self) -> None:
        self._at.api.kill()

    def undo(self) -> None:
        self._at.api.start()


class DispatcherKilled(Fault):
    name = "the dispatcher is killed, and started again"

    def _strike(self) -> None:
        self._at.dispatcher.kill()

    def undo(self) -> None:
        self._at.dispatcher.start()


class DatabaseRestarted(Fault):
    name = "PostgreSQL crashes, and is back after 4 s"

    def _strike(self) -> None:
        self._at.postgres.crash()

    def passed(self) -> bool:
        return self.lasts_s > 4

    def undo(self) -> None:
        self._at.postgres.start()


class ServiceAway(Fault):
    name = "the service is away for a minute; the driver spools"

    def _strike(self) -> None:
        self._epoch = self._at.client.sweep(self._sweep_id).epoch
        self._at.api.kill()

    def passed(self) -> bool:
        return self.lasts_s > AWAY_S

    def undo(self) -> None:
        assert self._at.spooled() > 0
        self._at.api.start()

    def check(self) -> None:
        assert self._at.client.sweep(self._sweep_id).epoch == self._epoch  # it lived on


class SpoolDiskFull(Fault):
    """The service is away, and the disk holds one page of what the driver spools."""

    name = "the service is away and the spool's disk is full"

    def _strike(self) -> None:
        self._held_at: datetime | None = None
        self._at.spool.mkdir(exist_ok=True)
        mount(self._at.spool)
        self._at.api.kill()

    def passed(self) -> bool:
        """A while after the driver has said it: trials that trained then are over."""
        if self._held_at is None:
            if "cannot write the spool file, so training is held" in self._driver_log():
                self._held_at = datetime.now(UTC)
            return False
        return datetime.now(UTC) - self._held_at > timedelta(seconds=2 * STEPS * PACE_S)

    def undo(self) -> None:
        self._undone_at = datetime.now(UTC)
        self._at.api.start()

    def check(self) -> None:
        held_at = self._held_at
        assert held_at is not None
        assert "No space left on device" in self._driver_log()
        for trial in self._at.client.trials(self._sweep_id):
            began = trial.started_at
            assert began is None or not held_at < began < self._undone_at, trial.id

    def clean(self) -> None:
        """Take the disk off, and remove what it hid from whoever removed the driver's folder."""
        unmount(self._at.spool)
        for hidden in self._at.spool.iterdir():
            shutil.rmtree(hidden)

    def _driver_log(self) -> str:
        return "".join(
            log.read_text() for log in self._at.home.glob(f"drivers/{self._sweep_id}-*.log")
        )


def one_of(find: Callable[[], list[psutil.Process]], what: str) -> psutil.Process:
    """The first of the processes that are found, once there is one."""
    found: list[psutil.Process] = []

    def seek() -> bool:
        found.extend(find())
        return bool(found)

    wait_for(seek, what)
    return found[0]


def seconds_to_recover(fault: Fault, heard: Recovery, done: Callable[[], bool]) -> float:
    """Strike, undo, and wait until the sweep trains again; from the strike until then."""
    fault.strike()
    wait_for(fault.felt, "what the fault stops to stop")
    heard.begin(datetime.now(UTC))
    wait_for(fault.passed, "the fault's length")
    fault.undo()
    wait_for(done, "reports of after the fault")
    return time.monotonic() - fault.struck_at


def mount(folder: Path) -> None:
    """Put a disk of one page over a folder.

    Raises:
        subprocess.CalledProcessError: where that is not allowed.
    """
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True, text=True)


def unmount(folder: Path) -> None:
    """Take it off again, if it is there."""
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def no_small_disk(folder: Path) -> str | None:
    """Why no disk can be put over a folder here, or None."""
    try:
        mount(folder)
    except OSError as error:
        return f"no disk can be made here: {error}"
    except subprocess.CalledProcessError as error:
        return f"only root may mount a disk, and not everywhere: {error.stderr.strip()}"
    unmount(folder)
    return None


def _late_report() -> dict[str, object]:
    row = {"step": 10_000, "time": "2030-01-01T00:00:00Z", "values": {"score": 1e9}}
    message = {"kind": "reports", "trial": 0, "attempt": 1, "rows": [row]}
    return {"messages": [message], "known": {"trials": 1}}


REPEATABLE: tuple[type[Fault], ...] = (
    TrialKilled,
    NodeKilled,
    RayHeadKilled,
    DriverKilled,
    DriverFrozen,
    ApiKilled,
    DispatcherKilled,
    DatabaseRestarted,
    ServiceAway,
)
