"""What works printed and could not tell: read on their nodes once they are over.

Such as the last words of a process that died, or what a trial printed past the head of
its log. A small Ray task on the node reads it, in a thread of its own here, so that no
decision waits for it.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from workers.driver.capture import Piece, leftover
from workers.driver.live import ProcessBusy
from workers.driver.placing import node_of_actor
from workers.driver.running import LiveWork, RunningSweep

logger = logging.getLogger(__name__)

_READ_WITHIN_S = 30.0
_END_WITHIN_S = 30.0
_AT_ONCE = 4


class Leftovers:
    """Fetches what is left of logs and tells it to the sweep."""

    def __init__(self, sweep: RunningSweep) -> None:
        self._sweep = sweep
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="leftovers")
        self._lock = threading.Lock()
        self._pending: set[Future[None]] = set()

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        """Nothing: Tune pickles its parts into an experiment state that nobody reads."""
        return object, ()

    def fetch_after_end(self, work: LiveWork) -> None:
        """Fetch the rest of a work of which no trial goes on."""
        if work.log.more and work.actor is not None:
            self._submit(work, work.actor, died=False)
        else:
            self._sweep.on_over(work)

    def fetch_after_failure(self, work: LiveWork, error: str) -> None:
        """Fetch the rest of a work that raised or whose process died."""
        told = work.log.ended and not work.log.more
        if work.actor is not None and not told and ProcessBusy.__name__ not in error:
            self._submit(work, work.actor, died=True)

    def wait(self) -> None:
        """Wait a bounded time for what is being fetched."""
        with self._lock:
            pending = set(self._pending)
        _, late = wait(pending, _END_WITHIN_S)
        if late:
            logger.warning("the logs of %d works were not read to their ends in time", len(late))

    def _submit(self, work: LiveWork, actor_id: str, *, died: bool) -> None:
        future = self._pool.submit(self._fetch, work, actor_id, died)
        with self._lock:
            self._pending.add(future)
        future.add_done_callback(self._forget)

    def _forget(self, future: Future[None]) -> None:
        with self._lock:
            self._pending.discard(future)
        if error := future.exception():
            logger.error("could not read the rest of a log", exc_info=error)

    def _fetch(self, work: LiveWork, actor_id: str, died: bool) -> None:
        log = work.log
        if log.capture is not None:
            self._sweep.on_leftover(work, _read(actor_id, log.capture, log.told))
        if not died:
            self._sweep.on_over(work)


def _read(actor_id: str, capture: str, told: tuple[int, int]) -> Sequence[Piece]:
    """What is left, or a line that says why that is not known."""
    try:
        node = node_of_actor(actor_id)
        if node is None:
            return ()
        here = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        task = ray.remote(leftover).options(num_cpus=0, scheduling_strategy=here, max_retries=1)
        pieces: Sequence[Piece] = ray.get(task.remote(capture, told), timeout=_READ_WITHIN_S)
        return pieces
    except (RayError, RuntimeError, OSError) as error:
        why = str(error).strip().partition("\n")[0]
        text = f"[the node of this process is lost; what it printed last is not known: {why}]\n"
        return (Piece("stderr", text, datetime.now(UTC)),)
