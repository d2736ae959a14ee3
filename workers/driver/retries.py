"""When a trial that failed is tried again: pure bookkeeping, times are passed in."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pydantic import ValidationError

from sweep.errors import TrialFault

NOT_RETRYABLE = (ImportError, SyntaxError, NotImplementedError, TrialFault, ValidationError)
"""Errors that another attempt would meet again, whatever it is given."""

LOSSES_FORGIVEN = 10
"""How often a trial may lose its node for free: one that ends its nodes must end some day."""

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_DOUBLINGS = 6
"""After so many the wait is at its longest."""


def would_repeat(error: BaseException) -> bool:
    """Whether another attempt would meet a training function's error again.

    A `TypeError` of the call itself means that the function does not take what it is
    given; one from inside the function may depend on what it met there.
    """
    if isinstance(error, NOT_RETRYABLE):
        return True
    trace = error.__traceback__
    return isinstance(error, TypeError) and trace is not None and trace.tb_next is None


def wait_after(failures: int) -> timedelta:
    """How long a trial waits after that many failures: 1 s, 2 s, 4 s, at most 60 s."""
    doubled = _FIRST_WAIT_S * 2 ** min(failures - 1, _DOUBLINGS)
    return timedelta(seconds=min(doubled, _LONGEST_WAIT_S))


class Retries:
    """The trials that wait to be tried again, and until when."""

    def __init__(self) -> None:
        self._due: dict[int, datetime] = {}

    def __len__(self) -> int:
        return len(self._due)

    def push(self, index: int, due: datetime) -> None:
        """A trial waits until then."""
        self._due[index] = due

    def take(self, now: datetime) -> list[int]:
        """The trials whose wait is over; the first that failed is first."""
        over = sorted((due, index) for index, due in self._due.items() if due <= now)
        self.discard(index for _, index in over)
        return [index for _, index in over]

    def discard(self, indexes: Iterable[int]) -> None:
        """These trials wait no more."""
        for index in indexes:
            self._due.pop(index, None)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._due.clear()

    @property
    def next_due(self) -> datetime | None:
        """When the next wait is over."""
        return min(self._due.values(), default=None)
