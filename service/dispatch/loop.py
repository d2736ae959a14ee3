"""The dispatcher's loop: a thin shell around `service.dispatch.core`."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from service.auth import new_driver_token
from service.dispatch.core import EndSweep, Limits, SetPlaces, StartDriver, decide
from service.dispatch.launcher import Launch, Launcher
from service.store.interface import Store
from sweep.errors import ServiceUnavailable

logger = logging.getLogger(__name__)


class Dispatcher:
    """Starts drivers for queued sweeps and successors for drivers that died."""

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        *,
        limits: Limits,
        lease: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._launcher = launcher
        self._limits = limits
        self._lease = lease
        self._clock = clock

    def step(self) -> None:
        """Do what is due now."""
        for gone in self._launcher.ended():
            self._store.end_driver(gone.sweep_id, gone.epoch, reason=gone.reason, now=self._clock())
        now = self._clock()
        for action in decide(self._store.on_duty(), now=now, limits=self._limits):
            match action:
                case StartDriver():
                    self._start(action)
                case EndSweep():
                    self._end(action)
                case SetPlaces():
                    self._store.set_places(action.places)

    def run(self, stop: threading.Event, *, every_s: float = 0.5) -> None:
        """Step until told to stop; a store that is away is waited for."""
        while not stop.wait(every_s):
            try:
                self.step()
            except ServiceUnavailable as error:
                logger.warning("the store is away: %s", error)

    def _start(self, action: StartDriver) -> None:
        token, token_hash = new_driver_token()
        epoch = self._store.start_driver(
            action.sweep_id,
            after_epoch=action.after_epoch,
            token_hash=token_hash,
            now=self._clock(),
            lease=self._lease,
        )
        if epoch is None:
            return  # another dispatcher was faster, or the sweep was cancelled
        try:
            self._launcher.launch(Launch(action.sweep_id, epoch, token))
        except OSError as error:
            logger.exception("cannot start a driver for sweep %s", action.sweep_id)
            reason = f"could not be started: {error}"
            self._store.end_driver(action.sweep_id, epoch, reason=reason, now=self._clock())

    def _end(self, action: EndSweep) -> None:
        self._store.finish_abandoned(
            action.sweep_id,
            epoch=action.epoch,
            state=action.state,
            reason=action.reason,
            now=self._clock(),
        )
