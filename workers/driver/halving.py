"""Exact successive halving (Jamieson and Talwalkar, 2016) inside groups.

A trial at a rung waits until every trial of its group has got there or ended. Then
the best 1/reduction_factor of those that were compared go on and the others stop.
A trial that ended at its target ranks first; one that diverged ranks last; one that
failed or was cancelled is not counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sweep.metric import Metric
from sweep.records import Origin
from sweep.rungs import rung_steps, survivors
from sweep.stopping import Halving
from sweep.wire import RungEntry, TrialTask
from workers.driver.stopping import Decision, Outcome, StoppingRule, badness, mean


@dataclass
class _Group:
    members: set[int]
    rung: int = 0
    """The position of the rung that the group is gathering at."""
    arrived: dict[int, float | None] = field(default_factory=dict)
    left: dict[int, tuple[Outcome, float | None]] = field(default_factory=dict)


class HalvingRule(StoppingRule):
    """Gathers each group at its rungs and decides for all of it at once."""

    waits = True

    def __init__(self, rule: Halving, metric: Metric, tasks: Iterable[TrialTask]) -> None:
        self._rule = rule
        self._metric = metric
        self._steps = rung_steps(rule)
        self._groups: dict[str, _Group] = defaultdict(lambda: _Group(members=set()))
        for task in tasks:
            if task.origin is not Origin.RESTART:
                self._groups[task.group].members.add(task.index)

    def steps_for(self, task: TrialTask) -> tuple[int, ...]:
        """Every rung, for the trials of the search; none for a restarted winner."""
        return self._steps if task.origin is not Origin.RESTART else ()

    def open_steps(self, task: TrialTask) -> tuple[int, ...]:
        """The rung that its group is gathering at."""
        if task.origin is Origin.RESTART:
            return ()
        rung = self._groups[task.group].rung
        return self._steps[rung : rung + 1]

    def enter(self, task: TrialTask) -> None:
        """Count it in its group; at rungs that the group has passed it is not compared."""
        if task.origin is not Origin.RESTART:
            group = self._groups[task.group]
            group.members.add(task.index)
            group.left.pop(task.index, None)

    def observe(self, task: TrialTask, *, step: int, value: float | None) -> Sequence[Decision]:
        """Note a trial's arrival; decides once the group is complete."""
        group = self._groups[task.group]
        if task.index not in group.members or group.rung >= len(self._steps):
            return ()
        if step < self._steps[group.rung] or task.index in group.arrived:
            return ()
        group.arrived[task.index] = value
        return self._decide(task.group, group)

    def leave(
        self, task: TrialTask, *, outcome: Outcome, value: float | None
    ) -> Sequence[Decision]:
        """Note that a trial ended; decides when the group was waiting for it alone."""
        group = self._groups[task.group]
        if task.index not in group.members or task.index in group.left:
            return ()
        group.left[task.index] = (outcome, value)
        if group.rung >= len(self._steps):
            return ()
        return self._decide(task.group, group)

    def waiting_at(self, task: TrialTask) -> int | None:
        """The rung that its group is gathering at, once the trial has arrived there."""
        group = self._groups[task.group]
        return self._steps[group.rung] if task.index in group.arrived else None

    def recall(self, entries: Iterable[RungEntry]) -> None:
        """Take the decided rungs as decided, however far each group had come."""
        for entry in entries:
            group = self._groups[entry.group]
            if entry.step in self._steps:
                group.rung = max(group.rung, self._steps.index(entry.step) + 1)
            if entry.decision == "stop":
                group.left[entry.trial] = ("stopped", entry.value)

    def _decide(self, key: str, group: _Group) -> Sequence[Decision]:
        stopped = {i for i, (outcome, _) in group.left.items() if outcome == "stopped"}
        cohort = group.members - stopped
        if cohort - group.arrived.keys() - group.left.keys():
            return ()
        dropped = {i for i, (outcome, _) in group.left.items() if outcome == "dropped"}
        ranked = sorted(cohort - dropped, key=lambda i: (self._rank(group, i), i))
        kept = ranked[: survivors(self._rule, len(ranked))] if ranked else []
        waiting = sorted(i for i in ranked if i not in group.left)
        if not waiting:
            group.arrived.clear()
            return ()
        cutoff = self._value(group, kept[-1])
        decisions = [
            Decision(
                trial=i,
                group=key,
                step=self._steps[group.rung],
                value=group.arrived[i],
                peers=len(ranked) - 1,
                cutoff=cutoff,
                keep=i in kept,
            )
            for i in waiting
        ]
        for decision in decisions:
            if not decision.keep:
                group.left[decision.trial] = ("stopped", decision.value)
        group.rung += 1
        group.arrived.clear()
        return decisions

    def _value(self, group: _Group, trial: int) -> float | None:
        return group.left[trial][1] if trial in group.left else group.arrived[trial]

    def _rank(self, group: _Group, trial: int) -> float:
        outcome = group.left[trial][0] if trial in group.left else None
        if outcome == "target":
            return float("-inf")
        if outcome == "diverged":
            return float("inf")
        return badness(self._value(group, trial), self._metric)


def winners(
    tasks: Iterable[TrialTask],
    ends: Mapping[int, tuple[Outcome, float | None]],
    metric: Metric,
    *,
    replicated: bool,
) -> tuple[int, ...]:
    """The trials of a group that are worth a longer training; empty when there are none.

    The best by last value among those that ended with one, unless it has reached the
    sweep's target already. With replicates the best assignment, by the mean over those of
    its replicates, where none diverged; of it the replicates that are not at the target.
    """
    units: dict[int, list[int]] = {}
    for task in tasks:
        if task.index in ends and ends[task.index][0] != "dropped":
            unit = task.assignment if replicated else task.index
            units.setdefault(unit, []).append(task.index)
    ranked = []
    for unit, members in units.items():
        values = [ends[i][1] for i in members if ends[i][0] != "diverged"]
        value = mean(values) if len(values) == len(members) else None
        if value is not None:
            ranked.append((badness(value, metric), unit))
    if not ranked:
        return ()
    return tuple(i for i in units[min(ranked)[1]] if ends[i][0] != "target")
