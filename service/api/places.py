"""Back-pressure: so many drivers' batches at once, and no more."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sweep.errors import TooManyRequests

RETRY_AFTER_S = 1.0


class Places:
    """A bounded number of places for work; who finds none comes again later.

    What is refused costs next to nothing, so heartbeats find a thread and a connection
    however many drivers send batches.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._free = threading.BoundedSemaphore(number)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """One place, for the length of the block.

        Raises:
            TooManyRequests: when none is free.
        """
        if not self._free.acquire(blocking=False):
            raise TooManyRequests(
                f"this server works on {self._number} batches already (SWEEP_MAX_BATCHES): "
                "send this one again later",
                retry_after_s=RETRY_AFTER_S,
            )
        try:
            yield
        finally:
            self._free.release()
