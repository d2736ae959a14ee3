"""The threads that keep a driver and the service in touch."""

import logging
import os
import threading
import time
from collections.abc import Callable

from sweep.errors import Fenced, ServiceUnavailable, TooManyRequests, Unauthorized
from sweep.wire import Ack, Heartbeat, TrialMoved
from workers.driver.beating import BEATS_PER_LEASE
from workers.driver.outbox import Outbox
from workers.driver.running import RunningSweep
from workers.driver.service import DriverService

logger = logging.getLogger(__name__)

EXIT_FENCED = 3
EXIT_AWAY = 4
EXIT_FAILED = 5

_GIVE_UP_AFTER_S = 900.0
_BATCH_EVERY_S = 0.2
_RETRY_EVERY_S = 1.0


class Link:
    """Sends the outbox and beats the heart, each in its own thread.

    Ends the whole process, and with it the sweep's actors, when a successor holds
    the lease, when the service does not know the driver, after a long silence, or when
    the service refuses a message: a driver that cannot speak must not seem alive.
    """

    def __init__(
        self,
        service: DriverService,
        sweep: RunningSweep,
        outbox: Outbox,
        *,
        on_over: Callable[[], None],
        on_news: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_over`: called once nothing is left to do; `on_news`: when the service has taken in
        that trials ended, and at each heartbeat.
        """
        self._service = service
        self._sweep = sweep
        self._outbox = outbox
        self._on_over = on_over
        self._on_news = on_news
        self._last_contact = time.monotonic()
        self._draining = threading.Event()

    def start(self) -> None:
        """Start both threads."""
        for work in (self._send_forever, self._beat_forever):
            threading.Thread(target=run_or_end, args=(work,), daemon=True).start()

    def drain(self) -> None:
        """Wait until the service has taken every message."""
        self._draining.set()
        self._outbox.wait_empty()

    def _send_forever(self) -> None:
        while True:
            if self._outbox.wait(_RETRY_EVERY_S):
                wait = self._attempt(self._send)
                if wait is None:
                    self._draining.wait(_BATCH_EVERY_S)
                else:
                    time.sleep(wait)

    def _beat_forever(self) -> None:
        every = self._sweep.assignment.lease_s / BEATS_PER_LEASE
        while True:
            self._attempt(self._beat)
            time.sleep(every)

    def _send(self) -> None:
        with self._outbox.batch() as messages:
            if not messages:
                return
            ack = self._service.send(messages, known=self._sweep.known)
        self._take(ack, is_news=any(isinstance(message, TrialMoved) for message in messages))

    def _beat(self) -> None:
        beat = Heartbeat(known=self._sweep.known, signs=self._sweep.signs())
        self._take(self._service.heartbeat(beat), is_news=True)

    def _take(self, ack: Ack, *, is_news: bool) -> None:
        """Take an answer in, and only then wake whoever looks at the sweep."""
        self._sweep.take(ack)
        if is_news:
            self._on_news()
        if self._sweep.done:
            self._on_over()

    def _attempt(self, call: Callable[[], None]) -> float | None:
        """Make one call; when it failed, seconds until the next try."""
        try:
            call()
        except TooManyRequests as error:
            logger.info("the service has too much to do: %s", error)
            self._last_contact = time.monotonic()
            return error.retry_after_s
        except ServiceUnavailable as error:
            self._endure(error)
            return _RETRY_EVERY_S
        self._last_contact = time.monotonic()
        return None

    def _endure(self, error: ServiceUnavailable) -> None:
        silence = time.monotonic() - self._last_contact
        logger.warning("the service is away for %.0f s: %s", silence, error)
        if silence > _GIVE_UP_AFTER_S:
            os._exit(EXIT_AWAY)


def run_or_end(work: Callable[[], None]) -> None:
    """Run a thread's work; an error in it ends the process, so that a successor takes over."""
    try:
        work()
    except (Fenced, Unauthorized) as error:
        logger.error("this driver's part is over: %s", error)
        os._exit(EXIT_FENCED)
    except Exception:
        logger.exception("a thread of the driver broke")
        os._exit(EXIT_FAILED)
