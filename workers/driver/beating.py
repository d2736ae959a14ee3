"""Keeps a driver's lease while it reads a sweep, before its link beats for it."""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sweep.errors import Fenced, ServiceUnavailable, Unauthorized
from sweep.wire import Assignment, Heartbeat, Known, Signs
from workers.driver.service import DriverService

logger = logging.getLogger(__name__)

BEATS_PER_LEASE = 15
_EVERYTHING = Known(trials=2**31 - 1, edits=2**31 - 1)
"""As if all were known, so that an answer brings nothing."""


@contextmanager
def lease_kept(service: DriverService, assignment: Assignment) -> Iterator[None]:
    """Beat until the block ends: reading a million trials takes longer than a lease.

    A lease that is lost is left to whoever calls the service next to find out.
    """
    over = threading.Event()
    signs = Signs(pid=os.getpid(), host=socket.gethostname(), used=assignment.used)

    def beat() -> None:
        while not over.wait(assignment.lease_s / BEATS_PER_LEASE):
            try:
                service.heartbeat(Heartbeat(known=_EVERYTHING, signs=signs))
            except ServiceUnavailable as error:
                logger.warning("no heartbeat while the sweep is read: %s", error)
            except (Fenced, Unauthorized):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
