"""A running sweep as its threads share it: the core, a lock and a way out for messages."""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sweep.states import WantedState
from sweep.storage import join
from sweep.wire import MAX_WAITING_CHARS, Ack, Assignment, Known, Message, Signs, TrialTask
from workers.driver.book import Glance
from workers.driver.capture import Piece
from workers.driver.core import SweepCore
from workers.driver.live import PackAnswer, ProcessBusy, TrialPlan, WorkPlan, WorkUpdate
from workers.driver.nodes import Node, places_in, totals, waiting_text
from workers.driver.worklog import Logbook, WorkLog

Clock = Callable[[], datetime]

_OUTRANKED = "waiting: sweeps of higher priority, or that were there before, use the cluster"

QUEUED_AT_LEAST = 4
"""How many works Ray is asked to place beyond those that fit: an autoscaler sees them."""

_STUCK_AFTER = timedelta(seconds=15)
"""A process that starts on a busy node takes up to ten seconds."""


class LiveWork:
    """What one process is training now."""

    def __init__(self, plan: WorkPlan) -> None:
        self.pack = plan.pack
        self.node: str | None = None
        """Where it trains, by Ray's id, once that is known."""
        self.members = {member.task.index: member.attempt for member in plan.members}
        self.log = WorkLog(plan)
        self.actor: str | None = None
        """Ray's id of the process; None until it was started."""


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
        self._places: int | None = None
        self._nodes: tuple[Node, ...] | None = None
        self._idle_since: datetime | None = None
        self._captures = count()
        self._logbook = Logbook()
        self._log: list[Message] = []

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        """Nothing: Tune pickles its parts into an experiment state that nobody reads."""
        return object, ()

    def plan_next(self) -> WorkPlan | None:
        """The next work to hand to Tune: as many as fit, and some for Ray to queue."""
        with self._lock:
            places = self._places
            if places is not None and self._core.works >= places + max(places, QUEUED_AT_LEAST):
                return None
            work = self._core.next_work(self._clock())
        if work is None:
            return None
        return WorkPlan(
            members=tuple(self._plan(task, attempt) for task, attempt in work.members),
            pack=work.pack,
            capture=f"{self.assignment.sweep_id}-{self.assignment.epoch}-{next(self._captures)}",
        )

    def on_update(self, work: LiveWork, update: WorkUpdate) -> PackAnswer:
        """What the work's trials do next; those that end leave it, others may join."""
        with self._telling():
            now, core = self._clock(), self._core
            core.tick(now)
            shunned = work.node in core.breaker.excluded
            if shunned and not core.has_begun(work.members):
                for index, attempt in work.members.items():
                    core.losses.refused(index, attempt)
                work.members.clear()
            for index in update.returned:
                if update.capacity is not None:
                    core.on_capacity(index, update.capacity)
                if index in work.members:
                    core.losses.refused(index, work.members.pop(index))
            told = [(i, work.members[i], u) for i, u in update.trials if i in work.members]
            verdicts = core.on_updates(told, now, work.node)
            for index, verdict in verdicts.items():
                if verdict == "stop":
                    del work.members[index]
            room = update.room
            if core.interval is not None:  # its members come and go
                room = max(room, len(told) - len(work.members.keys() & verdicts.keys()))
            joins = (
                core.refill(work.pack, live=len(work.members), most=room)
                if work.pack is not None and room and not shunned
                else ()
            )
            self._log += self._logbook.messages(work.log.work, work.log.take(update))
        work.members |= {task.index: attempt for task, attempt in joins}
        return PackAnswer(
            verdicts=verdicts, joins=tuple(self._plan(task, attempt) for task, attempt in joins)
        )

    def on_failure(self, work: LiveWork, error: str, *, with_node: bool = False) -> None:
        """Work raised, or its process died or was busy with the work before.

        Args:
            work: what was trained.
            error: what is known of it.
            with_node: whether its node was lost, or cut off.
        """
        with self._telling():
            members, now = list(work.members.items()), self._clock()
            self._core.tick(now)
            if ProcessBusy.__name__ in error:
                for index, attempt in members:
                    self._core.losses.refused(index, attempt)
            elif members:
                self._core.losses.lost(members, error, now, node=work.node, with_node=with_node)
            self._log += self._logbook.messages(work.log.work, work.log.release())

    def on_leftover(self, work: LiveWork, pieces: Sequence[Piece]) -> None:
        """What was left of the log of a work that is over."""
        with self._telling():
            if not self._finished:
                self._log += self._logbook.messages(work.log.work, pieces)

    def on_over(self, work: LiveWork) -> None:
        """The log of a work whose trials all went on to something else is whole."""
        with self._lock:
            self._logbook.close(work.log.work)

    def _plan(self, task: TrialTask, attempt: int) -> TrialPlan:
        spec, core = self.assignment.spec, self._core
        return TrialPlan(
            task=task,
            attempt=attempt,
            code=self.assignment.code,
            metric=spec.metric,
            rungs=core.rungs_of(task) if core.interval is None else (),
            plateau=core.plateau_of(task),
            parks=core.parks,
            interval=core.interval,
            checkpoint_folder=join(
                self.assignment.checkpoint_root, self.assignment.sweep_id, task.id
            ),
            keep=spec.checkpoints,
        )

    def take(self, ack: Ack) -> None:
        """Take in what the service answered."""
        with self._lock:
            core, now = self._core, self._clock()
            core.add(ack.trials)
            self._edits = max(self._edits, ack.edits)
            core.limit(now, places=ack.places, max_concurrent=ack.max_concurrent, budget=ack.budget)
            match ack.wanted:
                case WantedState.CANCEL:
                    core.cancel(now)
                case WantedState.PAUSE:
                    core.pause(now)
                case WantedState.RUN:
                    core.unpause()
            core.tick(now)

    def propose(self, assignment: int, parameters: Mapping[str, Any]) -> bool:
        """Tell of the search's next assignment, if it may still have one; whether it may."""
        with self._telling():
            searching = self._core.searching and not self._finished
            if searching:
                self._core.propose(assignment, parameters, self._clock())
            return searching

    @property
    def searching(self) -> bool:
        """Whether a model-based search may propose more."""
        with self._lock:
            return self._core.searching

    def finish(self) -> None:
        """Tell how the sweep ended, once."""
        with self._telling():
            if not self._finished:
                self._finished = True
                self._core.finish(self._clock())

    def see(self, nodes: Sequence[Node]) -> None:
        """Take in which nodes the cluster has now: what is handed out follows."""
        with self._lock:
            breaker = self._core.breaker
            self._nodes = breaker.nodes = tuple(nodes)
            places = places_in(nodes, breaker.request, breaker.excluded)
            most = self._core.max_concurrent
            self._places = places if most is None else min(places, most)
            self._core.spread_over(max(1, self._places))

    @property
    def may_start(self) -> bool:
        """Whether the sweep's share, or a pause, leaves room for one more work."""
        with self._lock:
            return self._core.has_room

    @property
    def wants_more(self) -> int:
        """How many works more than its share an autoscaler may be shown that it could train."""
        with self._lock:
            core, glance = self._core, self._core.glance()
            if core.share is None or core.done:
                return 0
            wanted = glance.works + glance.waiting
            if core.max_concurrent is not None:
                wanted = min(wanted, core.max_concurrent)
            return min(QUEUED_AT_LEAST, max(0, wanted - core.share))

    @property
    def request(self) -> Mapping[str, float]:
        """What each of its works reserves, by Ray's names."""
        return self._core.breaker.request

    @property
    def shunned(self) -> tuple[str, ...]:
        """The nodes on which nothing of the sweep is started, by Ray's id."""
        with self._lock:
            return tuple(sorted(self._core.breaker.excluded))

    @property
    def retry_in(self) -> timedelta | None:
        """How long the next trial that failed waits before it is tried again; None: none does."""
        with self._lock:
            due = self._core.glance().retry_at
            return None if due is None else max(timedelta(0), due - self._clock())

    @property
    def known(self) -> Known:
        """How much of the sweep this driver has seen."""
        with self._lock:
            return Known(trials=self._core.known_trials, edits=self._edits)

    def signs(self) -> Signs:
        """What the service is told at each heartbeat."""
        with self._lock:
            glance, nodes = self._core.glance(), self._nodes or ()
            return Signs(
                pid=os.getpid(),
                host=socket.gethostname(),
                cluster=totals(nodes),
                need=dict(self._core.breaker.request),
                used=self._core.used,
                places=self._usable(glance),
                waiting=_cut(self._waiting(glance, nodes)),
            )

    def _usable(self, glance: Glance) -> int:
        """How many works could train at once, were the cluster the sweep's alone."""
        works = glance.works + glance.waiting
        return works if self._places is None else min(works, self._places)

    def _waiting(self, glance: Glance, nodes: Sequence[Node]) -> str | None:
        """Why trials that wait are not trained."""
        request, excluded = self._core.breaker.request, self._core.breaker.excluded
        waits = self._nodes is not None and (glance.beginning or glance.waiting > 0)
        text = waiting_text(request, nodes, excluded=excluded, stuck=False) if waits else None
        if text is not None or glance.training or not waits:
            self._idle_since = None
            return text or self.waiting_for
        if self._core.share == 0:
            return _OUTRANKED
        now = self._clock()
        self._idle_since = self._idle_since or now
        stuck = now - self._idle_since >= _STUCK_AFTER
        return waiting_text(request, nodes, excluded=excluded, stuck=stuck)

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
                messages = [*self._core.take_messages(), *self._log]
                self._log = []
            if messages:
                self._emit(messages)


def _cut(text: str | None) -> str | None:
    """A text as long as a heartbeat takes it."""
    if text is None or len(text) <= MAX_WAITING_CHARS:
        return text
    return text[: MAX_WAITING_CHARS - 1] + "…"
