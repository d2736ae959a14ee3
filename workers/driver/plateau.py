"""Plateaus: trials whose metric no longer becomes better.

A process holds a trial where it sees a plateau; the driver, which hears of every report,
decides. Both count alike, with a `Watch`. What it has counted is a function of the trial's
reports, so a driver's successor counts on from those that SQL holds, and a trial that
goes on from a saved state counts on from what it had reported by then.
"""

from array import array
from bisect import bisect_right
from collections import defaultdict

from pydantic import BaseModel, ConfigDict

from sweep.metric import Metric
from sweep.stopping import Plateau


class PlateauPlan(BaseModel):
    """What a process needs to see a trial's plateau: the rule, and what was counted so far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Plateau
    metric: Metric
    best: float | None = None
    poor: int = 0


class Watch:
    """Counts a trial's reports since the last one that was better."""

    def __init__(self, plan: PlateauPlan) -> None:
        self._rule = plan.rule
        self._metric = plan.metric
        self.best = plan.best
        self.poor = plan.poor

    @property
    def metric_name(self) -> str:
        """What it watches."""
        return self._metric.name

    def take(self, step: int, value: float) -> bool:
        """Count a report; whether the trial is on a plateau with it."""
        if self.best is None or self._is_better(value, self.best):
            self.best, self.poor = value, 0
        elif step > self._rule.grace_period:
            self.poor += 1
        return self.at_plateau

    @property
    def at_plateau(self) -> bool:
        """Whether the last report ended the trial."""
        return self.poor >= self._rule.patience

    def _is_better(self, value: float, than: float) -> bool:
        return self._metric.is_better(value, than) and abs(value - than) >= self._rule.min_delta


class Plateaus:
    """What each trial of a sweep has reported, as far as that decides its plateau.

    Args:
        rule: the spec's; None: no trial has one.
        metric: what is watched.
    """

    def __init__(self, rule: Plateau | None, metric: Metric) -> None:
        self._rule = rule
        self._metric = metric
        self._steps: dict[int, array[int]] = defaultdict(lambda: array("q"))
        self._values: dict[int, array[float]] = defaultdict(lambda: array("d"))
        self._watches: dict[int, Watch] = {}

    @property
    def watches(self) -> bool:
        """Whether the sweep has such a rule."""
        return self._rule is not None

    def take(self, trial: int, step: int, value: float | None) -> bool:
        """Count a report; whether the trial has reached a plateau."""
        if self._rule is None or value is None:
            return False
        if trial not in self._watches:
            self._watches[trial] = Watch(PlateauPlan(rule=self._rule, metric=self._metric))
        self._steps[trial].append(step)
        self._values[trial].append(value)
        return self._watches[trial].take(step, value)

    def reached(self, trial: int) -> bool:
        """Whether the trial is on a plateau with what it has reported."""
        watch = self._watches.get(trial)
        return watch is not None and watch.at_plateau

    def rewind(self, trial: int, step: int) -> None:
        """The trial goes on after `step`: what it reported past it is gone."""
        if trial not in self._watches or self._rule is None:
            return
        kept = bisect_right(self._steps[trial], step)
        if kept == len(self._steps[trial]):
            return
        del self._steps[trial][kept:], self._values[trial][kept:]
        self._watches[trial] = self._counted(trial, kept)

    def plan(self, trial: int, step: int) -> PlateauPlan | None:
        """What a process needs that goes on with the trial after `step`."""
        if self._rule is None:
            return None
        steps = self._steps.get(trial)
        watch = self._counted(trial, 0 if steps is None else bisect_right(steps, step))
        return PlateauPlan(rule=self._rule, metric=self._metric, best=watch.best, poor=watch.poor)

    def forget(self, trial: int) -> None:
        """The trial ended."""
        for kept in (self._steps, self._values, self._watches):
            kept.pop(trial, None)

    def _counted(self, trial: int, reports: int) -> Watch:
        """The count after the first so many of its reports."""
        assert self._rule is not None, "the sweep has such a rule"
        watch = Watch(PlateauPlan(rule=self._rule, metric=self._metric))
        if reports:
            steps, values = self._steps[trial][:reports], self._values[trial][:reports]
            for step, value in zip(steps, values, strict=True):
                watch.take(step, value)
        return watch
