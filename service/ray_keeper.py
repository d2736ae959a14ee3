"""Keeps the local Ray head alive: a head that dies is started again, with a back-off."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.ray_head import RayHead
from sweep.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_LONGEST_PAUSE_S = 30.0
_SILENT_LOOKS = 10
"""How often in a row a head that lives may not answer, as on a machine that is busy."""


@contextmanager
def kept_alive(head: RayHead) -> Iterator[None]:
    """Watch the head in a thread for the length of the block."""
    stop = threading.Event()
    thread = threading.Thread(target=_keep, args=(head, stop), name="ray-keeper")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _keep(head: RayHead, stop: threading.Event) -> None:
    pause, silent = _LOOK_EVERY_S, 0
    while not stop.wait(pause):
        silent = 0 if head.answers else silent + 1
        if head.alive and silent < _SILENT_LOOKS:
            pause = _LOOK_EVERY_S
            continue
        logger.error("the local Ray head died; it is started again")
        try:
            head.restart()
            logger.info("the local Ray head is back")
            pause, silent = _LOOK_EVERY_S, 0
        except (ServiceUnavailable, OSError) as error:
            pause = min(pause * 2, _LONGEST_PAUSE_S)
            logger.error("trying again in %.0f s: %s", pause, error)
