"""A trial's `run` object in a training process, and the updates that leave it.

The training function runs in its own thread. At a *boundary* (a rung, the trial's
last step, the target, a value that is not finite) it is held inside `report` until
the next update is asked for, which means that it may go on; so no training happens
past a decision. A rule that makes trials wait holds it a little later, at the next
`save` or `report`, so that a state saved right after the rung is there to go on from.
"""

import math
import threading
import traceback
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sweep.entry import load_code
from sweep.metric import Metric
from sweep.records import Nonfinite
from sweep.run import ReportRules, TrialStop
from sweep.spec import CheckpointPolicy
from sweep.wire import ReportRow, TrialTask
from workers.driver.capture import NO_OUTPUT, Output
from workers.driver.checkpoints import Checkpoints
from workers.driver.plateau import PlateauPlan, Watch
from workers.driver.retries import would_repeat

Verdict = Literal["go", "wait", "save", "stop"]
"""What a trial does next: goes on; stays at its rung; stays there and saves its state, so
that it can leave its place to others; ends, here at least."""

MAX_ROWS = 2_000
MAX_ERROR_CHARS = 20_000


class TrialPlan(BaseModel):
    """All that a training process needs to know of a trial."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: TrialTask
    attempt: int
    code: str
    metric: Metric
    rungs: tuple[int, ...] = ()
    """None are named in a population: `interval` says where they are."""
    parks: bool = False
    """Whether it stays at a rung until its state is saved."""
    plateau: PlateauPlan | None = None
    checkpoint_folder: str
    """The path or URL of the folder for the trial's states."""
    keep: CheckpointPolicy = CheckpointPolicy()
    interval: int | None = None
    """In a population: the steps from one comparison to the next, whose states others may take."""

    def rung_after(self, step: int) -> int | None:
        """The first rung past a step; None: none is left."""
        if self.interval is not None:
            return step - step % self.interval + self.interval
        at = bisect_right(self.rungs, step)
        return self.rungs[at] if at < len(self.rungs) else None

    def watch(self) -> Watch | None:
        """What sees the trial's plateau; None: it has none."""
        return None if self.plateau is None else Watch(self.plateau)

    def checkpoints(self) -> Checkpoints:
        """What this attempt restores and saves."""
        return Checkpoints(
            self.checkpoint_folder,
            attempt=self.attempt,
            metric=self.metric,
            policy=self.keep,
            interval=self.interval,
        )


class WorkPlan(BaseModel):
    """What one process is to train: one trial alone, or a pack."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: tuple[TrialPlan, ...]
    pack: str | None = None
    capture: str | None = None
    """Names the files with what it prints; None: it prints as usual."""


@dataclass(frozen=True)
class TrialUpdate:
    """What happened in a trial since the last update."""

    node: str
    from_step: int | None
    """The step of the state that it went on from; None while that is not known."""
    rows: tuple[ReportRow, ...] = ()
    checkpoint: tuple[int, str] | None = None
    """The step of the state saved last and where it lies."""
    best_checkpoint: str | None = None
    """Where the best state so far lies, in a sweep that keeps it."""
    at_rung: bool = False
    """Whether it waits at a rung and could leave its place to others."""
    parked: bool = False
    """Whether it waits for its group at a rung, its state saved."""
    finished: bool = False
    error: str | None = None
    retryable: bool = True


@dataclass(frozen=True)
class WorkUpdate:
    """What happened in one process since the last update."""

    trials: tuple[tuple[int, TrialUpdate], ...]
    """By the trial's index."""
    room: int = 0
    """How many trials may join the pack."""
    capacity: int | None = None
    """How many the process takes at most, once that is known."""
    returned: tuple[int, ...] = ()
    """Trials that it did not start, for want of room."""
    output: Output = NO_OUTPUT
    """What the process printed."""

    @property
    def last(self) -> bool:
        """Whether it tells the end of a trial that trained alone."""
        return any(trial.finished for _, trial in self.trials)


class PackAnswer(BaseModel):
    """What the trials named in an update do next, and which trials join their pack."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdicts: Mapping[int, Verdict]
    joins: tuple[TrialPlan, ...] = ()


class ProcessBusy(Exception):
    """The trial before does not end, so its process cannot be used for the next."""


class LiveRun:
    """The `run` object of a trial in a sweep."""

    def __init__(self, plan: TrialPlan, *, device: str, node: str) -> None:
        self._plan = plan
        self._device = device
        self._node = node
        self._checkpoints = plan.checkpoints()
        self._rules = ReportRules()
        self._condition = threading.Condition()
        self._rows: list[ReportRow] = []
        self._checkpoint: tuple[int, str] | None = None
        self._from_step = None if plan.task.checkpoint else 0
        self._held = False
        self._park_next = False
        self._parked = False
        self._told = False
        self._stopped = False
        self._finished = False
        self._error: str | None = None
        self._retryable = True
        self._watch = plan.watch()

    @property
    def seed(self) -> int:
        """See `sweep.run.Run`."""
        return self._plan.task.seed

    @property
    def device(self) -> str:
        """See `sweep.run.Run`."""
        return self._device

    @property
    def max_t(self) -> int | None:
        """See `sweep.run.Run`."""
        return self._plan.task.max_t

    def report(self, step: int, **metrics: float) -> None:
        """See `sweep.run.Run`."""
        with self._condition:
            self._park()
            rung = self._plan.rung_after(self._rules.last_step)
            values = self._rules.accept(step, metrics)
            if self._from_step is None:
                self._from_step = 0
            self._rows.append(report_row(step, values))
            self._checkpoints.observe(values)
            if self._is_boundary(rung, step, values) or len(self._rows) >= MAX_ROWS:
                self._hold()

    def save(self, state: Mapping[str, Any]) -> None:
        """See `sweep.run.Run`."""
        with self._condition:
            self._raise_if_stopped()
        step = self._rules.last_step
        uri = self._checkpoints.save(step, state)
        with self._condition:
            self._checkpoint = (step, uri)
            self._park()

    def restore(self) -> dict[str, Any] | None:
        """See `sweep.run.Run`."""
        task = self._plan.task
        if task.checkpoint is None or self._rules.last_step > 0:
            return None
        found = self._checkpoints.restore(task.checkpoint, task.checkpoint_step)
        with self._condition:
            self._from_step = 0 if found is None else found.step
            self._rules.last_step = self._from_step
            if found is None:
                return None
            if found.uri != task.checkpoint:
                self._checkpoint = (found.step, found.uri)
            return found.state

    def execute(self) -> None:
        """Run the training function to its end, in the calling thread."""
        try:
            train = load_code(self._plan.code)
            try:
                train(dict(self._plan.task.parameters), self)
            except TrialStop:
                pass  # it may go on elsewhere, from a state that is not the newest here
            else:
                self._checkpoints.tidy()
            self._end(error=None, retryable=True)
        except BaseException as error:  # noqa: BLE001 - a user's code may raise anything
            self._end(error=error_text(error), retryable=not would_repeat(error))

    def next_update(self, timeout: float) -> TrialUpdate:
        """What happened since the last update; waits for something to tell, `timeout` s at most.

        Asking for another update after one that told of a boundary means that the
        function may go on past it.
        """
        with self._condition:
            if self._told:
                self._held = self._parked = False
                self._condition.notify_all()
            self._condition.wait_for(lambda: self._held or self._parked or self._finished, timeout)
            update = TrialUpdate(
                node=self._node,
                from_step=self._from_step,
                rows=tuple(self._rows),
                checkpoint=self._checkpoint,
                best_checkpoint=self._checkpoints.best,
                parked=self._parked,
                finished=self._finished,
                error=self._error,
                retryable=self._retryable,
            )
            self._rows.clear()
            self._checkpoint = None
            self._told = self._held or self._parked
            return update

    def stop(self) -> None:
        """Make the function's next call of `report` or `save` end it."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def _end(self, *, error: str | None, retryable: bool) -> None:
        with self._condition:
            self._finished, self._error, self._retryable = True, error, retryable
            if self._from_step is None:
                self._from_step = 0
            self._condition.notify_all()

    def _is_boundary(self, rung: int | None, step: int, values: Mapping[str, float]) -> bool:
        reached = boundary(self._plan, rung, step, values, watch=self._watch)
        if reached == "rung" and self._plan.parks:
            self._park_next = True
            return False
        return reached is not None

    def _hold(self) -> None:
        self._held = True
        self._condition.notify_all()
        self._condition.wait_for(lambda: not self._held or self._stopped)
        self._raise_if_stopped()

    def _park(self) -> None:
        self._raise_if_stopped()
        if self._park_next:
            self._park_next = False
            self._parked = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: not self._parked or self._stopped)
            self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._stopped:
            raise TrialStop("the trial need not go on")


def boundary(
    plan: TrialPlan,
    rung: int | None,
    step: int,
    values: Mapping[str, float],
    *,
    watch: Watch | None = None,
) -> Literal["end", "plateau", "rung"] | None:
    """What a report means: the trial's end, a plateau, the rung ahead, or nothing.

    A plateau is the driver's to decide; it has counted alike, unless the trial could not go
    on from the state that was planned.
    """
    if any(not math.isfinite(value) for value in values.values()):
        return "end"
    if plan.task.max_t is not None and step >= plan.task.max_t:
        return "end"
    name = plan.metric.name
    if name in values and plan.metric.reaches_target(values[name]):
        return "end"
    is_flat = (
        watch is not None
        and watch.metric_name in values
        and watch.take(step, values[watch.metric_name])
    )
    if rung is not None and step >= rung:
        return "rung"
    return "plateau" if is_flat else None


def report_row(step: int, values: Mapping[str, float]) -> ReportRow:
    """A report as it travels: what is not finite is null, with a name for what it was."""
    nonfinite: dict[str, Nonfinite] = {}
    finite: dict[str, float | None] = {}
    for name, value in values.items():
        finite[name] = value if math.isfinite(value) else None
        if math.isnan(value):
            nonfinite[name] = "nan"
        elif math.isinf(value):
            nonfinite[name] = "inf" if value > 0 else "-inf"
    return ReportRow(step=step, time=datetime.now(UTC), values=finite, nonfinite=nonfinite)


def error_text(error: BaseException) -> str:
    """The traceback, its end where it is long."""
    text = "".join(traceback.format_exception(error))
    return text if len(text) <= MAX_ERROR_CHARS else "…" + text[-MAX_ERROR_CHARS:]
