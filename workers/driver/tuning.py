"""The joint between the core and Ray Tune.

One Tune trial is one attempt at a trial. Tune places actors, reuses them and tells
of their deaths; all that is decided, is decided by the core, under one lock.
"""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from sweep.records import Origin
from sweep.rungs import rung_steps
from sweep.spec import Halving
from sweep.states import WantedState
from sweep.wire import Ack, Assignment, Message
from workers.driver.actor import PLAN, UPDATE, ProcessBusy, TrialActor
from workers.driver.core import SweepCore
from workers.driver.live import MAX_ERROR_CHARS, TrialPlan, TrialUpdate

Clock = Callable[[], datetime]

_TUNE_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


class TunedSweep:
    """One sweep's core with the lock around it, as Tune and the senders see it."""

    def __init__(
        self,
        core: SweepCore,
        assignment: Assignment,
        *,
        clock: Clock,
        emit: Callable[[list[Message]], None],
    ) -> None:
        self._core = core
        self.assignment = assignment
        self._lock = threading.Lock()
        self._emitting = threading.Lock()
        self._finished = False
        self._clock = clock
        self._emit = emit

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        """Nothing: Tune pickles its parts into an experiment state that nobody reads."""
        return object, ()

    def plan_next(self) -> TrialPlan | None:
        """The next attempt to hand to Tune."""
        with self._lock:
            taken = self._core.next_task()
        if taken is None:
            return None
        task, attempt = taken
        spec = self.assignment.spec
        return TrialPlan(
            task=task,
            attempt=attempt,
            code=self.assignment.code,
            metric=spec.metric,
            rungs=() if task.origin is Origin.RESTART else rung_steps(spec.early_stopping),
            waits=isinstance(spec.early_stopping, Halving),
            checkpoint_folder=str(
                Path(self.assignment.checkpoint_root) / self.assignment.sweep_id / task.id
            ),
        )

    def on_update(self, plan: TrialPlan, update: TrialUpdate) -> bool:
        """Whether the trial goes on."""
        with self._telling():
            return self._core.on_update(plan.task.index, plan.attempt, update, self._clock())

    def on_failure(self, plan: TrialPlan, error: str) -> None:
        """A trial raised, or its process died or was busy with the one before."""
        with self._telling():
            if ProcessBusy.__name__ in error:
                self._core.on_refusal(plan.task.index, plan.attempt, self._clock())
            else:
                self._core.on_failure(plan.task.index, plan.attempt, error, self._clock())

    def take(self, ack: Ack) -> None:
        """Take in what the service answered."""
        with self._lock:
            self._core.add(ack.trials)
            self._core.max_concurrent = ack.max_concurrent
            if ack.wanted is WantedState.CANCEL:
                self._core.cancel(self._clock())

    def finish(self) -> None:
        """Tell how the sweep ended, once."""
        with self._telling():
            if not self._finished:
                self._finished = True
                self._core.finish(self._clock())

    @property
    def known_trials(self) -> int:
        """How many trials this driver knows of."""
        with self._lock:
            return self._core.known_trials

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        with self._lock:
            return self._core.done

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Hold the core, then emit its messages in their order.

        Emitting may wait for the service, so it happens outside the core's lock: the
        threads that speak to the service need that one and never emit.
        """
        with self._emitting:
            with self._lock:
                yield
                messages = self._core.take_messages()
            if messages:
                self._emit(messages)


class CoreSearcher(Searcher):  # type: ignore[misc]
    """Hands the core's next attempts to Tune."""

    def __init__(self, sweep: TunedSweep) -> None:
        super().__init__()
        self._sweep = sweep

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next attempt's plan, or None to be asked again."""
        if self._sweep.done:
            raise _SweepOver
        plan = self._sweep.plan_next()
        return None if plan is None else {PLAN: plan.model_dump_json()}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the scheduler tells the core."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: SQL is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: SQL is the record."""


class GroupedASHA(TrialScheduler):  # type: ignore[misc]
    """Tells the core of every update and does what it decides.

    One set of rungs for each group, `min_peers` before anything is stopped, decisions
    kept as rows in SQL: see `workers.driver.asha` for the rule itself.
    """

    def __init__(self, sweep: TunedSweep) -> None:
        super().__init__()
        self._sweep = sweep
        self._plans: dict[str, TrialPlan] = {}

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Remember which attempt a Tune trial is."""
        self._plans[trial.trial_id] = TrialPlan.model_validate_json(trial.config[PLAN])

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass the update on; STOP when the core says so."""
        goes_on = self._sweep.on_update(self._plans[trial.trial_id], result[UPDATE])
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on that the attempt's process raised or died."""
        plan = self._plans.pop(trial.trial_id, None)
        if plan is not None:
            self._sweep.on_failure(plan, _error_text(trial))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """The core has decided already; forget the attempt."""
        self._plans.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Forget the attempt."""
        self._plans.pop(trial.trial_id, None)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """None: trials start in the order in which they were handed out."""
        return None

    def debug_string(self) -> str:
        """What Tune shows of a scheduler."""
        return "GroupedASHA"


class _SweepOver(BaseException):
    """Leaves Tune's loop at once; no `Exception`, for which Tune would first tidy up."""


class _LeaveWhenDone(Callback):  # type: ignore[misc]
    def __init__(self, sweep: TunedSweep) -> None:
        self._sweep = sweep

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self._sweep.done:
            raise _SweepOver


def run_on_tune(sweep: TunedSweep) -> None:
    """Run the sweep to its end on the Ray cluster that this process is connected to."""
    for name, value in _TUNE_SETTINGS.items():
        os.environ.setdefault(name, value)
    assignment = sweep.assignment
    slots = _slots(assignment)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
    with tempfile.TemporaryDirectory(prefix="sweep-tune-") as folder, suppress(_SweepOver):
        tune.run(
            TrialActor,
            name=assignment.sweep_id,
            search_alg=CoreSearcher(sweep),
            scheduler=GroupedASHA(sweep),
            callbacks=[_LeaveWhenDone(sweep)],
            num_samples=-1,
            resources_per_trial={"cpu": assignment.cpu, "gpu": assignment.gpu},
            storage_path=folder,
            reuse_actors=assignment.reuse_actors,
            raise_on_failed_trial=False,
            max_failures=0,
            verbose=0,
            trial_dirname_creator=_short_name,
        )


def _short_name(trial: Trial) -> str:
    return f"t{trial.trial_id}"


def _slots(assignment: Assignment) -> int:
    """How many trials the cluster could hold, as a bound on Tune's own queue."""
    import ray

    resources = ray.cluster_resources()
    fits = [
        resources.get(name, 0) / need
        for name, need in (("CPU", assignment.cpu), ("GPU", assignment.gpu))
        if need > 0
    ]
    slots = max(1, int(min(fits)))
    return min(slots, assignment.max_concurrent or slots)


def _error_text(trial: Trial) -> str:
    """What Tune wrote down of an attempt's last failure."""
    try:
        text = Path(trial.error_file).read_text(errors="replace")
    except (OSError, TypeError):
        return "the trial's process died"
    _, _, last = text.rpartition("Failure # ")
    return last.partition("\n")[2].strip()[-MAX_ERROR_CHARS:] or "the trial's process died"
