"""Early-stopping rules: what each of them has in common.

A rule hears of every value at a rung and of every trial that leaves, and answers
with decisions. It does no I/O and reads no clock, so it can be rebuilt from the
decisions that SQL holds.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, Protocol

from sweep.metric import Metric
from sweep.spec import SweepSpec
from sweep.stopping import Asha, Halving, Hyperband, Median, Pbt
from sweep.wire import RungEntry, TrialTask

Outcome = Literal["completed", "target", "diverged", "stopped", "dropped"]
"""How a trial ended; `dropped` (failed, cancelled) takes it out of every comparison."""


@dataclass(frozen=True)
class Decision:
    """A verdict on one trial at one rung."""

    trial: int
    group: str
    step: int
    value: float | None
    peers: int
    cutoff: float | None
    keep: bool


class StoppingRule(Protocol):
    """Compares the trials of each group at rungs.

    What is not abstract here does nothing, for rules that need not hear of it.
    """

    waits: bool
    """Whether a trial at a rung waits for others."""
    remembers: bool = False
    """Whether it needs the reports that were made before its driver began."""
    interval: int | None = None
    """In a population: the steps from one comparison to the next."""

    @property
    def parks(self) -> bool:
        """Whether a trial at a rung stays there until its state is saved."""
        return self.waits

    @abstractmethod
    def steps_for(self, task: TrialTask) -> tuple[int, ...]:
        """The rungs at which this trial is compared, ascending."""

    def open_steps(self, task: TrialTask) -> tuple[int, ...]:
        """Those of them that its group has not passed for good."""
        return self.steps_for(task)

    def enter(self, task: TrialTask) -> None:
        """A trial was added, or is tried again after it had left."""
        return

    @abstractmethod
    def observe(self, task: TrialTask, *, step: int, value: float | None) -> Sequence[Decision]:
        """A trial reported `value` (None: not finite) at `step`; what that decides."""

    def remember(self, task: TrialTask, *, step: int, value: float) -> None:
        """A trial had reported that before the driver began, or ends with it; decides nothing."""
        return

    def rewind(self, task: TrialTask, step: int) -> None:
        """An attempt goes on after `step`: what the trial reported past it is gone."""
        return

    def leave(
        self, task: TrialTask, *, outcome: Outcome, value: float | None
    ) -> Sequence[Decision]:
        """A trial ended with that last value; what that decides for others."""
        return ()

    def settle(self) -> Sequence[Decision]:
        """What is decided by what was remembered, recalled or entered."""
        return ()

    def waiting_at(self, task: TrialTask) -> int | None:
        """The rung that the trial is at and whose decision is not made yet."""
        return None

    @abstractmethod
    def recall(self, entries: Iterable[RungEntry]) -> None:
        """Take over decisions made before."""


class NeverStop(StoppingRule):
    """Lets every trial run to its end."""

    waits = False

    def steps_for(self, task: TrialTask) -> tuple[int, ...]:
        """No rungs."""
        return ()

    def observe(self, task: TrialTask, *, step: int, value: float | None) -> Sequence[Decision]:
        """Decides nothing."""
        return ()

    def recall(self, entries: Iterable[RungEntry]) -> None:
        """Remembers nothing."""


def badness(value: float | None, metric: Metric) -> float:
    """The value on a scale where lower is better; infinite when it was not finite."""
    if value is None:
        return float("inf")
    return -value if metric.mode == "max" else value


def mean(values: Sequence[float | None]) -> float | None:
    """The mean; None, which is worst, when there is no value or one is not finite."""
    finite = [value for value in values if value is not None]
    return fmean(finite) if finite and len(finite) == len(values) else None


def make_rule(spec: SweepSpec, tasks: Sequence[TrialTask]) -> StoppingRule:
    """The rule that a spec asks for, over the trials that it compares."""
    from workers.driver.median import MedianRule
    from workers.driver.replicates import ReplicatedRule

    rule, replicated = spec.early_stopping, spec.replicates > 1
    if isinstance(rule, Median):
        return MedianRule(rule, spec.rung_metric, tasks, replicated=replicated)
    if replicated and isinstance(rule, Asha | Halving | Hyperband):
        return ReplicatedRule(lambda units: _rule_of_values(spec, units), tasks)
    return _rule_of_values(spec, sorted(tasks, key=lambda task: task.index))


def needs_history(spec: SweepSpec) -> bool:
    """Whether a driver needs what trials reported before it began."""
    return spec.early_stopping.plateau is not None or make_rule(spec, ()).remembers


def _rule_of_values(spec: SweepSpec, tasks: Sequence[TrialTask]) -> StoppingRule:
    """The rule over trials, or units, that are compared by single values."""
    from workers.driver.asha import GroupedAshaRule
    from workers.driver.halving import HalvingRule
    from workers.driver.hyperband import HyperbandRule
    from workers.driver.population import PopulationRule

    rule = spec.early_stopping
    if isinstance(rule, Asha):
        return GroupedAshaRule(rule, spec.rung_metric)
    if isinstance(rule, Halving):
        return HalvingRule(rule, spec.rung_metric, tasks)
    if isinstance(rule, Hyperband):
        return HyperbandRule(rule, spec.rung_metric, tasks)
    if isinstance(rule, Pbt):
        return PopulationRule(rule, spec)
    return NeverStop()
