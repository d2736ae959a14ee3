"""What one process trains at a time: a trial alone, or a pack."""

import threading
from typing import Protocol

from workers.driver.live import LiveRun, PackAnswer, TrialPlan, WorkPlan, WorkUpdate

_STOP_WITHIN_S = 2.0


class TrialError(Exception):
    """A trial's code raised; its process is not used again."""


class Work(Protocol):
    """Trials in training, driven by asking for updates."""

    def next_update(self, timeout: float) -> WorkUpdate:
        """What happened since the last update; waits or trains for `timeout` s at most.

        Raises:
            Exception: when the work cannot go on.
        """
        ...

    def answer(self, answer: PackAnswer) -> None:
        """Take in what the trials of the last update do next, before asking for another."""
        ...

    def end(self) -> bool:
        """Let go of the trials; whether that was done in time."""
        ...


def start(plan: WorkPlan, *, device: str, node: str, threads: int) -> Work:
    """Begin with what is planned.

    Args:
        plan: the trials.
        device: where to train, in PyTorch's words.
        node: this machine's name.
        threads: how many of the CPU's a pack may use.
    """
    if plan.pack is None:
        return LoneRun(plan.members[0], device, node)
    from workers.driver.packed import PackRun  # PyTorch, which not every trial needs

    return PackRun(plan, device=device, node=node, threads=threads)


class LoneRun:
    """One trial in a thread of its own."""

    def __init__(self, plan: TrialPlan, device: str, node: str) -> None:
        self._index = plan.task.index
        self._failed = False
        self._run = LiveRun(plan, device=device, node=node)
        self._thread = threading.Thread(
            target=self._run.execute, name=f"trial-{plan.task.id}", daemon=True
        )
        self._thread.start()

    def next_update(self, timeout: float) -> WorkUpdate:
        """See `Work`.

        Raises:
            TrialError: after the update that carries the trial's own error.
        """
        if self._failed:
            raise TrialError("the trial's code raised; see its recorded error")
        update = self._run.next_update(timeout)
        self._failed = update.error is not None
        return WorkUpdate(trials=((self._index, update),))

    def answer(self, answer: PackAnswer) -> None:
        """Nothing: asking for the next update is the answer."""

    def end(self) -> bool:
        """Stop the trial's thread; whether it has ended in time."""
        self._run.stop()
        self._thread.join(_STOP_WITHIN_S)
        return not self._thread.is_alive()
