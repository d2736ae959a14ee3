"""The thread that keeps a model-based search going beside Ray Tune's loop."""

import logging
import os
import threading

from tenacity import Retrying, retry_if_exception_type, wait_exponential

from sweep.errors import Fenced, ServiceUnavailable, Unauthorized
from workers.driver.link import EXIT_FAILED, EXIT_FENCED
from workers.driver.proposing import Proposing
from workers.driver.running import RunningSweep
from workers.driver.service import DriverService

logger = logging.getLogger(__name__)


def keep_proposing(sweep: RunningSweep, service: DriverService, news: threading.Event) -> None:
    """Propose for as long as the process lives, in a thread: a sampler may think for a second.

    An error in it ends the process, so that a successor takes over.

    Args:
        sweep: what is run.
        service: where results are read.
        news: set when the service may have something new.
    """
    threading.Thread(target=_run_or_end, args=(sweep, service, news), daemon=True).start()


def _run_or_end(sweep: RunningSweep, service: DriverService, news: threading.Event) -> None:
    try:
        _run(sweep, service, news)
    except (Fenced, Unauthorized) as error:
        logger.error("this driver's part is over: %s", error)
        os._exit(EXIT_FENCED)
    except Exception:
        logger.exception("the search broke")
        os._exit(EXIT_FAILED)


def _run(sweep: RunningSweep, service: DriverService, news: threading.Event) -> None:
    patient = Retrying(
        retry=retry_if_exception_type(ServiceUnavailable),
        wait=wait_exponential(multiplier=0.2, max=5),
    )
    proposing = Proposing(sweep, service, patient(service.history))
    while True:
        patient(proposing.step)
        news.wait()
        news.clear()
