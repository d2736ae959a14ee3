"""The driver's tie to its Ray cluster: waited for at the start, watched from then on.

When Ray's head or this machine's raylet dies, Ray itself lets a driver hang for up to a
minute, and tells of actors that "died": taken at their word, those deaths would count
as the trials' failures. So a driver that lost Ray ends at once and tells of nothing; its
successor waits for Ray.
"""

import logging
import os
import socket
import threading
import time
from contextlib import closing
from pathlib import Path

import ray
from ray.exceptions import RayError

from sweep.errors import SweepError
from sweep.wire import EXIT_NO_RAY
from workers.driver.running import RunningSweep

logger = logging.getLogger(__name__)

WAIT_S = 600.0
"""How long a driver waits for Ray at its start."""
_TRY_EVERY_S = 1.0
_LOOK_EVERY_S = 0.5
_PROBE_S = 2.0


class RayAway(SweepError):
    """The Ray cluster cannot be reached."""


def connect(
    sweep: RunningSweep, address: str, *, code: Path | None = None, wait_s: float = WAIT_S
) -> "RayWatch":
    """Connect to the cluster at an address; what is waited for is shown on the sweep.

    Args:
        sweep: the sweep.
        address: Ray's, as `ray.init` takes it.
        code: an archive whose files every process of the sweep can import.
        wait_s: how long to wait, in seconds.

    Raises:
        RayAway: when it cannot be reached for `wait_s` seconds.
    """
    give_up_at = time.monotonic() + wait_s
    while (problem := _try(sweep.assignment.sweep_id, address, code)) is not None:
        text = f"waiting for Ray at {address}: {problem}"
        if text != sweep.waiting_for:
            logger.warning("%s", text)
            sweep.waiting_for = text
        if time.monotonic() > give_up_at:
            raise RayAway(f"gave up after {wait_s:.0f} s of {text}")
        time.sleep(_TRY_EVERY_S)
    sweep.waiting_for = None
    return RayWatch.of_this_process()


class RayWatch:
    """Ends this process when Ray is lost."""

    def __init__(self, *, gcs: tuple[str, int], raylet: Path) -> None:
        self._gcs = gcs
        self._raylet = raylet

    @classmethod
    def of_this_process(cls) -> "RayWatch":
        """For the cluster that this process is connected to."""
        context = ray.get_runtime_context()
        mine = next(n for n in ray.nodes() if n["NodeID"] == context.get_node_id())
        return cls(gcs=_host_and_port(context.gcs_address), raylet=Path(mine["RayletSocketName"]))

    @property
    def lost(self) -> bool:
        """Whether this machine's raylet is gone, and with it every actor of this driver's."""
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.settimeout(_PROBE_S)
            try:
                probe.connect(str(self._raylet))
            except (ConnectionRefusedError, FileNotFoundError):
                return True
            except OSError:  # busy, which is not gone
                return False
            return False

    def start(self) -> None:
        """Watch in a thread of its own."""
        threading.Thread(target=self._watch, name="ray-watch", daemon=True).start()

    def settle(self) -> None:
        """Return once Ray is known to live; a death that it tells of is then to be believed.

        While the head is away nobody knows whether it comes back, with this machine's
        raylet, or not.
        """
        while _refusal(*self._gcs) is not None:
            self.end_if_lost()
            time.sleep(_LOOK_EVERY_S)
        self.end_if_lost()

    def end_if_lost(self) -> None:
        """End this process when Ray is lost."""
        if self.lost:
            logger.error("this machine's part of Ray is gone; a successor waits for it")
            logging.shutdown()
            os._exit(EXIT_NO_RAY)

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY_S)
            self.end_if_lost()


def _try(namespace: str, address: str, code: Path | None) -> str | None:
    """Connect; what hinders it, or None."""
    if address not in ("", "auto", "local"):
        refusal = _refusal(*_host_and_port(address))
        if refusal is not None:  # Ray's own attempt may end the process
            return refusal
    try:
        ray.init(
            address=address or None,
            namespace=namespace,
            runtime_env=None if code is None else {"working_dir": str(code)},
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except (OSError, RuntimeError, ValueError, RayError) as error:
        ray.shutdown()
        return f"{type(error).__name__}: {str(error).strip()[:500]}"
    return None


def _refusal(host: str, port: int) -> str | None:
    try:
        socket.create_connection((host, port), timeout=_PROBE_S).close()
    except OSError as error:
        return str(error)
    return None


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
