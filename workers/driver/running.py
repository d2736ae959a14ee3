"""A running sweep as its threads share it: the core, a lock and a way out for messages."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sweep.records import Origin
from sweep.rungs import rung_steps
from sweep.spec import Halving
from sweep.states import WantedState
from sweep.wire import Ack, Assignment, Known, Message, Signs, TrialTask
from workers.driver.core import SweepCore
from workers.driver.live import PackAnswer, ProcessBusy, TrialPlan, WorkPlan, WorkUpdate

Clock = Callable[[], datetime]

_OUTRANKED = "waiting: sweeps of higher priority, or that were there before, use the cluster"


class LiveWork:
    """What one process is training now."""

    def __init__(self, plan: WorkPlan) -> None:
        self.pack = plan.pack
        self.members = {member.task.index: member.attempt for member in plan.members}


class RunningSweep:
    """One sweep's core with the lock around it, as what trains and what sends see it."""

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
        self.waiting_for: str | None = None
        """What the whole sweep waits for, in words that heartbeats may carry."""
        self._clock = clock
        self._emit = emit
        self._edits = assignment.edits

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        """Nothing: Tune pickles its parts into an experiment state that nobody reads."""
        return object, ()

    def plan_next(self) -> WorkPlan | None:
        """The next work to hand to Tune."""
        with self._lock:
            work = self._core.next_work()
        if work is None:
            return None
        return WorkPlan(
            members=tuple(self._plan(task, attempt) for task, attempt in work.members),
            pack=work.pack,
        )

    def on_update(self, work: LiveWork, update: WorkUpdate) -> PackAnswer:
        """What the work's trials do next; those that end leave it, others may join."""
        with self._telling():
            now, core = self._clock(), self._core
            for index in update.returned:
                if update.capacity is not None:
                    core.on_capacity(index, update.capacity)
                core.on_refusal(index, work.members.pop(index))
            told = [(i, work.members[i], u) for i, u in update.trials if i in work.members]
            verdicts = core.on_updates(told, now)
            for index, verdict in verdicts.items():
                if verdict == "stop":
                    del work.members[index]
            joins = (
                core.refill(work.pack, live=len(work.members), most=update.room)
                if work.pack is not None and update.room
                else ()
            )
        work.members |= {task.index: attempt for task, attempt in joins}
        return PackAnswer(
            verdicts=verdicts, joins=tuple(self._plan(task, attempt) for task, attempt in joins)
        )

    def on_failure(self, work: LiveWork, error: str) -> None:
        """Work raised, or its process died or was busy with the work before."""
        with self._telling():
            members, now = list(work.members.items()), self._clock()
            if ProcessBusy.__name__ in error:
                for index, attempt in members:
                    self._core.on_refusal(index, attempt)
            elif members:
                self._core.on_pack_lost(members, error, now)

    def _plan(self, task: TrialTask, attempt: int) -> TrialPlan:
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

    def take(self, ack: Ack) -> None:
        """Take in what the service answered."""
        with self._lock:
            core, now = self._core, self._clock()
            core.add(ack.trials)
            self._edits = max(self._edits, ack.edits)
            core.limit(places=ack.places, max_concurrent=ack.max_concurrent, budget=ack.budget)
            match ack.wanted:
                case WantedState.CANCEL:
                    core.cancel(now)
                case WantedState.PAUSE:
                    core.pause(now)
                case WantedState.RUN:
                    core.unpause()
            core.tick(now)

    def finish(self) -> None:
        """Tell how the sweep ended, once."""
        with self._telling():
            if not self._finished:
                self._finished = True
                self._core.finish(self._clock())

    def spread_over(self, slots: int) -> None:
        """Cut packs so that every place where one can run gets some."""
        with self._lock:
            self._core.spread_over(slots)

    @property
    def known(self) -> Known:
        """How much of the sweep this driver has seen."""
        with self._lock:
            return Known(trials=self._core.known_trials, edits=self._edits)

    def signs(self) -> Signs:
        """What the service is told at each heartbeat."""
        with self._lock:
            return Signs(
                pid=os.getpid(),
                host=socket.gethostname(),
                need=self._need(),
                waiting=_OUTRANKED if self._core.yields_all else None,
                used=self._core.used,
            )

    def _need(self) -> dict[str, float]:
        """What one work takes, by Ray's names."""
        asked = self.assignment.resources
        amounts = {"CPU": asked.cpu, "GPU": asked.gpu, **asked.custom}
        return {name: amount for name, amount in amounts.items() if amount > 0}

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
