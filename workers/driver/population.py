"""Population based training (Jaderberg et al., 2017, arXiv:1711.09846) inside groups.

The decisions are those of Ray Tune's PopulationBasedTraining in its default, asynchronous
mode: a trial at an interval is ranked among the last values of its group's trials that are
still in training, and nobody waits for anybody.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sweep.records import Origin
from sweep.rungs import rung_steps
from sweep.space import unit
from sweep.spec import SweepSpec
from sweep.states import TrialState
from sweep.stopping import Pbt
from sweep.wire import EXPLOITED, RungEntry, TrialTask
from workers.driver.exploring import Explorer
from workers.driver.standings import Standings
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
    parks = True

    def __init__(self, rule: Pbt, spec: SweepSpec) -> None:
        self._rule = rule
        self.interval = rule.interval
        self._metric = spec.rung_metric
        self._seed = spec.search.seed
        self._steps = rung_steps(rule)
        self._explorer = Explorer(rule, spec)
        worse = partial(badness, metric=self._metric)
        self._standings: dict[str, Standings] = defaultdict(lambda: Standings(worse))
        """The last value of each trial at an interval, by group."""
        self._judged: dict[int, tuple[int, float | None]] = {}
        """The last step at which each trial had its turn, and its value there."""
        self._arrived: dict[int, tuple[int, float | None]] = {}
        """The step at which its next turn is, and its value there."""

    def steps_for(self, task: TrialTask) -> tuple[int, ...]:
        """Every interval."""
        return self._steps if task.origin is not Origin.RESTART else ()

    def enter(self, task: TrialTask) -> None:
        """Count it among its group again."""
        self._standings[task.group].enter(task.index)

    def observe(self, task: TrialTask, *, step: int, value: float | None) -> Sequence[Decision]:
        """Note a trial's arrival at an interval; its turn comes once its state is saved."""
        at = step - step % self._rule.interval
        judged_at, _ = self._judged.get(task.index, (0, None))
        if at > judged_at:
            self._arrived[task.index] = (at, value)
            # noted before its turn: others of its pack are there too
            self._standings[task.group].note(task.index, value)
        return ()

    def rewind(self, task: TrialTask, step: int) -> None:
        """Take back an arrival past `step`: the attempt that came there was lost."""
        index, standings = task.index, self._standings[task.group]
        if index not in self._arrived or self._arrived[index][0] <= step:
            return
        del self._arrived[index]
        standings.forget(index)
        if index in self._judged:
            standings.note(index, self._judged[index][1])

    def leave(
        self, task: TrialTask, *, outcome: Outcome, value: float | None
    ) -> Sequence[Decision]:
        """A trial that ended is compared with no more; that decides nothing for others."""
        self._standings[task.group].leave(task.index)
        self._arrived.pop(task.index, None)
        return ()

    def waiting_at(self, task: TrialTask) -> int | None:
        """None: nobody waits for others."""
        return None

    def recall(self, entries: Iterable[RungEntry]) -> None:
        """Take the values at intervals as they were told, in order."""
        for entry in entries:
            self._standings[entry.group].note(entry.trial, entry.value)
            self._judged[entry.trial] = (entry.step, entry.value)

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
        self._judged[task.index] = step, value
        standings, quantile = self._standings[task.group], self._rule.quantile
        chosen = None
        if standings.is_among_worst(task.index, quantile):
            donors = [i for i in standings.best(quantile) if _has_own_state(tasks[i])]
            if donors:
                chosen = donors[int(unit(self._seed, "donor", task.index, step) * len(donors))]
        decision = Decision(
            trial=task.index,
            group=task.group,
            step=step,
            value=value,
            peers=len(standings) - 1,
            cutoff=standings.cutoff(quantile),
            keep=True,
        )
        return Turn(decision, chosen, None if chosen is None else standings[chosen])

    def explore(self, donor: TrialTask, *, trial: int, step: int) -> dict[str, object]:
        """The parameters with which a trial goes on from a donor's state."""
        return self._explorer.explore(donor.parameters, trial=trial, step=step)


def _has_own_state(task: TrialTask) -> bool:
    """Whether a trial's saved state is one that it trained itself, or has taken over since."""
    waits = task.state is TrialState.PENDING and task.reason == EXPLOITED
    return task.checkpoint is not None and not waits
