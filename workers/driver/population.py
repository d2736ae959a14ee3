"""Population based training (Jaderberg et al., 2017, arXiv:1711.09846) inside groups.

The decisions are those of Ray Tune's PopulationBasedTraining in its default, asynchronous
mode: a trial at an interval is ranked among the last values of its group's trials that are
still in training, and nobody waits for anybody.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sweep.records import Origin
from sweep.rungs import rung_steps
from sweep.space import unit
from sweep.spec import SweepSpec
from sweep.states import TrialState
from sweep.stopping import Pbt
from sweep.wire import EXPLOITED, RungEntry, TrialTask
from workers.driver.exploring import Explorer
from workers.driver.stopping import Decision, Outcome, StoppingRule, badness


@dataclass(frozen=True)
class Turn:
    """What becomes of a trial at one interval."""

    decision: Decision
    donor: int | None = None
    """Whose saved state it goes on from; None: its own."""
    donor_value: float | None = None


class PopulationRule(StoppingRule):
    """Ranks the trials of each group; groups never meet."""

    waits = False

    def __init__(self, rule: Pbt, spec: SweepSpec) -> None:
        self._rule = rule
        self._metric = spec.rung_metric
        self._seed = spec.search.seed
        self._steps = rung_steps(rule)
        self._explorer = Explorer(rule, spec)
        self._values: dict[str, dict[int, float | None]] = defaultdict(dict)
        """The last value of each trial at an interval, by group."""
        self._judged: dict[int, int] = {}
        """The last step at which each trial had its turn."""
        self._arrived: dict[int, tuple[int, float | None]] = {}
        self._judged_values: dict[int, float | None] = {}
        """What it had then."""
        self._gone: set[int] = set()

    def steps_for(self, task: TrialTask) -> tuple[int, ...]:
        """Every interval."""
        return self._steps if task.origin is not Origin.RESTART else ()

    def enter(self, task: TrialTask) -> None:
        """Count it among its group again."""
        self._gone.discard(task.index)

    def observe(self, task: TrialTask, *, step: int, value: float | None) -> Sequence[Decision]:
        """Note a trial's arrival at an interval; its turn comes once its state is saved."""
        at = step - step % self._rule.interval
        if at > self._judged.get(task.index, 0):
            self._arrived[task.index] = (at, value)
            self._values[task.group][task.index] = value  # others of its pack are there too
        return ()

    def rewind(self, task: TrialTask, step: int) -> None:
        """Take back an arrival past `step`: the attempt that came there was lost."""
        index, values = task.index, self._values[task.group]
        if index not in self._arrived or self._arrived[index][0] <= step:
            return
        del self._arrived[index], values[index]
        if index in self._judged_values:
            values[index] = self._judged_values[index]

    def leave(
        self, task: TrialTask, *, outcome: Outcome, value: float | None
    ) -> Sequence[Decision]:
        """A trial that ended is compared with no more; that decides nothing for others."""
        self._gone.add(task.index)
        self._arrived.pop(task.index, None)
        return ()

    def waiting_at(self, task: TrialTask) -> int | None:
        """None: nobody waits for others."""
        return None

    def recall(self, entries: Iterable[RungEntry]) -> None:
        """Take the values at intervals as they were told, in order."""
        for entry in entries:
            self._values[entry.group][entry.trial] = entry.value
            self._judged_values[entry.trial] = entry.value
            self._judged[entry.trial] = max(entry.step, self._judged.get(entry.trial, 0))

    def has_arrived(self, task: TrialTask) -> bool:
        """Whether a trial is at an interval at which it had no turn yet."""
        return task.index in self._arrived

    def turn(self, task: TrialTask, tasks: Mapping[int, TrialTask]) -> Turn:
        """Rank a trial that has arrived, and say from where it goes on.

        Args:
            task: the trial.
            tasks: every trial, with where its last saved state lies.
        """
        step, value = self._arrived.pop(task.index)
        self._judged[task.index], self._judged_values[task.index] = step, value
        values = self._values[task.group]
        living = {i: v for i, v in values.items() if i not in self._gone}
        worst, best = self._quantiles(living)
        donors = [i for i in best if i != task.index and _has_own_state(tasks[i])]
        chosen = None
        if task.index in worst and donors:
            chosen = donors[int(unit(self._seed, "donor", task.index, step) * len(donors))]
        decision = Decision(
            trial=task.index,
            group=task.group,
            step=step,
            value=value,
            peers=len(living) - 1,
            cutoff=living[worst[-1]] if worst else None,
            keep=True,
        )
        return Turn(decision, chosen, None if chosen is None else living[chosen])

    def explore(self, donor: TrialTask, *, trial: int, step: int) -> dict[str, object]:
        """The parameters with which a trial goes on from a donor's state."""
        return self._explorer.explore(donor.parameters, trial=trial, step=step)

    def _quantiles(self, values: Mapping[int, float | None]) -> tuple[list[int], list[int]]:
        """The worst and the best trials, each from the worst on."""
        ranked = sorted(values, key=lambda i: (-badness(values[i], self._metric), -i))
        if len(ranked) < 2:
            return [], []
        count = math.ceil(len(ranked) * self._rule.quantile)
        if count > len(ranked) / 2:
            count = len(ranked) // 2
        return ranked[:count], ranked[-count:]


def _has_own_state(task: TrialTask) -> bool:
    """Whether a trial's saved state is one that it trained itself, or has taken over since."""
    waits = task.state is TrialState.PENDING and task.reason == EXPLOITED
    return task.checkpoint is not None and not waits
