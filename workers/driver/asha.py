"""Asynchronous successive halving (Li et al., 2020, arXiv:1810.05934) inside groups.

With one group and `min_peers` 1 the decisions are those of Ray Tune's
ASHAScheduler with one bracket: a trial at a rung is compared with the quantile of
the values recorded there before it, and stopped when it is strictly worse.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sweep.records import Origin
from sweep.rungs import rung_steps
from sweep.spec import Asha, Metric
from sweep.wire import RungEntry, TrialTask
from workers.driver.stopping import Decision, Outcome

Rung = dict[int, float | None]
"""The value that each trial was recorded with; None when it was not finite."""


class GroupedAshaRule:
    """One set of rungs for each group; groups never meet."""

    waits = False

    def __init__(self, rule: Asha, metric: Metric) -> None:
        self._rule = rule
        self._steps = rung_steps(rule)
        self._sign = 1.0 if metric.mode == "max" else -1.0
        self._rungs: dict[str, dict[int, Rung]] = defaultdict(
            lambda: {step: {} for step in reversed(self._steps)}
        )

    def steps_for(self, task: TrialTask) -> tuple[int, ...]:
        """Every rung, for the trials of the search; none for a restarted winner."""
        return self._steps if task.origin is not Origin.RESTART else ()

    def enter(self, task: TrialTask) -> None:
        """Nothing: nobody is kept waiting for it."""

    def observe(self, task: TrialTask, *, step: int, value: float | None) -> Sequence[Decision]:
        """Record the value at the highest rung reached that lacks this trial, and decide."""
        for rung_step, recorded in self._rungs[task.group].items():
            if step < rung_step or task.index in recorded:
                continue
            peers = len(recorded)
            judged = peers >= self._rule.min_peers
            limit = self._limit(recorded) if judged else None
            recorded[task.index] = value
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

    def leave(
        self, task: TrialTask, *, outcome: Outcome, value: float | None
    ) -> Sequence[Decision]:
        """A trial that leaves decides nothing here: others are never kept waiting."""
        return ()

    def waiting_at(self, task: TrialTask) -> int | None:
        """None: every arrival is decided at once."""
        return None

    def recall(self, entries: Iterable[RungEntry]) -> None:
        """Put recorded values back at their rungs."""
        for entry in entries:
            rung = self._rungs[entry.group].get(entry.step)
            if rung is not None:
                rung[entry.trial] = entry.value

    def _limit(self, recorded: Rung) -> float | None:
        """The value that a trial must not be worse than; None when that is no number."""
        scores = [-math.inf if v is None else self._sign * v for v in recorded.values()]
        cutoff = percentile(scores, (1 - 1 / self._rule.reduction_factor) * 100)
        return self._sign * cutoff if math.isfinite(cutoff) else None

    def _is_below(self, value: float | None, limit: float | None) -> bool:
        if value is None:
            return True
        return limit is not None and self._sign * value < self._sign * limit


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile by linear interpolation, as NumPy's default; -inf counts as a value.

    Args:
        values: at least one; none may be NaN.
        percent: in [0, 100].
    """
    ordered = sorted(values)
    position = (len(ordered) - 1) * (percent / 100)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    share = position - low
    a, b = ordered[low], ordered[high]
    if share == 0 or a == b:
        return a
    if math.isinf(a):
        return a
    return a + (b - a) * share if share < 0.5 else b - (b - a) * (1 - share)
