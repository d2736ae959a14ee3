"""Replicates as one unit: an assignment is compared by the mean over its replicates.

A *unit* is the replicates of one assignment. At a rung it is compared once every
replicate that still trains has a value there. Of those that ended before the rung, failed
and cancelled ones are left out, a diverged one makes the unit worst, and others count
with their last value. What is decided holds for all of the unit.

What is gathered is a function of what SQL holds: the decisions (a row for each replicate
that was counted, stored together) and the reports. So a driver's successor gathers on.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sweep.records import Origin
from sweep.wire import RungEntry, TrialTask
from workers.driver.stopping import Decision, Outcome, StoppingRule, mean


@dataclass(frozen=True)
class Mark:
    """What counts of a trial at a rung; None: not finite, or never reported."""

    value: float | None
    average: float | None = None
    """The mean of its reports so far, for rules that compare it."""
    step: int = 0
    """That of the report that it comes from."""


@dataclass
class Unit:
    """The replicates of one assignment, or a trial that is compared alone."""

    task: TrialTask
    """Stands for the unit; its index is the unit's."""
    members: set[int] = field(default_factory=set)
    left: dict[int, tuple[Outcome, Mark]] = field(default_factory=dict)
    marks: dict[int, dict[int, Mark]] = field(default_factory=dict)
    """By rung, then by trial."""
    counted: dict[int, dict[int, Mark]] = field(default_factory=dict)
    """By rung at which the unit was compared: the trials that counted."""
    stopped_at: int | None = None

    @property
    def live(self) -> set[int]:
        """The trials that have not ended."""
        return self.members - self.left.keys()

    def ready(self, rung: int) -> dict[int, Mark] | None:
        """Who counts at a rung; None while that cannot be told, or when nobody got there."""
        marks = self.marks.get(rung)
        if not marks or self.live - marks.keys():
            return None
        found = {}
        for index in sorted(self.members):
            if index in marks:
                found[index] = marks[index]
            elif self.left[index][0] != "dropped":
                found[index] = self.left[index][1]
        return found

    def outcome(self) -> tuple[Outcome, float | None]:
        """How the unit ended, once all of it has."""
        ends = [end for _, end in sorted(self.left.items()) if end[0] != "dropped"]
        outcomes = {outcome for outcome, _ in ends}
        value = mean([mark.value for _, mark in ends])
        for first in ("diverged", "stopped", "completed", "target"):
            if first in outcomes:
                return first, value
        return "dropped", None


class GatheringRule(StoppingRule):
    """Gathers units at rungs; what is compared there, a subclass says."""

    remembers = True

    def __init__(self, tasks: Iterable[TrialTask], *, replicated: bool) -> None:
        self._replicated = replicated
        self._units: dict[int, Unit] = {}
        self._unit_of: dict[int, Unit] = {}
        self._unsettled: set[int] = set()
        for task in sorted(tasks, key=lambda task: task.index):
            self._admit(task)

    # What a subclass says

    @abstractmethod
    def _open(self, unit: Unit) -> Sequence[int]:
        """The rungs at which the unit may still be compared, ascending."""

    @abstractmethod
    def _compare(self, unit: Unit, rung: int, counted: Mapping[int, Mark]) -> Sequence[Decision]:
        """Compare a unit; what that decides, `Decision.trial` naming units."""

    def _measure(self, unit: Unit, index: int, step: int, value: float) -> None:
        """Note a report at the rungs that it reaches."""
        for rung in self._open(unit):
            if rung <= step:
                unit.marks.setdefault(rung, {}).setdefault(index, Mark(value, step=step))

    def _last(self, index: int, outcome: Outcome, value: float | None) -> Mark:
        """What counts, at rungs that it did not reach, of a trial that ended."""
        return Mark(None if outcome == "diverged" else value)

    def _entered(self, unit: Unit) -> None:
        """A trial of the unit was added, or is tried again."""

    def _ended(self, unit: Unit) -> Sequence[Decision]:
        """All of the unit have ended; what that decides, `Decision.trial` naming units."""
        return ()

    def _recalled(self, entries: Sequence[tuple[Unit, RungEntry]]) -> None:
        """Take over decisions about units made before, in order."""

    def _forget(self, unit: Unit, index: int, step: int) -> None:
        """A trial goes back to `step`: its marks past it go, where nothing was decided."""
        for rung, marks in unit.marks.items():
            if rung not in unit.counted and index in marks and marks[index].step > step:
                del marks[index]

    # See StoppingRule

    def enter(self, task: TrialTask) -> None:
        """A trial joins its unit; of a unit that was stopped it is stopped when settled."""
        unit = self._admit(task)
        if unit is not None:
            unit.left.pop(task.index, None)
            self._unsettled.add(unit.task.index)
            self._entered(unit)

    def observe(self, task: TrialTask, *, step: int, value: float | None) -> Sequence[Decision]:
        """Note a replicate's value, and compare its unit where that was the last one."""
        unit = self._unit_of.get(task.index)
        if unit is None or unit.stopped_at is not None or value is None:
            return ()
        self._measure(unit, task.index, step, value)
        return self._advance(unit)

    def remember(self, task: TrialTask, *, step: int, value: float) -> None:
        """Note a replicate's value; `settle` compares."""
        unit = self._unit_of.get(task.index)
        if unit is not None:
            self._measure(unit, task.index, step, value)
            self._unsettled.add(unit.task.index)

    def rewind(self, task: TrialTask, step: int) -> None:
        """Forget what a replicate reported past `step`, where it was not compared yet."""
        unit = self._unit_of.get(task.index)
        if unit is not None:
            self._forget(unit, task.index, step)

    def leave(
        self, task: TrialTask, *, outcome: Outcome, value: float | None
    ) -> Sequence[Decision]:
        """A replicate ended; its unit may have waited for it."""
        unit = self._unit_of.get(task.index)
        if unit is None or task.index in unit.left:
            return ()
        unit.left[task.index] = (outcome, self._last(task.index, outcome, value))
        decisions = [*self._advance(unit)]
        if not unit.live:
            decisions += self._expand(self._ended(unit))
        return decisions

    def settle(self) -> Sequence[Decision]:
        """Compare what is complete, and stop what was tried again of units that were stopped."""
        decisions: list[Decision] = []
        told: set[int] = set()
        unsettled, self._unsettled = sorted(self._unsettled), set()
        for key in unsettled:
            unit = self._units[key]
            fresh = [*self._advance(unit)]
            told.update(decision.trial for decision in fresh)
            if unit.stopped_at is not None:
                fresh += self._stops(unit, sorted(unit.live - told))
            decisions += fresh
        return decisions

    def recall(self, entries: Iterable[RungEntry]) -> None:
        """Take over who was counted at each rung, and what was decided."""
        found: dict[tuple[int, int], RungEntry] = {}
        for entry in entries:
            unit = self._unit_of.get(entry.trial)
            if unit is not None:
                unit.counted.setdefault(entry.step, {})[entry.trial] = Mark(entry.value)
                found.setdefault((unit.task.index, entry.step), entry)
                if entry.decision == "stop":
                    unit.stopped_at = entry.step
                self._unsettled.add(unit.task.index)
        self._recalled([(self._units[key], entry) for (key, _), entry in found.items()])

    # Inside

    def _key(self, task: TrialTask) -> int:
        return task.assignment if self._replicated else task.index

    def _admit(self, task: TrialTask) -> Unit | None:
        if task.origin is Origin.RESTART:
            return None
        key = self._key(task)
        if key not in self._units:
            self._units[key] = Unit(task.model_copy(update={"index": key}))
        unit = self._unit_of[task.index] = self._units[key]
        unit.members.add(task.index)
        return unit

    def _advance(self, unit: Unit) -> Sequence[Decision]:
        """Compare the unit at each rung at which that can be done now."""
        decisions: list[Decision] = []
        for rung in self._open(unit):
            counted = unit.ready(rung) if unit.stopped_at is None else None
            if counted is None:
                break
            unit.counted[rung] = counted
            decisions += self._expand(self._compare(unit, rung, counted))
        return decisions

    def _expand(self, decisions: Iterable[Decision]) -> Iterator[Decision]:
        """Decisions about units, as decisions about their replicates."""
        for decision in decisions:
            unit = self._units[decision.trial]
            counted = unit.counted[decision.step]
            for index, mark in counted.items():
                yield replace(decision, trial=index, value=mark.value)
            if not decision.keep:
                unit.stopped_at = decision.step
                yield from self._stops(unit, sorted(unit.live - counted.keys()))

    def _stops(self, unit: Unit, indexes: Iterable[int]) -> Iterator[Decision]:
        """Stops for replicates that were tried again after the unit had been compared."""
        assert unit.stopped_at is not None, "the unit was stopped"
        value = mean([mark.value for mark in unit.counted[unit.stopped_at].values()])
        for index in indexes:
            yield Decision(
                trial=index,
                group=unit.task.group,
                step=unit.stopped_at,
                value=value,
                peers=0,
                cutoff=None,
                keep=False,
            )


class ReplicatedRule(GatheringRule):
    """Any rule that compares single values, over units.

    Args:
        make: makes the rule over the tasks that stand for units.
        tasks: the trials.
    """

    def __init__(
        self, make: Callable[[Sequence[TrialTask]], StoppingRule], tasks: Iterable[TrialTask]
    ) -> None:
        super().__init__(tasks, replicated=True)
        self._inner = make([unit.task for unit in self._units.values()])
        self.waits = self._inner.waits

    def steps_for(self, task: TrialTask) -> tuple[int, ...]:
        """The unit's rungs; none for a restarted winner."""
        unit = self._unit_of.get(task.index)
        return () if unit is None else self._inner.steps_for(unit.task)

    def waiting_at(self, task: TrialTask) -> int | None:
        """The rung at which it waits for its unit, or its unit for others."""
        unit = self._unit_of.get(task.index)
        if unit is None or not self.waits or unit.stopped_at is not None:
            return None
        for rung in self._inner.open_steps(unit.task):
            if task.index in unit.marks.get(rung, {}) and (
                rung not in unit.counted or self._inner.waiting_at(unit.task) == rung
            ):
                return rung
        return None

    def _open(self, unit: Unit) -> Sequence[int]:
        return [s for s in self._inner.open_steps(unit.task) if s not in unit.counted]

    def _compare(self, unit: Unit, rung: int, counted: Mapping[int, Mark]) -> Sequence[Decision]:
        value = mean([mark.value for mark in counted.values()])
        return self._inner.observe(unit.task, step=rung, value=value)

    def _entered(self, unit: Unit) -> None:
        if unit.stopped_at is None:
            self._inner.enter(unit.task)

    def _ended(self, unit: Unit) -> Sequence[Decision]:
        outcome, value = unit.outcome()
        return self._inner.leave(unit.task, outcome=outcome, value=value)

    def _recalled(self, entries: Sequence[tuple[Unit, RungEntry]]) -> None:
        self._inner.recall(
            entry.model_copy(
                update={
                    "trial": unit.task.index,
                    "value": mean([m.value for m in unit.counted[entry.step].values()]),
                }
            )
            for unit, entry in entries
        )
