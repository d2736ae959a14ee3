"""What bounds a running sweep: its budget, its places, a pause. Pure; time is passed in."""

from datetime import datetime, timedelta
from itertools import islice

from sweep.records import Usage
from sweep.spec import Budget
from workers.driver.book import Book


class Meter:
    """Counts what a sweep uses, going on from what it used before.

    Args:
        used: by the drivers before.
        gpus: what each work reserves.
        now: the time from which on this driver counts.
    """

    def __init__(self, used: Usage, *, gpus: float, now: datetime) -> None:
        self._used = used
        self._gpus = gpus
        self._at = now

    @property
    def used(self) -> Usage:
        """What was used up to the last tick."""
        return self._used

    def tick(self, now: datetime, *, works: int) -> None:
        """Let time pass while that many works train."""
        seconds = max(0.0, (now - self._at).total_seconds())
        self._at = now
        self._add(seconds=seconds, gpu_seconds=seconds * self._gpus * works)

    def step(self, steps: int) -> None:
        """Count trial-steps."""
        self._add(trial_steps=steps)

    def begin(self) -> None:
        """Count a trial that is started for the first time."""
        self._add(trials=1)

    def spent(self, budget: Budget) -> str | None:
        """The limit that is reached, in words; None while there is none.

        The limit of trials is not among them: trials past it are never started.
        """
        used = self._used
        reached = (
            (budget.trial_steps, used.trial_steps, "trial-steps"),
            (budget.hours, used.seconds / 3600, "hours"),
            (budget.gpu_hours, used.gpu_seconds / 3600, "GPU hours"),
        )
        for limit, amount, unit in reached:
            if limit is not None and amount >= limit:
                return f"budget: {amount:,.6g} of {limit:,.6g} {unit} used"
        return None

    def _add(self, **amounts: float) -> None:
        sums = {name: getattr(self._used, name) + more for name, more in amounts.items()}
        self._used = self._used.model_copy(update=sums)


class Yielding:
    """Which works are to make room at their next saved state: the last that were started."""

    def __init__(self, grace: timedelta) -> None:
        self._grace = grace
        self._pause_until: datetime | None = None
        self.places: int | None = None
        """How many works may train at once."""

    def pause(self, now: datetime) -> None:
        """All are to make room, until the grace is over."""
        if self._pause_until is None:
            self._pause_until = now + self._grace

    def unpause(self) -> None:
        """A pause was taken back."""
        self._pause_until = None

    @property
    def pausing(self) -> bool:
        """Whether the sweep is to pause."""
        return self._pause_until is not None

    def overdue(self, now: datetime) -> bool:
        """Whether a pause waits for saved states no longer."""
        return self._pause_until is not None and now >= self._pause_until

    def has_room(self, book: Book) -> bool:
        """Whether one more work may start."""
        if self.pausing:
            return False
        return self.places is None or len(book.running.works) < self.places

    def works(self, book: Book) -> frozenset[str | int]:
        """The works that are to make room."""
        works = book.running.works
        if self.pausing:
            return frozenset(works)
        if self.places is None or len(works) <= self.places:
            return frozenset()
        return frozenset(islice(works, self.places, None))

    @property
    def reason(self) -> str:
        """Why works make room, as the trials' reason."""
        return "sweep paused" if self.pausing else "yielded"
