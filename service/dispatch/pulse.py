"""Whether the dispatcher's loop goes round, for health checks."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

STUCK_AFTER = timedelta(seconds=90)
AWAY_AFTER = timedelta(seconds=90)


class Pulse:
    """Written by the loop, read by the health check's thread."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._moved_at = clock()
        self._away_since: datetime | None = None

    def moved(self) -> None:
        """The loop did one thing more."""
        with self._lock:
            self._moved_at = self._clock()

    def store_away(self) -> None:
        """The store did not answer."""
        with self._lock:
            self._moved_at = self._clock()
            self._away_since = self._away_since or self._moved_at

    def store_back(self) -> None:
        """The store answered."""
        with self._lock:
            self._moved_at = self._clock()
            self._away_since = None

    def trouble(self) -> str | None:
        """What is wrong with the loop, or None."""
        with self._lock:
            now = self._clock()
            if now - self._moved_at > STUCK_AFTER:
                return f"the loop has stood still since {self._moved_at.isoformat()}"
            if self._away_since is not None and now - self._away_since > AWAY_AFTER:
                return f"the store has been away since {self._away_since.isoformat()}"
            return None
