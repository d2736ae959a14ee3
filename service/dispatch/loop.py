"""The dispatcher's loop: a thin shell around `service.dispatch.core`."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from service.auth import new_driver_token
from service.dispatch.core import EndSweep, Limits, SetPlaces, StartDriver, decide
from service.dispatch.launcher import Exit, Launch, Launcher, LauncherAway
from service.dispatch.pulse import Pulse
from service.store.interface import Store, SweepOnDuty
from sweep.errors import NotFound, ServiceUnavailable

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
        first_lease: timedelta | None = None,
        api_answers: Callable[[], bool] = lambda: True,
    ) -> None:
        """Put together a dispatcher.

        Args:
            store: Where sweeps are.
            launcher: How drivers are started.
            limits: What bounds it.
            lease: How long a driver may be silent.
            clock: The time, in UTC.
            first_lease: How long a new driver may be silent before its first word, the
                time for its start included; `lease` when not given.
            api_answers: Whether drivers can be heard and told now.
        """
        self._store = store
        self._launcher = launcher
        self._limits = limits
        self._lease = lease
        self._first_lease = first_lease or lease
        self._clock = clock
        self._api_answers = api_answers
        self._pause = _Pause(limits)
        self._gone: deque[Exit] = deque()
        self.pulse = Pulse(clock)
        """How the loop is doing, for health checks."""

    def step(self) -> None:
        """Do what is due now."""
        self._gone.extend(self._launcher.ended())
        while self._gone:
            self._take(self._gone[0])
            self._gone.popleft()  # once it is stored: the store may be away
        sweeps = self._store.on_duty()
        by_id = {sweep.id: sweep for sweep in sweeps}
        judges = self._judges() if sweeps else False
        for action in decide(sweeps, now=self._clock(), limits=self._limits):
            if not judges and not isinstance(action, SetPlaces):
                continue
            self.pulse.moved()
            match action:
                case SetPlaces():
                    self._store.set_places(action.places)
                case EndSweep():
                    self._end(action, by_id[action.sweep_id])
                case StartDriver() if not self._pause.holds(self._clock()):
                    self._start(action, by_id[action.sweep_id])

    def run(self, stop: threading.Event, *, every_s: float = 0.5) -> None:
        """Step until told to stop; a store that is away is waited for."""
        while not stop.wait(every_s):
            try:
                self.step()
            except ServiceUnavailable as error:
                logger.warning("the store is away: %s", error)
                self.pulse.store_away()
                self._hold_leases()
            else:
                self.pulse.store_back()

    def _judges(self) -> bool:
        """Whether drivers may be started and taken for lost: while an API server answers.

        None can be heard while none does, so a lease that runs out shows nothing then, and
        a successor could not even read its sweep. Asked at every step: the lease's time to
        be heard begins when a server answers again, not when one was last missed.
        """
        answers = self._api_answers()
        if not answers:
            self._hold_leases()
        return answers

    def _hold_leases(self) -> None:
        """Give drivers that cannot be heard now a lease's time to be heard later."""
        self._limits = replace(self._limits, leases_hold_until=self._clock() + self._lease)

    def _take(self, gone: Exit) -> None:
        end = self._store.withdraw_driver if gone.blameless else self._store.end_driver
        with suppress(NotFound):  # a sweep that ended may have been deleted since
            end(gone.sweep_id, gone.epoch, reason=gone.reason, now=self._clock())

    def _start(self, action: StartDriver, sweep: SweepOnDuty) -> None:
        token, token_hash = new_driver_token()
        epoch = self._store.start_driver(
            action.sweep_id,
            after_epoch=action.after_epoch,
            token_hash=token_hash,
            now=self._clock(),
            lease=self._first_lease,
        )
        if epoch is None:
            return  # another dispatcher was faster, or the sweep was cancelled
        self._kill_silent(sweep)
        try:
            self._launcher.launch(Launch(action.sweep_id, epoch, token))
            self._pause.over()
        except LauncherAway as error:
            self._pause.again(self._clock())
            logger.warning("no driver for sweep %s now: %s", action.sweep_id, error)
            self._take(Exit(action.sweep_id, epoch, _not_started(error), blameless=True))
        except OSError as error:
            logger.exception("cannot start a driver for sweep %s", action.sweep_id)
            self._take(Exit(action.sweep_id, epoch, _not_started(error)))

    def _end(self, action: EndSweep, sweep: SweepOnDuty) -> None:
        ended = self._store.finish_abandoned(
            action.sweep_id,
            epoch=action.epoch,
            state=action.state,
            reason=action.reason,
            now=self._clock(),
        )
        if ended:
            self._kill_silent(sweep)

    def _kill_silent(self, sweep: SweepOnDuty) -> None:
        """End a driver that was replaced while nobody had seen it end: it may be frozen."""
        if sweep.lease_expires_at is not None:
            self._launcher.kill(sweep.id, sweep.epoch)


class _Pause:
    """Holds launches back while drivers cannot be launched, ever longer."""

    def __init__(self, limits: Limits) -> None:
        self._first, self._longest = limits.backoff, limits.max_backoff
        self._length = timedelta()
        self._until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether to wait."""
        return self._until is not None and now < self._until

    def again(self, now: datetime) -> None:
        """A launch failed."""
        self._length = min(max(self._first, self._length * 2), self._longest)
        self._until = now + self._length

    def over(self) -> None:
        """A launch went well."""
        self._length, self._until = timedelta(), None


def _not_started(error: Exception) -> str:
    return f"could not be started: {error}"
