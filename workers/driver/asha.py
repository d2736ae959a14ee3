"""Asynchronous successive halving (Li et al., 2020, arXiv:1810.05934) inside groups.

With one group and `min_peers` 1 the decisions are those of Ray Tune's
ASHAScheduler with one bracket: a trial at a rung is compared with the quantile of
the values recorded there before it, and stopped when it is strictly worse.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sweep.metric import Metric
from sweep.records import Origin
from sweep.rungs import rung_steps
from sweep.stopping import Asha
from sweep.wire import RungEntry, TrialTask
from workers.driver.quantile import RunningQuantile
from workers.driver.stopping import Decision, StoppingRule


class _Rung:
    """The trials recorded at a rung, and the quantile of their scores."""

    def __init__(self, share: float) -> None:
        self.trials: set[int] = set()
        self._scores = RunningQuantile(share)

    def record(self, trial: int, score: float) -> None:
        if trial not in self.trials:
            self.trials.add(trial)
            self._scores.add(score)

    @property
    def limit(self) -> float:
        return self._scores.value


class GroupedAshaRule(StoppingRule):
    """One set of rungs for each group; groups never meet."""

    waits = False

    def __init__(self, rule: Asha, metric: Metric, *, steps: tuple[int, ...] | None = None) -> None:
        """`steps`: the rungs, where they are not the rule's own."""
        self._rule = rule
        self._steps = rung_steps(rule) if steps is None else steps
        self._sign = 1.0 if metric.mode == "max" else -1.0
        # as Ray writes it, so that a cutoff is the same to the last bit
        share = (1 - 1 / rule.reduction_factor) * 100 / 100
        self._rungs: dict[str, dict[int, _Rung]] = defaultdict(
            lambda: {step: _Rung(share) for step in reversed(self._steps)}
        )

    def steps_for(self, task: TrialTask) -> tuple[int, ...]:
        """Every rung, for the trials of the search; none for a restarted winner."""
        return self._steps if task.origin is not Origin.RESTART else ()

    def observe(self, task: TrialTask, *, step: int, value: float | None) -> Sequence[Decision]:
        """Record the value at the highest rung reached that lacks this trial, and decide."""
        for rung_step, rung in self._rungs[task.group].items():
            if step < rung_step or task.index in rung.trials:
                continue
            peers = len(rung.trials)
            judged = peers >= self._rule.min_peers
            limit = self._limit(rung) if judged else None
            rung.record(task.index, self._score(value))
            return (
                Decision(
                    trial=task.index,
                    group=task.group,
                    step=rung_step,
                    value=value,
                    peers=peers,
                    cutoff=limit,
                    keep=not (judged and self._is_below(value, limit)),
                ),
            )
        return ()

    def recall(self, entries: Iterable[RungEntry]) -> None:
        """Put recorded values back at their rungs."""
        for entry in entries:
            rung = self._rungs[entry.group].get(entry.step)
            if rung is not None:
                rung.record(entry.trial, self._score(entry.value))

    def _score(self, value: float | None) -> float:
        return -math.inf if value is None else self._sign * value

    def _limit(self, rung: _Rung) -> float | None:
        """The value that a trial must not be worse than; None when that is no number."""
        cutoff = rung.limit
        return self._sign * cutoff if math.isfinite(cutoff) else None

    def _is_below(self, value: float | None, limit: float | None) -> bool:
        if value is None:
            return True
        return limit is not None and self._sign * value < self._sign * limit
