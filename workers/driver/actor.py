"""The Ray actor that trains: a Tune Trainable around one `LiveRun` at a time."""

import socket
import threading
from typing import Any

import ray
from ray import tune

from workers.driver.live import LiveRun, TrialPlan

UPDATE_EVERY_S = 1.0
_STOP_WITHIN_S = 2.0

PLAN = "plan"
UPDATE = "update"


class TrialError(Exception):
    """A trial's code raised; its process is not used again."""


class ProcessBusy(Exception):
    """The trial before does not end, so its process cannot be used for the next."""


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """Runs a trial's code in a thread and hands its updates to Tune, one a step."""

    def setup(self, config: dict[str, Any]) -> None:
        """Start the first trial."""
        self._failed = False
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """End the trial before and start the next in this process.

        Raises:
            ProcessBusy: when the trial before does not end. (Answering False instead
                would make Tune drop the next trial without a word to its scheduler.)
        """
        if not self._end():
            raise ProcessBusy("the trial before in this process did not end when told to")
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """The next update.

        Raises:
            TrialError: after the update that carries the trial's own error.
        """
        if self._failed:
            raise TrialError("the trial's code raised; see its recorded error")
        update = self._run.next_update(UPDATE_EVERY_S)
        self._failed = update.error is not None
        return {UPDATE: update}

    def cleanup(self) -> None:
        """End the trial."""
        self._end()

    def _begin(self, config: dict[str, Any]) -> None:
        plan = TrialPlan.model_validate_json(config[PLAN])
        device = "cuda" if ray.get_gpu_ids() else "cpu"
        self._run = LiveRun(plan, device=device, node=socket.gethostname())
        self._thread = threading.Thread(
            target=self._run.execute, name=f"trial-{plan.task.id}", daemon=True
        )
        self._thread.start()

    def _end(self) -> bool:
        """Stop the trial's thread; whether it has ended in time."""
        self._run.stop()
        self._thread.join(_STOP_WITHIN_S)
        return not self._thread.is_alive()
