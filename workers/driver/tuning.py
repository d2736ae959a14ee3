"""The joint between the core and Ray Tune.

One Tune trial is one attempt at a trial, or at a pack of them. Tune places actors,
reuses them and tells of their deaths; all that is decided, is decided by the core,
under one lock.
"""

import os
import pickle
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from workers.driver.actor import ACTOR, NODE, PLAN, UPDATE, TrialActor
from workers.driver.demand import Demand
from workers.driver.forgetting import EndedTrials
from workers.driver.leftovers import Leftovers
from workers.driver.live import MAX_ERROR_CHARS, WorkPlan
from workers.driver.placing import factory_of, node_of, was_cut_off, watch
from workers.driver.running import LiveWork, RunningSweep
from workers.driver.stepping import keep_stepping

_TUNE_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",  # the sweep hands out no more than it should itself
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


class CoreSearcher(Searcher):  # type: ignore[misc]
    """Hands the core's next work to Tune."""

    def __init__(self, sweep: RunningSweep) -> None:
        super().__init__()
        self._sweep = sweep

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next work's plan, or None to be asked again."""
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

    def __init__(
        self,
        sweep: RunningSweep,
        leftovers: Leftovers,
        ended: EndedTrials,
        *,
        settle: Callable[[], None],
    ) -> None:
        super().__init__()
        self._sweep = sweep
        self._settle = settle
        self._ended = ended
        self._works: dict[str, LiveWork] = {}
        self._leftovers = leftovers
        self._shunned = sweep.shunned
        self._factory = factory_of(sweep.request, self._shunned)
        self._controller: Any = None

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        """Nothing: Tune pickles its parts into an experiment state that nobody reads."""
        return object, ()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Remember which work a Tune trial is."""
        self._controller = tune_controller
        self._works[trial.trial_id] = LiveWork(WorkPlan.model_validate_json(trial.config[PLAN]))
        shunned = self._sweep.shunned
        if shunned != self._shunned:
            self._shunned, self._factory = shunned, factory_of(self._sweep.request, shunned)
        trial.update_resources(self._factory)

    def on_start(self, trial: Trial) -> None:
        """Remember in which process a work is; a Tune trial that failed no longer tells."""
        actor, work = trial.temporary_state.ray_actor, self._works.get(trial.trial_id)
        if work is not None and actor is not None:
            work.actor = actor._actor_id.hex()  # Ray has no public name for it

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass the update on, and the answer back; STOP when no trial of it goes on."""
        work = self._works[trial.trial_id]
        work.node = result[NODE]
        answer = self._sweep.on_update(work, result[UPDATE])
        if not work.members:
            self._leftovers.fetch_after_end(work)
            return str(TrialScheduler.STOP)
        if work.pack is not None:
            result[ACTOR].answer.remote(answer.model_dump_json())
        return str(TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on that the work's process raised or died, once it is sure that Ray lives."""
        self._settle()
        work = self._works.pop(trial.trial_id, None)
        self._ended.add(tune_controller, trial)
        if work is not None:
            error, text = _error_of(trial), _error_text(trial)
            work.node = work.node or node_of(error)
            self._sweep.on_failure(work, text, with_node=was_cut_off(error))
            self._leftovers.fetch_after_failure(work, text)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """The core has decided already; forget the work."""
        self._works.pop(trial.trial_id, None)
        self._ended.add(tune_controller, trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Forget the work."""
        self._works.pop(trial.trial_id, None)
        self._ended.add(tune_controller, trial)

    def release_idle(self) -> None:
        """End processes kept for reuse while nothing may start: others wait for their places.

        Tune keeps one of them whatever happens, and has no public way to let go of it.
        """
        if self._controller is not None and not self._sweep.may_start:
            self._controller._cleanup_cached_actors(force_all=True)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """None: trials start in the order in which they were handed out."""
        return None

    def debug_string(self) -> str:
        """What Tune shows of a scheduler."""
        return "GroupedASHA"


class _SweepOver(BaseException):
    """Leaves Tune's loop at once; no `Exception`, for which Tune would first tidy up."""


class _AfterEachStep(TrialProgressCallback):  # type: ignore[misc]
    """Leaves Tune's loop when the sweep is done, and lets it forget what ended.

    It stands in the place of Tune's printer of progress, which prints nothing here and
    keeps every trial.
    """

    def __init__(
        self, sweep: RunningSweep, ended: EndedTrials, release_idle: Callable[[], None]
    ) -> None:
        super().__init__()
        self._sweep = sweep
        self._ended = ended
        self._release_idle = release_idle

    def log_result(self, trial: Trial, result: dict[str, Any], error: bool = False) -> None:
        """Nothing: the core tells the service."""

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Nothing: the core tells the service."""

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._ended.forget(trials)
        self._release_idle()
        if self._sweep.done:
            raise _SweepOver


class _Starts(Callback):  # type: ignore[misc]
    def __init__(self, scheduler: GroupedASHA) -> None:
        self._scheduler = scheduler

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._scheduler.on_start(trial)


def run_on_tune(
    sweep: RunningSweep, *, settle: Callable[[], None], left: Callable[[], None]
) -> None:
    """Run the sweep to its end on the Ray cluster that this process is connected to.

    Args:
        sweep: What to run.
        settle: Called before a failure is told of; returns when Ray can be believed.
        left: Called once Tune's loop is over; the rest of logs is read after it.

    Raises:
        RuntimeError: when the loop ended before the sweep did.
    """
    for name, value in _TUNE_SETTINGS.items():
        os.environ.setdefault(name, value)
    assignment = sweep.assignment
    watch(sweep, Demand().show)
    keep_stepping()
    leftovers, ended = Leftovers(sweep), EndedTrials()
    scheduler = GroupedASHA(sweep, leftovers, ended, settle=settle)
    with tempfile.TemporaryDirectory(prefix="sweep-tune-") as folder, suppress(_SweepOver):
        tune.run(
            TrialActor,
            name=assignment.sweep_id,
            search_alg=CoreSearcher(sweep),
            scheduler=scheduler,
            callbacks=[
                _Starts(scheduler),
                _AfterEachStep(sweep, ended, scheduler.release_idle),
            ],
            num_samples=-1,
            resources_per_trial=factory_of(sweep.request, sweep.shunned),
            storage_path=folder,
            reuse_actors=assignment.reuse_actors,
            raise_on_failed_trial=False,
            max_failures=0,
            verbose=0,
            trial_dirname_creator=_short_name,
        )
    if not sweep.done:
        raise RuntimeError("Ray Tune ended before the sweep did")
    left()
    leftovers.wait()


def _short_name(trial: Trial) -> str:
    return f"t{trial.trial_id}"


def _error_of(trial: Trial) -> object:
    """What an attempt failed with last, if it can be read."""
    try:
        return pickle.loads(Path(trial.pickled_error_file).read_bytes())
    except Exception:  # noqa: BLE001 - a user's own error may do anything when it is read
        return None


def _error_text(trial: Trial) -> str:
    """What Tune wrote down of an attempt's last failure."""
    try:
        text = Path(trial.error_file).read_text(errors="replace")
    except (OSError, TypeError):
        return "the trial's process died"
    _, _, last = text.rpartition("Failure # ")
    return last.partition("\n")[2].strip()[-MAX_ERROR_CHARS:] or "the trial's process died"
