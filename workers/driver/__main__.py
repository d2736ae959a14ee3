"""`python -m workers.driver`: run one sweep.

Reads its environment: RAY_ADDRESS, and what `workers.driver.environment` names. Exit
codes: 0 the sweep ended; 3 a successor holds the lease or the service does not know this
driver; 4 the service stayed away; 5 it could not run, and a successor may; 6 Ray stayed
away or was lost.
"""

import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from sweep.errors import Fenced, ServiceUnavailable, Unauthorized
from sweep.searches import ModelSearch
from sweep.trainables import find, registered
from sweep.wire import EXIT_NO_RAY, PastReport
from workers.driver import environment
from workers.driver.beating import lease_kept
from workers.driver.breaker import Breaker
from workers.driver.cluster import RayAway, connect
from workers.driver.code import fetch
from workers.driver.core import SweepCore
from workers.driver.limits import Meter
from workers.driver.link import EXIT_AWAY, EXIT_FAILED, EXIT_FENCED, Link
from workers.driver.nodes import request_of
from workers.driver.outbox import Outbox
from workers.driver.packing import Waiting, packing_of
from workers.driver.running import RunningSweep
from workers.driver.service import DriverService
from workers.driver.stopping import needs_history
from workers.driver.tuning import run_on_tune

_START_WITHIN_S = 60.0
_LEAVE_WITHIN_S = 2.0
"""How long Ray Tune may take to notice that the sweep is over."""


def _now() -> datetime:
    return datetime.now(UTC)


def _load(service: DriverService, outbox: Outbox, folder: Path) -> tuple[RunningSweep, Path | None]:
    """The sweep as the service has it, and its archive of code, put into a folder."""
    retrying = Retrying(
        retry=retry_if_exception_type(ServiceUnavailable),
        stop=stop_after_delay(_START_WITHIN_S),
        wait=wait_exponential(multiplier=0.2, max=5),
        reraise=True,
    )
    assignment = retrying(service.assignment)
    spec = assignment.spec
    now = _now()
    with lease_kept(service, assignment):
        code = retrying(fetch, service, spec, folder)
        core = SweepCore(
            spec,
            retrying(service.tasks),
            retrying(service.rungs),
            max_concurrent=assignment.max_concurrent,
            now=now,
            history=_history(service, retrying) if needs_history(spec) else (),
            meter=Meter(assignment.used, gpus=assignment.resources.gpu, now=now),
            pause_grace=timedelta(seconds=assignment.pause_grace_s),
            waiting=Waiting(*packing_of(spec, find(spec.trainable, registered()))),
            breaker=Breaker(request_of(assignment.resources), assignment.excluded_nodes),
        )
    return RunningSweep(core, assignment, clock=_now, emit=outbox.put), code


def _history(service: DriverService, retrying: Retrying) -> Iterator[PastReport]:
    """What trials had reported before, page by page, so that it is never held whole."""
    after: tuple[int, int] | None = (0, 0)
    while after is not None:
        page = retrying(service.past_reports, after)
        yield from page.items
        after = page.next_after


def _run(service: DriverService, told: environment.Told) -> None:
    outbox = Outbox(told.spool, max_memory=told.memory_messages)
    sweep, code = _load(service, outbox, told.spool.parent)
    over, left, news = threading.Event(), threading.Event(), threading.Event()
    link = Link(service, sweep, outbox, on_over=over.set, on_news=news.set)
    link.start()
    if isinstance(sweep.assignment.spec.search, ModelSearch):
        from workers.driver.keeping import keep_proposing  # loads Optuna, for seconds

        keep_proposing(sweep, service, news)

    def finish() -> None:
        sweep.finish()
        link.drain()
        outbox.close()
        os._exit(0)  # at once: Ray ends the sweep's actors when their driver is gone

    def finish_soon() -> None:
        over.wait()
        if not left.wait(_LEAVE_WITHIN_S):
            finish()

    threading.Thread(target=finish_soon, daemon=True).start()
    watch = connect(sweep, os.environ.get("RAY_ADDRESS", ""), code=code)
    watch.start()
    try:
        run_on_tune(sweep, settle=watch.settle, left=left.set)
    except Exception:
        watch.settle()
        raise
    finish()


def main() -> int:
    """Run the sweep that the environment's token names; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    told = environment.read(os.environ)
    service = DriverService(told.urls, told.token)
    try:
        _run(service, told)
    except (Fenced, Unauthorized) as error:
        logging.error("this driver's part is over: %s", error)
        return EXIT_FENCED
    except ServiceUnavailable as error:
        logging.error("gave up: %s", error)
        return EXIT_AWAY
    except RayAway as error:
        logging.error("%s", error)
        return EXIT_NO_RAY
    except Exception:  # noqa: BLE001 - whatever it was, a successor gets to try
        traceback.print_exc()
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # threads and Ray's own exit hooks must not delay a successor
