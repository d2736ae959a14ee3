"""Which waiting trials go together: pure bookkeeping, no I/O.

Trials with the same fuse key wait in one line; a pack is taken from its front, whole
groups where they fit. Trials without a key go alone.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any, Literal

from sweep.entry import load_code
from sweep.spec import SweepSpec
from sweep.trainables import Trainable, is_script
from sweep.wire import TrialTask

PackSize = Literal["off", "auto"] | int
FuseKey = Callable[[Mapping[str, Any]], Hashable]

MAX_AUTO_SIZE = 1_024

_Line = tuple[Hashable, int]
"""A fuse key (None: alone) and the size that its packs may have."""


class Waiting:
    """The trials that wait to be trained, in order.

    Args:
        size: the spec's `pack`.
        fuse_key: tells which trials may share a pack; None: none.
        slots: how many packs the cluster runs at once, for `auto`.
    """

    def __init__(self, size: PackSize, fuse_key: FuseKey | None, slots: int = 1) -> None:
        self._limit = size if isinstance(size, int) else MAX_AUTO_SIZE
        self._spreads = size == "auto"
        self._fuse_key = fuse_key if size != "off" and size != 1 else None
        self.slots = slots
        self._lines: dict[_Line, deque[tuple[int, TrialTask]]] = {}
        self._line_of: dict[int, _Line] = {}
        self._indexes: set[int] = set()
        self._line_of_pack: dict[str, _Line] = {}
        self._known: dict[Hashable, int] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._indexes)

    @property
    def works(self) -> int:
        """In how many works they would go now, about: packs, and trials alone."""
        return sum(
            math.ceil(len(queue) / min(self._limit_of(line), self._share_of(line)))
            for line, queue in self._lines.items()
        )

    def push(self, task: TrialTask) -> None:
        """Add a trial at the end of its line."""
        line = self._line_of.get(task.index) or self._default_line(task)
        self._line_of[task.index] = line
        self._lines.setdefault(line, deque()).append((self._next, task))
        self._next += 1
        self._indexes.add(task.index)

    def take(self, room: int | None) -> list[TrialTask]:
        """The trials that go next, together: the front one's pack, `room` at most."""
        if not self._indexes:
            return []
        line = min(self._lines, key=lambda key: self._lines[key][0][0])
        most = self._limit_of(line) if room is None else min(self._limit_of(line), room)
        return self._take(line, min(most, self._share_of(line)), most)

    def take_more(self, pack: str, live: int, most: int) -> list[TrialTask]:
        """Trials that may join a running pack of `live` members, `most` of them."""
        line = self._line_of_pack[pack]
        if line not in self._lines or line[1] < self._limit:
            return []
        most = min(most, self._limit_of(line) - live)
        return self._take(line, most, most) if most > 0 else []

    def name_pack(self, name: str, member: TrialTask) -> None:
        """Remember which line a pack was taken from."""
        self._line_of_pack[name] = self._line_of[member.index]

    def goes_packed(self, task: TrialTask) -> bool:
        """Whether a trial goes in a pack, be it of one."""
        return self._line_of[task.index][1] > 1

    def learn(self, task: TrialTask, capacity: int) -> None:
        """Packs like this trial's may have so many members, no more."""
        key = self._line_of[task.index][0]
        self._known[key] = min(capacity, self._known.get(key, capacity))

    def split(self, tasks: Iterable[TrialTask], size: int) -> None:
        """From now on these trials go in packs of that size at most, among themselves."""
        for task in tasks:
            self._line_of[task.index] = (self._line_of[task.index][0], max(1, size))

    def mend(self, task: TrialTask) -> None:
        """Forget that a trial's pack was split: it came further since."""
        key, limit = self._line_of[task.index]
        if key is not None and limit < self._limit:
            self._line_of[task.index] = (key, self._limit)

    def reconsider(self, task: TrialTask) -> None:
        """Forget in which line a trial waited: its parameters changed since."""
        self._line_of.pop(task.index, None)

    @property
    def indexes(self) -> Collection[int]:
        """The trials that wait."""
        return self._indexes

    def discard_all(self, indexes: Collection[int]) -> None:
        """Take trials out, those that wait."""
        self._indexes.difference_update(indexes)
        for line, queue in list(self._lines.items()):
            kept = deque(entry for entry in queue if entry[1].index not in indexes)
            if kept:
                self._lines[line] = kept
            else:
                del self._lines[line]

    def discard(self, task: TrialTask) -> None:
        """Take one trial out, if it waits."""
        if task.index not in self._indexes:
            return
        self._indexes.discard(task.index)
        line = self._line_of[task.index]
        kept = deque(entry for entry in self._lines[line] if entry[1].index != task.index)
        if kept:
            self._lines[line] = kept
        else:
            del self._lines[line]

    def clear(self) -> None:
        """Forget all that wait."""
        self._lines.clear()
        self._indexes.clear()

    def _default_line(self, task: TrialTask) -> _Line:
        if self._fuse_key is None:
            return (None, 1)
        try:
            key = self._fuse_key(task.parameters)
            hash(key)
        except Exception:  # noqa: BLE001 - a user's own; the trial goes alone and meets it there
            return (None, 1)
        return (key, self._limit)

    def _limit_of(self, line: _Line) -> int:
        key, limit = line
        return min(limit, self._known.get(key, limit))

    def _share_of(self, line: _Line) -> int:
        """How many of a line's trials go together, so that every slot gets some."""
        waiting = len(self._lines[line])
        if not self._spreads:
            return waiting
        return math.ceil(waiting / math.ceil(self.slots / len(self._lines)))

    def _take(self, line: _Line, size: int, most: int) -> list[TrialTask]:
        """About `size` of the line's first trials: whole groups, as far as `most` allows."""
        queue = self._lines[line]
        if most == 1:
            taken = [queue.popleft()]
        else:
            rank: dict[str, int] = {}
            for _, task in queue:
                rank.setdefault(task.group, len(rank))
            ordered = sorted(queue, key=lambda entry: rank[entry[1].group])
            while 0 < size < min(most, len(ordered)) and (
                ordered[size][1].group == ordered[size - 1][1].group
            ):
                size += 1
            taken, left = ordered[:size], ordered[size:]
            self._lines[line] = queue = deque(sorted(left, key=lambda entry: entry[0]))
        if not queue:
            del self._lines[line]
        self._indexes.difference_update(task.index for _, task in taken)
        return [task for _, task in taken]


def packing_of(spec: SweepSpec, trainable: Trainable) -> tuple[PackSize, FuseKey | None]:
    """How a spec's trials are packed: the size, and what tells which may share a pack."""
    size = spec.pack or ("off" if trainable.fuse_key is None else "auto")
    if size == "off" or is_script(trainable.code):
        return "off", None
    if trainable.fuse_key is not None:
        return size, trainable.fuse_key
    return size, _own_fuse_key(trainable.code, is_asked=size != "auto")


def _own_fuse_key(code: str, *, is_asked: bool) -> FuseKey | None:
    """The fuse key of a user's own code; importing it may take any error."""
    from workers.fusion.packable import Packable

    try:
        packable = load_code(code)
    except Exception:  # noqa: BLE001 - the trials will meet it too, and tell
        return None
    if isinstance(packable, Packable):
        return packable.fuse_key
    return (lambda parameters: None) if is_asked else None
