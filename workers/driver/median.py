"""The median stopping rule (Golovin et al., 2017, "Google Vizier", section 3.2.2) in groups.

At a rung a unit (a trial, or the replicates of one assignment) is stopped when its best
value so far is strictly worse than the median of the running averages, up to the rung, of
the other units of its group that were at the rung before it.

Its state is a function of the decisions and the reports that SQL holds.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sweep.metric import Metric
from sweep.records import Origin
from sweep.rungs import rung_steps
from sweep.stopping import Median
from sweep.wire import TrialTask
from workers.driver.replicates import GatheringRule, Mark, Unit
from workers.driver.stopping import Decision, Outcome, mean

_Place = tuple[str, int]
"""A group and a rung."""


@dataclass
class _Track:
    """What a trial has reported so far."""

    steps: "array[int]" = field(default_factory=lambda: array("q"))
    totals: "array[float]" = field(default_factory=lambda: array("d"))
    """The sum of its values up to each step."""
    bests: "array[float]" = field(default_factory=lambda: array("d"))

    def mark(self) -> Mark:
        if not self.steps:
            return Mark(None)
        return Mark(self.bests[-1], self.totals[-1] / len(self.steps), self.steps[-1])

    def add(self, step: int, value: float, metric: Metric) -> None:
        total, best = (self.totals[-1], self.bests[-1]) if self.steps else (0.0, value)
        self.steps.append(step)
        self.totals.append(total + value)
        self.bests.append(value if metric.is_better(value, best) else best)

    def cut(self, step: int) -> None:
        """Forget what was reported past a step."""
        kept = bisect_right(self.steps, step)
        del self.steps[kept:], self.totals[kept:], self.bests[kept:]


class _Pool:
    """The running averages of the units at a rung of a group, sorted."""

    def __init__(self) -> None:
        self._scores: list[float] = []
        self._score_of: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._scores)

    def put(self, unit: int, score: float | None) -> None:
        """Set a unit's score; None takes it out."""
        old = self._score_of.pop(unit, None)
        if old is not None:
            del self._scores[bisect_left(self._scores, old)]
        if score is not None:
            self._score_of[unit] = score
            insort(self._scores, score)

    @property
    def median(self) -> float:
        middle = len(self._scores) // 2
        if len(self._scores) % 2:
            return self._scores[middle]
        return (self._scores[middle - 1] + self._scores[middle]) / 2


class MedianRule(GatheringRule):
    """One set of rungs for each group; nobody waits for other units.

    Args:
        rule: the spec's.
        metric: what it compares.
        tasks: the trials.
        replicated: whether replicates are one unit.
    """

    waits = False

    def __init__(
        self, rule: Median, metric: Metric, tasks: Iterable[TrialTask], *, replicated: bool
    ) -> None:
        super().__init__(tasks, replicated=replicated)
        self._rule = rule
        self._metric = metric
        self._sign = 1.0 if metric.mode == "max" else -1.0
        self._steps = rung_steps(rule)
        self._tracks: dict[int, _Track] = defaultdict(_Track)
        self._pools: dict[_Place, _Pool] = defaultdict(_Pool)

    def steps_for(self, task: TrialTask) -> tuple[int, ...]:
        """Every rung, for the trials of the search; none for a restarted winner."""
        return self._steps if task.origin is not Origin.RESTART else ()

    def _open(self, unit: Unit) -> Sequence[int]:
        return self._steps[bisect_right(self._steps, max(unit.counted, default=0)) :]

    def _measure(self, unit: Unit, index: int, step: int, value: float) -> None:
        track = self._tracks[index]
        before = track.steps[-1] if track.steps else 0
        if step <= before:
            return
        track.add(step, value, self._metric)
        first, last = bisect_right(self._steps, before), bisect_right(self._steps, step)
        for rung in self._steps[first:last]:
            self._put_mark(unit, rung, index, track.mark())

    def _last(self, index: int, outcome: Outcome, value: float | None) -> Mark:
        return Mark(None) if outcome == "diverged" else self._tracks[index].mark()

    def leave(
        self, task: TrialTask, *, outcome: Outcome, value: float | None
    ) -> Sequence[Decision]:
        """See `GatheringRule`; where it had been counted before it got there, it counts on.

        One that failed or was cancelled does not, where it had gone back behind the rung.
        """
        decisions = super().leave(task, outcome=outcome, value=value)
        unit = self._unit_of.get(task.index)
        if unit is not None and outcome != "dropped":
            for rung, counted in unit.counted.items():
                if task.index in counted and task.index not in unit.marks.get(rung, {}):
                    self._put_mark(unit, rung, task.index, unit.left[task.index][1])
            self._tracks.pop(task.index, None)
        return decisions

    def _forget(self, unit: Unit, index: int, step: int) -> None:
        self._tracks[index].cut(step)
        for rung, marks in unit.marks.items():
            if index in marks and marks[index].step > step:
                del marks[index]
                if rung in unit.counted:
                    self._repool(unit, rung)

    def _put_mark(self, unit: Unit, rung: int, index: int, mark: Mark) -> None:
        unit.marks.setdefault(rung, {})[index] = mark
        if rung in unit.counted:
            self._repool(unit, rung)

    def _repool(self, unit: Unit, rung: int) -> None:
        """Bring the pool at a rung in step with the marks of a unit that was compared there."""
        marks = unit.marks.get(rung, {})
        found = [marks[index].average for index in unit.counted[rung] if index in marks]
        score = None
        if found:
            average = mean(found)
            score = float("-inf") if average is None else self._sign * average
        self._pools[unit.task.group, rung].put(unit.task.index, score)

    def _compare(self, unit: Unit, rung: int, counted: Mapping[int, Mark]) -> Sequence[Decision]:
        pool = self._pools[unit.task.group, rung]
        peers, value = len(pool), mean([mark.value for mark in counted.values()])
        judged = peers >= self._rule.min_peers
        limit = pool.median if judged else float("-inf")
        keep = not judged or (value is not None and self._sign * value >= limit)
        for index, mark in counted.items():
            unit.marks[rung][index] = mark
        self._repool(unit, rung)
        cutoff = self._sign * limit if limit not in (float("-inf"), float("inf")) else None
        return (
            Decision(
                trial=unit.task.index,
                group=unit.task.group,
                step=rung,
                value=value,
                peers=peers,
                cutoff=cutoff,
                keep=keep,
            ),
        )
