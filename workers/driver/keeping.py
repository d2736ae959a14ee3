"""The thread that keeps a model-based search going beside Ray Tune's loop."""

import threading
import time
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from sweep.errors import ServiceUnavailable, TooManyRequests
from workers.driver.link import run_or_end
from workers.driver.proposing import Proposing
from workers.driver.running import RunningSweep
from workers.driver.service import DriverService

_BACKOFF = wait_exponential(multiplier=0.2, max=5)


def keep_proposing(
    sweep: RunningSweep,
    service: DriverService,
    news: threading.Event,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Propose for as long as the process lives, in a thread: a sampler may think for a second.

    An error in it ends the process, so that a successor takes over.

    Args:
        sweep: what is run.
        service: where results are read.
        news: set when the service may have something new.
        sleep: waits that many seconds, while the service is away.
    """
    patient = Retrying(retry=retry_if_exception_type(ServiceUnavailable), wait=_wait, sleep=sleep)

    def work() -> None:
        proposing = Proposing(sweep, service, patient(service.history))
        while True:
            patient(proposing.step)
            news.wait()
            news.clear()

    threading.Thread(target=run_or_end, args=(work,), daemon=True).start()


def _wait(state: RetryCallState) -> float:
    """For how long a call that failed is not made again: as long as the service asks for."""
    error = None if state.outcome is None else state.outcome.exception()
    return error.retry_after_s if isinstance(error, TooManyRequests) else _BACKOFF(state)
