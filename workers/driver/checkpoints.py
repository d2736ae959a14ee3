"""The saved states of one attempt at a trial, in one folder a trial.

A state that cannot be read gives way to the one before it. What is kept is said by
`sweep.spec.CheckpointPolicy`; `workers.driver.states` says how.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sweep.errors import StorageFailed
from sweep.metric import Metric
from sweep.spec import CheckpointPolicy
from sweep.storage import PARTIAL, Folder, join, open_folder, split
from workers.driver.states import (
    BEGINNING,
    Best,
    Point,
    Saved,
    StateName,
    UnreadableState,
    before,
    decode,
    encode,
    kept,
    read_name,
)

logger = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 16
_PER_TURN = 64


@dataclass(frozen=True)
class Restored:
    """A state that was found."""

    step: int
    uri: str
    state: dict[str, Any]


class Checkpoints:
    """What one attempt at a trial restores and saves.

    Args:
        folder: the trial's, a path or URL.
        attempt: counts from 1.
        metric: the sweep's.
        policy: which states are kept.
        interval: the steps between those states that other trials may go on from; None: no
            other does.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        folder: str,
        *,
        attempt: int,
        metric: Metric,
        policy: CheckpointPolicy,
        interval: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = folder
        self._attempt = attempt
        self._metric = metric
        self._policy = policy
        self._interval = interval
        self._clock = clock
        self._opened: Folder | None = None
        self._from = BEGINNING
        self._saved: list[Saved] | None = None
        self._value: float | None = None
        self._best: Best | None = None

    @property
    def best(self) -> str | None:
        """Where the best state so far lies, when it is kept."""
        return None if self._best is None else self._best.uri

    def observe(self, values: Mapping[str, float]) -> None:
        """Take in a report: the next state is as good as its metric says."""
        value = values.get(self._metric.name)
        if value is not None:
            self._value = value if math.isfinite(value) else None

    def save(self, step: int, state: Mapping[str, Any]) -> str:
        """Store a state and remove those that need not be kept; where it lies.

        Raises:
            ImportError: when a package for the folder's URL is missing; says which.
            StorageFailed: when it cannot be stored; the states before it are still there.
        """
        folder = self._folder()
        name = StateName(Point(self._attempt, step), self._from)
        uri = join(self._url, str(name))
        best = self._best_with(uri)
        content = encode(state, best)
        if self._saved is None:
            self._saved = self._take_over(folder)
        folder.write(str(name), content)
        self._best = best
        saved = [s for s in self._saved if s.name != name]
        self._saved = [*saved, Saved(name, self._clock(), self.best)]
        self._keep(self._clock())
        return uri

    def restore(self, uri: str, step: int) -> Restored | None:
        """The state that lies there, or the newest before it that can be read; None without one.

        Args:
            uri: where the last state that the service was told of lies.
            step: its step.

        A state of another trial is copied: what that trial does with its own no longer matters.
        One that is gone gives way to the one that its trial saved next.

        Raises:
            ImportError, StorageFailed: as `save`; when the storage fails, not the state.
        """
        url, text = split(uri)
        if self._interval is not None and url != self._url.rstrip("/"):
            return self._adopt(open_folder(url), text, step)
        folder = open_folder(url)
        found = self._read(folder, text, step)
        if found is None:
            found = self._read_older(folder, text)
        if found is None:
            logger.warning(
                "no saved state of the trial can be read at %s on this machine: it starts from "
                "its beginning. A folder for saved states must be one that every node reaches",
                url,
            )
        return found

    def _adopt(self, folder: Folder, name: str, step: int) -> Restored | None:
        """Another trial's state, copied; None when none of that trial can be read."""
        found = self._read(folder, name, step)
        wanted, tried = read_name(name), {name}
        while found is None:
            there = (n for n in map(read_name, folder.names()) if n and str(n) not in tried)
            later = sorted(there, key=lambda n: (wanted is not None and n.at < wanted.at, n.at))
            if not later:
                logger.warning("no state of the trial at %s can be read any more", folder.url)
                return None
            tried.add(str(later[0]))
            found = self._read(folder, str(later[0]), later[0].at.step)
        self._from, self._best = BEGINNING, None
        return Restored(found.step, self.save(found.step, found.state), found.state)

    def tidy(self) -> None:
        """Remove what only a training that goes on needs."""
        if self._saved:
            self._keep(now=None)

    def _folder(self) -> Folder:
        if self._opened is None:
            self._opened = open_folder(self._url)
        return self._opened

    def _best_with(self, uri: str) -> Best | None:
        """The best state, one at `uri` included that is as good as the last report says."""
        value, best = self._value, self._best
        if not self._policy.keep_best or value is None:
            return best
        if best is None or self._metric.is_better(value, best.value) or best.uri == uri:
            return Best(value, uri)
        return best

    def _read(self, folder: Folder, name: str, step: int) -> Restored | None:
        uri = join(folder.url, name)
        try:
            state, best = decode(folder.read(name))
        except (FileNotFoundError, UnreadableState) as error:
            logger.warning("the saved state %s cannot be used: %s", uri, error)
            return None
        parsed = read_name(name)
        self._from = parsed.at if parsed is not None else Point(0, step)
        self._best = best
        return Restored(step, uri, state)

    def _read_older(self, folder: Folder, name: str) -> Restored | None:
        parsed = read_name(name)
        if parsed is None:
            return None
        present = [n for n in map(read_name, folder.names()) if n is not None]
        for older in before(present, parsed.at, parsed.after):
            found = self._read(folder, str(older), older.at.step)
            if found is not None:
                logger.warning("the trial goes on from the older state %s", found.uri)
                return found
        return None

    def _take_over(self, folder: Folder) -> list[Saved]:
        """What is there of this training; what is there of others that were given up goes."""
        names = folder.names()
        present = [n for n in map(read_name, names) if n is not None]
        end = Point(self._attempt, 0)
        passed = list(before(present, end, self._from))
        given_up = [n for n in present if n.at.attempt <= self._attempt and n not in passed]
        if self._interval is not None and self._from == BEGINNING:  # others may wait for them
            passed, given_up = sorted(given_up, key=lambda n: n.at, reverse=True), []
        partial = [n for n in names if n.endswith(PARTIAL)]
        for name in (*map(str, given_up), *partial):
            if join(self._url, name) != self.best:
                self._remove(folder, name)
        return [Saved(name, -math.inf, self.best) for name in reversed(passed)]

    def _keep(self, now: float | None) -> None:
        saved = self._saved or []
        stay = kept(saved, keep_last=self._policy.keep_last, now=now, interval=self._interval)
        best = {state.best for state in stay} | {self.best}
        stay_names = {state.name for state in stay}
        left: list[Saved] = []
        for state in saved:
            uri = join(self._url, str(state.name))
            if state.name in stay_names or uri in best:
                left.append(state)
            else:
                self._remove(self._folder(), str(state.name))
        self._saved = left

    def _remove(self, folder: Folder, name: str) -> None:
        """Remove a file; one that stays does no harm."""
        try:
            folder.remove(name)
        except StorageFailed as error:
            logger.warning("a saved state that is not needed any more stays: %s", error)


def for_each(call: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Call for each item, several at once: a storage far away takes its time over each.

    Returns:
        What the calls answered, in the items' order.
    """
    if len(items) < 2:
        return [call(item) for item in items]
    with ThreadPoolExecutor(min(_AT_ONCE, len(items))) as pool:
        return list(pool.map(call, items))


def in_turns(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in parts that may be in memory at once."""
    for start in range(0, len(items), _PER_TURN):
        yield items[start : start + _PER_TURN]
