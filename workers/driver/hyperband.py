"""HyperBand (Li et al., 2018, JMLR 18) inside groups, its brackets halved asynchronously.

A trial's bracket follows from its place among the trials of its group, in the order of
their indexes, so a driver's successor assigns alike. In each bracket successive halving
is asynchronous (Li et al., 2020, arXiv:1810.05934): nobody waits.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from sweep.metric import Metric
from sweep.records import Origin
from sweep.rungs import bracket_steps, brackets_in_turn, num_brackets
from sweep.stopping import Asha, Hyperband
from sweep.wire import RungEntry, TrialTask
from workers.driver.asha import GroupedAshaRule
from workers.driver.stopping import Decision, StoppingRule


class HyperbandRule(StoppingRule):
    """A grouped ASHA for each bracket; brackets never meet."""

    waits = False

    def __init__(self, rule: Hyperband, metric: Metric, tasks: Iterable[TrialTask]) -> None:
        halving = Asha(
            max_t=rule.max_t, reduction_factor=rule.reduction_factor, min_peers=rule.min_peers
        )
        self._brackets = tuple(
            GroupedAshaRule(halving, metric, steps=bracket_steps(rule, bracket))
            for bracket in range(num_brackets(rule))
        )
        self._bracket: dict[int, int] = {}
        self._next: dict[str, Iterator[int]] = defaultdict(lambda: brackets_in_turn(rule))
        for task in tasks:  # as they come: a unit's index is no place in the order of trials
            self.enter(task)

    def enter(self, task: TrialTask) -> None:
        """Give a trial that is new its bracket."""
        if task.origin is not Origin.RESTART and task.index not in self._bracket:
            self._bracket[task.index] = next(self._next[task.group])

    def steps_for(self, task: TrialTask) -> tuple[int, ...]:
        """The rungs of its bracket."""
        found = self._of(task.index)
        return () if found is None else found.steps_for(task)

    def observe(self, task: TrialTask, *, step: int, value: float | None) -> Sequence[Decision]:
        """See `GroupedAshaRule`."""
        found = self._of(task.index)
        return () if found is None else found.observe(task, step=step, value=value)

    def recall(self, entries: Iterable[RungEntry]) -> None:
        """Put recorded values back at the rungs of their brackets."""
        for entry in entries:
            found = self._of(entry.trial)
            if found is not None:
                found.recall((entry,))

    def _of(self, index: int) -> GroupedAshaRule | None:
        bracket = self._bracket.get(index)
        return None if bracket is None else self._brackets[bracket]
