"""What is done to the deployment, when it may be undone, and how."""

import time
from typing import ClassVar

import httpx
import psutil

from tests.chaos.deployment import LEASE_S, Deployment, freeze, runs, thaw
from tests.integration.service_process import wait_for


class Fault:
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

    def _strike(self) -> None:
        raise NotImplementedError

    def felt(self) -> bool:
        """Whether what it stops has stopped: what is heard from then on is of what goes on."""
        return True

    def passed(self) -> bool:
        """Whether it has lasted long enough to be undone."""
        return True

    def undo(self) -> None:
        """What a supervisor, or time, does in the end; nothing for most."""

    def check(self) -> None:
        """What else must hold when the sweep trains again."""

    @property
    def lasts_s(self) -> float:
        """The seconds since it was struck."""
        return time.monotonic() - self.struck_at

    def _driver(self) -> psutil.Process:
        """The sweep's driver, once there is one."""
        wait_for(lambda: len(self._at.drivers()) == 1, "the sweep's driver")
        (driver,) = self._at.drivers()
        return driver


class TrialKilled(Fault):
    name = "a trial's process is killed"

    def _strike(self) -> None:
        wait_for(self._at.trial_actors, "a trial's process")
        self._at.trial_actors()[0].kill()


class NodeKilled(Fault):
    name = "a worker node is killed, and joins again"

    def _strike(self) -> None:
        wait_for(self._at.node_raylets, "the second node")
        (raylet,) = self._at.node_raylets()
        self._workers = raylet.children(recursive=True)
        raylet.kill()

    def felt(self) -> bool:
        return not any(map(runs, self._workers))

    def undo(self) -> None:
        wait_for(self._at.node_raylets, "the second node, started again by its supervisor")


class RayHeadKilled(Fault):
    name = "the Ray head is killed"

    def _strike(self) -> None:
        wait_for(self._at.head_gcs, "the Ray head")
        self._driver_before = self._driver()
        self._at.head_gcs()[0].kill()

    def felt(self) -> bool:
        return not runs(self._driver_before)


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
    name = "the service is away for two leases; the driver spools"

    def _strike(self) -> None:
        self._epoch = self._at.client.sweep(self._sweep_id).epoch
        self._at.api.kill()

    def passed(self) -> bool:
        return self.lasts_s > 2 * LEASE_S

    def undo(self) -> None:
        assert self._at.spooled() > 0
        self._at.api.start()

    def check(self) -> None:
        assert self._at.client.sweep(self._sweep_id).epoch == self._epoch  # it lived on


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
