"""The Ray actor that trains: a Tune Trainable around one `LiveRun` or `PackRun` at a time."""

import socket
from dataclasses import replace
from typing import Any

import ray
from ray import tune

from workers.driver.capture import Capture
from workers.driver.live import PackAnswer, ProcessBusy, WorkPlan
from workers.driver.nodes import node_name
from workers.driver.work import start

UPDATE_EVERY_S = 1.0
_STOP_WITHIN_S = 2.0

PLAN = "plan"
UPDATE = "update"
ACTOR = "actor"
NODE = "node"


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """Trains what it is given and hands updates to Tune, one a step."""

    def setup(self, config: dict[str, Any]) -> None:
        """Start the first work."""
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """End the work before and start the next in this process.

        Raises:
            ProcessBusy: when the work before does not end. (Answering False instead
                would make Tune drop the next one without a word to its scheduler.)
        """
        if not self._work.end():
            raise ProcessBusy("the trial before in this process did not end when told to")
        self._capture.end()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """The next update and, of a pack, where answers to it go.

        Raises:
            TrialError: after the update that carries a lone trial's own error.
        """
        update = self._work.next_update(UPDATE_EVERY_S)
        for index, trial in update.trials:
            if trial.error is not None:
                self._capture.note(f"trial {index} failed: {trial.error}")
        update = replace(update, output=self._capture.collect(last=update.last))
        if not self._packed:
            return {UPDATE: update, NODE: self._node}
        actor = ray.get_runtime_context().current_actor
        return {UPDATE: update, NODE: self._node, ACTOR: actor}

    def answer(self, answer: str) -> None:
        """Take in the answer to the last update; called before the next step."""
        self._work.answer(PackAnswer.model_validate_json(answer))

    def cleanup(self) -> None:
        """End the work."""
        self._work.end()
        self._capture.end()

    def _begin(self, config: dict[str, Any]) -> None:
        plan = WorkPlan.model_validate_json(config[PLAN])
        self._capture = Capture(plan.capture)
        device = "cuda" if ray.get_gpu_ids() else "cpu"
        self._packed = plan.pack is not None
        self._node = ray.get_runtime_context().get_node_id()
        node = node_name(ray.util.get_node_ip_address(), socket.gethostname())
        self._work = start(plan, device=device, node=node, threads=self._threads())

    def _threads(self) -> int:
        """How many of the CPU's threads a pack may use."""
        if not self._packed:  # nor does a trial that may be over at once wait for Ray's answer
            return 1
        cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
        return max(1, int(cpus))
