"""Plateaus: trials whose metric no longer becomes better.

A process holds a trial where it sees a plateau; the driver, which hears of every report,
decides. Both count alike, with a `Watch`. What it has counted is a function of the trial's
reports, so a driver's successor counts on from those that SQL holds, and a trial that
goes on from a saved state counts on from what it had reported by then.
"""

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field

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


@dataclass
class _Track:
    """Where a trial's count stood after each of its reports."""

    watch: Watch
    steps: "array[int]" = field(default_factory=lambda: array("q"))
    bests: "array[float]" = field(default_factory=lambda: array("d"))
    poors: "array[int]" = field(default_factory=lambda: array("q"))

    def take(self, step: int, value: float) -> bool:
        is_flat = self.watch.take(step, value)
        assert self.watch.best is not None, "a report was counted"
        self.steps.append(step)
        self.bests.append(self.watch.best)
        self.poors.append(self.watch.poor)
        return is_flat

    def after(self, step: int) -> tuple[float | None, int]:
        """The best value, and the reports since it, up to a step."""
        at = bisect_right(self.steps, step) - 1
        return (None, 0) if at < 0 else (self.bests[at], self.poors[at])

    def cut(self, step: int) -> None:
        """Forget what was reported past a step."""
        self.watch.best, self.watch.poor = self.after(step)
        kept = bisect_right(self.steps, step)
        del self.steps[kept:], self.bests[kept:], self.poors[kept:]


class Plateaus:
    """What each trial of a sweep has reported, as far as that decides its plateau.

    Args:
        rule: the spec's; None: no trial has one.
        metric: what is watched.
    """

    def __init__(self, rule: Plateau | None, metric: Metric) -> None:
        self._beginning = None if rule is None else PlateauPlan(rule=rule, metric=metric)
        self._tracks: dict[int, _Track] = {}

    def take(self, trial: int, step: int, value: float | None) -> bool:
        """Count a report; whether the trial has reached a plateau."""
        if self._beginning is None or value is None:
            return False
        if trial not in self._tracks:
            self._tracks[trial] = _Track(Watch(self._beginning))
        return self._tracks[trial].take(step, value)

    def reached(self, trial: int) -> bool:
        """Whether the trial is on a plateau with what it has reported."""
        return trial in self._tracks and self._tracks[trial].watch.at_plateau

    def rewind(self, trial: int, step: int) -> None:
        """The trial goes on after `step`: what it reported past it is gone."""
        if trial in self._tracks:
            self._tracks[trial].cut(step)

    def plan(self, trial: int, step: int) -> PlateauPlan | None:
        """What a process needs that goes on with the trial after `step`."""
        if self._beginning is None or trial not in self._tracks:
            return self._beginning
        best, poor = self._tracks[trial].after(step)
        return self._beginning.model_copy(update={"best": best, "poor": poor})

    def forget(self, trial: int) -> None:
        """The trial ended."""
        self._tracks.pop(trial, None)
