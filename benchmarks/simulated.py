"""Simulated time, and simulated workers that train what a real driver core hands out.

A worker tells of two steps every 5 to 15 simulated seconds. How good a trial is depends on
its seed alone; one in a hundred diverges and one in two hundred raises, at its second step.
"""

import heapq
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sweep.spec import SweepSpec, parse_spec
from sweep.wire import Message, ReportRow, TrialTask
from workers.driver.core import SweepCore
from workers.driver.live import TrialUpdate

MAX_T = 9
RUNGS = (2, 8)
GROUPS = 8
UPDATE_S = (5.0, 15.0)
ROWS = 2
START = datetime(2026, 1, 1, tzinfo=UTC)


def spec_of(
    name: str, *, trials: int, workers: int, priority: int = 0, max_t: int = MAX_T
) -> SweepSpec:
    """A random search in eight groups under ASHA."""
    fields: dict[str, Any] = {
        "name": name,
        "trainable": "simulated:train",
        "metric": {"name": "accuracy", "mode": "max"},
        "parameters": {
            "task": {"choice": [f"task-{i}" for i in range(GROUPS)]},
            "lr": {"loguniform": {"min": 1e-5, "max": 1e-1}},
            "width": {"choice": [64, 128, 256]},
        },
        "search": {"type": "random", "num_trials": trials},
        "early_stopping": {
            "type": "asha",
            "grace_period": RUNGS[0],
            "max_t": max_t,
            "reduction_factor": 4,
            "group_by": ["task"],
        },
        "max_concurrent": workers,
        "priority": priority,
    }
    return parse_spec(fields)


Timer = Callable[[], float]
"""Seconds of the machine: its clock, or the CPU's time of this thread."""


class Agenda:
    """What happens when, in simulated seconds; also the clock."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def __call__(self) -> datetime:
        """The simulated time."""
        return START + timedelta(seconds=self.seconds)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Note something to be done later."""
        entry = (self.seconds + seconds, next(self._order), action)
        heapq.heappush(self._entries, entry)

    def next(self) -> bool:
        """Pass on to the next entry and do it; False when there is none."""
        if not self._entries:
            return False
        self.seconds, _, action = heapq.heappop(self._entries)
        action()
        return True


@dataclass
class CoreCost:
    """What a driver's core took."""

    reports: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Member:
    """A trial on a worker."""

    task: TrialTask
    attempt: int
    quality: float
    fate: str


@dataclass
class SimulatedWorkers:
    """Workers of one driver: they ask the core for work and tell it what happened.

    Args:
        core: decides.
        agenda: the time.
        emit: takes the core's messages.
        most: how many workers there are.
        cost: what the core takes is added there.
    """

    core: SweepCore
    agenda: Agenda
    emit: Callable[[list[Message]], None]
    most: int
    cost: CoreCost
    timer: Timer = time.thread_time
    gone: bool = False
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def fill(self) -> None:
        """Give every idle worker something to do."""
        while not self.gone and self.core.running < self.most:
            began = self.timer()
            work = self.core.next_work(self.agenda())
            self.cost.seconds += self.timer() - began
            if work is None:
                return
            for task, attempt in work.members:
                self._later(_member(task, attempt), 0)

    def _later(self, member: _Member, done: int) -> None:
        self.agenda.after(self._random.uniform(*UPDATE_S), lambda: self._update(member, done))

    def _update(self, member: _Member, done: int) -> None:
        if self.gone:
            return
        index, now = member.task.index, self.agenda()
        upto = min(done + ROWS, member.task.max_t or MAX_T)
        update = _update_of(member, range(done + 1, upto + 1), now)
        began = self.timer()
        verdict = self.core.on_updates([(index, member.attempt, update)], now)[index]
        if update.error is not None:
            self.core.losses.failed(index, member.attempt, update.error, now)
        messages = self.core.take_messages()
        self.cost.seconds += self.timer() - began
        self.cost.reports += len(update.rows)
        self.emit(messages)
        if verdict == "go" and update.error is None:
            self._later(member, upto)
        else:
            self.fill()


def _member(task: TrialTask, attempt: int) -> _Member:
    draw = random.Random(task.seed)
    fate = draw.choices(("well", "diverges", "raises"), (0.985, 0.01, 0.005))[0]
    return _Member(task, attempt, quality=draw.random(), fate=fate)


def _update_of(member: _Member, steps: range, now: datetime) -> TrialUpdate:
    fate = member.fate if 2 in steps else "well"
    node = f"node-{member.task.index % 100}"
    if fate == "raises" and member.attempt == 1:
        error = "RuntimeError: simulated"
        return TrialUpdate(node=node, from_step=0, error=error, retryable=True)
    rows = tuple(_row(member, step, now, fate) for step in steps)
    return TrialUpdate(node=node, from_step=0, rows=rows)


def _row(member: _Member, step: int, now: datetime, fate: str) -> ReportRow:
    lost = fate == "diverges" and step == 2
    return ReportRow(
        step=step,
        time=now,
        values={"accuracy": None if lost else member.quality * (1 - 0.5**step), "loss": 1 / step},
        nonfinite={"accuracy": "nan"} if lost else {},
    )
