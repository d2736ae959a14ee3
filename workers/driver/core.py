"""What a driver decides: which trial runs next, which goes on, when the sweep is over.

No I/O: tasks and trial updates go in, verdicts and messages for the service come
out, and the time is passed in. It is built from what SQL holds, so a successor of a
driver that died goes on where the messages of its predecessor end.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sweep.records import Origin
from sweep.spec import Halving, SweepSpec
from sweep.states import FINAL_TRIAL_STATES, SweepState, TrialState
from sweep.wire import (
    CheckpointSaved,
    Message,
    ReportRow,
    Reports,
    RestartAsked,
    RungDecided,
    RungEntry,
    SweepFinished,
    TrialMoved,
    TrialStarted,
    TrialTask,
)
from workers.driver.book import Attempt, Book, Work, entry_of, outcome_of
from workers.driver.halving import winner
from workers.driver.live import TrialUpdate, Verdict
from workers.driver.packing import Waiting
from workers.driver.stopping import Decision, Outcome, make_rule


class SweepCore:
    """The state of one running sweep."""

    def __init__(
        self,
        spec: SweepSpec,
        tasks: Sequence[TrialTask],
        rungs: Iterable[RungEntry],
        *,
        max_concurrent: int | None,
        now: datetime,
        waiting: Waiting | None = None,
    ) -> None:
        self._spec = spec
        self._rule = make_rule(spec, tasks)
        self._book = Book(pending=Waiting("off", None) if waiting is None else waiting)
        self._messages: list[Message] = []
        self.max_concurrent = max_concurrent
        self.cancelled = False
        entries = tuple(rungs)
        self._rule.recall(entries)
        self._recover(tasks, entries, now)

    # What goes in

    def add(self, tasks: Iterable[TrialTask]) -> None:
        """Take in trials that the service has added."""
        for task in tasks:
            if task.index not in self._book.tasks:
                self._enter(task)
                self._book.pending.push(task)

    def cancel(self, now: datetime) -> None:
        """Let go of every trial; the sweep's end cancels those that never ran."""
        if self.cancelled:
            return
        self.cancelled = True
        for index in list(self._book.running):
            self._move(index, TrialState.CANCELLED, "cancelled", now)
        self._book.running.clear()
        self._book.pending.clear()

    def next_work(self) -> Work | None:
        """The trials to train next, if any may start now: a pack, or one alone."""
        book = self._book
        if self.cancelled:
            return None
        room = None if self.max_concurrent is None else self.max_concurrent - len(book.running)
        if room is not None and room <= 0:
            return None
        tasks = book.pending.take(room)
        if not tasks:
            return None
        pack = None
        if book.pending.goes_packed(tasks[0]):
            pack = f"{tasks[0].index}-{tasks[0].attempts + 1}"
            book.pending.name_pack(pack, tasks[0])
        return Work(tuple(self._hand_out(task, pack) for task in tasks), pack)

    def refill(self, pack: str, *, live: int, most: int) -> tuple[tuple[TrialTask, int], ...]:
        """Trials that join a running pack.

        Args:
            pack: its name.
            live: how many members it has.
            most: how many more it has room for.
        """
        if self.cancelled:
            return ()
        if self.max_concurrent is not None:
            most = min(most, self.max_concurrent - len(self._book.running))
        tasks = self._book.pending.take_more(pack, live, most)
        return tuple(self._hand_out(task, pack) for task in tasks)

    def on_updates(
        self, updates: Iterable[tuple[int, int, TrialUpdate]], now: datetime
    ) -> dict[int, Verdict]:
        """Take in what happened in trials that train together: index, attempt, update.

        All reports are taken in before anything is answered, so that trials that are
        compared with each other are decided in one go.

        Returns:
            What each trial does next.
        """
        known = []
        verdicts: dict[int, Verdict] = {}
        for index, attempt, update in updates:
            verdicts[index] = "stop"
            current = self._book.running.get(index)
            if current is None or current.number != attempt:
                continue
            self._tell(current, update, now)
            for row in update.rows:
                end = self._judge(current, row, now)
                if end is not None:
                    self._end(index, *end, now)
                if index not in self._book.running:
                    break
            known.append((index, current, update))
        for index, current, update in known:
            if index in self._book.running:
                verdicts[index] = self._answer(index, current, update, now)
        return verdicts

    def _answer(self, index: int, current: Attempt, update: TrialUpdate, now: datetime) -> Verdict:
        if update.error is not None:
            current.error, current.retryable = update.error, update.retryable
            if current.pack is None:
                return "go"  # the process raises next, so that it is not used again
            self.on_failure(index, current.number, update.error, now)
            return "stop"
        if update.finished:
            self._finish(current, now)
            return "stop"
        if self._rule.waiting_at(current.task) is None:
            return "go"
        if update.parked:
            self._pause(current, now)
            return "stop"
        return "save" if update.at_rung else "wait"

    def on_failure(self, index: int, attempt: int, error: str, now: datetime) -> None:
        """Take in that a trial raised or its process died."""
        current = self._book.running.get(index)
        if current is None or current.number != attempt:
            return
        task, text = current.task, current.error or error
        if not current.started:
            self._start(current, task.checkpoint_step, None, now)
        failures = task.failures + 1
        if current.retryable and failures <= self._spec.max_failures:
            self._move(index, TrialState.PENDING, "retry", now, error=text, failed=True)
            self._requeue(index, attempts=current.number, failures=failures)
        else:
            self._end(index, TrialState.FAILED, "error", "dropped", now, error=text)

    def on_pack_lost(self, members: Sequence[tuple[int, int]], error: str, now: datetime) -> None:
        """Take in that the process of a pack raised or died.

        Nobody knows which member is to blame, so none is: they go on in packs of half
        the size, until one that fails alone is.
        """
        if len(members) == 1:
            self.on_failure(*members[0], error, now)
            return
        running = self._book.running
        left = [i for i, attempt in members if i in running and running[i].number == attempt]
        self._book.pending.split((self._book.tasks[i] for i in left), len(members) // 2)
        for index in left:
            current = running[index]
            if not current.started:
                self.on_refusal(index, current.number)
                continue
            task = current.task
            rung = self._rule.waiting_at(task)
            if rung is not None and task.checkpoint_step >= rung:
                self._pause(current, now)
                continue
            self._move(index, TrialState.PENDING, "pack lost", now, error=error)
            self._requeue(index, attempts=current.number, failures=task.failures)

    def on_capacity(self, index: int, capacity: int) -> None:
        """Take in how many trials like this one a process has room for."""
        self._book.pending.learn(self._book.tasks[index], capacity)

    def on_refusal(self, index: int, attempt: int) -> None:
        """Take in that a process did not take a trial: it waits again, as if never handed out."""
        current = self._book.running.get(index)
        if current is None or current.number != attempt:
            return
        del self._book.running[index]
        self._push(index)

    # What comes out

    def take_messages(self) -> list[Message]:
        """What the service is to be told, in order; each message once."""
        taken, self._messages = self._messages, []
        return taken

    def spread_over(self, slots: int) -> None:
        """Cut packs so that every one of that many places gets some."""
        self._book.pending.slots = slots

    @property
    def known_trials(self) -> int:
        """How many trials the driver knows of."""
        return len(self._book.tasks)

    @property
    def running(self) -> int:
        """How many trials are handed out."""
        return len(self._book.running)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        book = self._book
        return self.cancelled or not (
            book.pending or book.running or book.paused or book.restarts_awaited
        )

    def finish(self, now: datetime) -> None:
        """Tell how the sweep ended. Call once `done`."""
        ends = self._book.ends
        failed = sum(t.state is TrialState.FAILED for t in self._book.tasks.values())
        if self.cancelled:
            state, reason = SweepState.CANCELLED, "cancelled"
        elif failed and failed == len(ends):
            state, reason = SweepState.FAILED, f"all {failed} trials failed"
        elif failed:
            state, reason = SweepState.COMPLETED, f"{failed} of {len(ends)} trials failed"
        else:
            state, reason = SweepState.COMPLETED, None
        self._messages.append(SweepFinished(state=state, reason=reason, time=now))

    # Inside

    def _hand_out(self, task: TrialTask, pack: str | None) -> tuple[TrialTask, int]:
        task = self._book.tasks[task.index]
        self._book.running[task.index] = Attempt(
            task,
            task.attempts + 1,
            pack,
            last=task.rung_value,
            metric_seen=task.checkpoint is not None,
        )
        return task, task.attempts + 1

    def _push(self, index: int) -> None:
        self._book.pending.push(self._book.tasks[index])

    def _enter(self, task: TrialTask) -> None:
        book = self._book
        book.tasks[task.index] = task
        book.groups.setdefault(task.group, []).append(task.index)
        if task.origin is Origin.RESTART:
            book.restarts_awaited.discard(task.parent if task.parent is not None else -1)
        else:
            book.open_members[task.group] = book.open_members.get(task.group, 0) + 1

    def _recover(
        self, tasks: Sequence[TrialTask], rungs: Sequence[RungEntry], now: datetime
    ) -> None:
        """Put every trial back where the messages of a driver before left it."""
        for task in tasks:
            self._enter(task)
        decided = {(entry.trial, entry.step): entry.decision for entry in rungs}
        stopped = {trial for (trial, _), decision in decided.items() if decision == "stop"}
        decisions: list[Decision] = []
        for task in tasks:
            if task.state in FINAL_TRIAL_STATES:
                decisions += self._leave(task, outcome_of(task), task.rung_value)
        for task in tasks:
            if task.state in FINAL_TRIAL_STATES:
                continue
            if task.index in stopped:  # decided, and its end not told any more
                self._end(task.index, TrialState.STOPPED, "rung", "stopped", now)
                continue
            passed = [step for step in self._rule.steps_for(task) if step <= task.checkpoint_step]
            undecided = passed and (task.index, passed[-1]) not in decided
            if task.state is TrialState.PAUSED or (self._rule.waits and undecided):
                if task.state is TrialState.RUNNING:
                    self._move(task.index, TrialState.PAUSED, "rung", now)
                self._book.paused.add(task.index)
                decisions += self._rule.observe(task, step=task.max_t or 0, value=task.rung_value)
            else:
                if task.state is TrialState.RUNNING:
                    self._move(task.index, TrialState.PENDING, "driver lost", now)
                self._push(task.index)
        self._apply(decisions, now)
        for index in [i for i in self._book.paused if not self._waits(i)]:
            self._book.paused.discard(index)
            self._push(index)
        for group in self._book.groups:
            self._ask_restart(group)

    def _waits(self, index: int) -> bool:
        return self._rule.waiting_at(self._book.tasks[index]) is not None

    def _tell(self, current: Attempt, update: TrialUpdate, now: datetime) -> None:
        if not current.started and update.from_step is not None:
            self._start(current, update.from_step, update.node, now)
        index, attempt = current.task.index, current.number
        if update.rows:
            self._messages.append(Reports(trial=index, attempt=attempt, rows=update.rows))
        if update.checkpoint is not None:
            step, uri = update.checkpoint
            self._messages.append(CheckpointSaved(trial=index, attempt=attempt, step=step, uri=uri))
            self._replace(index, checkpoint=uri, checkpoint_step=step)
            self._book.pending.mend(current.task)

    def _start(self, current: Attempt, from_step: int, node: str | None, now: datetime) -> None:
        current.started = True
        task = current.task
        self._messages.append(
            TrialStarted(
                trial=task.index,
                attempt=current.number,
                from_step=from_step,
                node=node,
                pack=current.pack,
                time=now,
            )
        )
        self._replace(task.index, attempts=current.number, state=TrialState.RUNNING)

    def _judge(
        self, current: Attempt, row: ReportRow, now: datetime
    ) -> tuple[TrialState, str, Outcome] | None:
        """Whether and how the trial ends with this report."""
        spec, task = self._spec, current.task
        if spec.metric.name in row.values:
            current.metric_seen = True
        watched = spec.rung_metric.name
        if row.values.get(watched) is not None:
            current.last = row.values[watched]
        if row.nonfinite:
            return TrialState.DIVERGED, "nonfinite", "diverged"
        value = row.values.get(spec.metric.name)
        if value is not None and spec.metric.reaches_target(value):
            return TrialState.COMPLETED, "target", "target"
        if task.max_t is not None and row.step >= task.max_t:
            return TrialState.COMPLETED, "max_t", "completed"
        if watched in row.values and self._rule.steps_for(task):
            self._apply(self._rule.observe(task, step=row.step, value=row.values[watched]), now)
        return None

    def _apply(self, decisions: Iterable[Decision], now: datetime) -> None:
        """Tell decisions and carry them out, wherever each trial is."""
        decisions = tuple(decisions)
        for decision in decisions:
            self._messages.append(RungDecided(entry=entry_of(decision, now)))
        for decision in decisions:
            index, task = decision.trial, self._book.tasks[decision.trial]
            if task.state in FINAL_TRIAL_STATES:
                continue
            waited = index in self._book.paused
            self._book.paused.discard(index)
            if not decision.keep:
                self._book.pending.discard(task)
                self._end(index, TrialState.STOPPED, "rung", "stopped", now)
            elif waited:
                self._push(index)

    def _finish(self, current: Attempt, now: datetime) -> None:
        index, name = current.task.index, self._spec.metric.name
        if not current.started:
            self._start(current, current.task.checkpoint_step, None, now)
        if not current.metric_seen:
            error = f"the trial ended without ever reporting the sweep's metric {name!r}"
            self._end(index, TrialState.FAILED, "no metric", "dropped", now, error=error)
        else:
            self._end(index, TrialState.COMPLETED, "finished", "completed", now)

    def _pause(self, current: Attempt, now: datetime) -> None:
        index = current.task.index
        self._move(index, TrialState.PAUSED, "rung", now)
        self._replace(index, rung_value=current.last)
        del self._book.running[index]
        self._book.paused.add(index)

    def _end(
        self,
        index: int,
        state: TrialState,
        reason: str,
        outcome: Outcome,
        now: datetime,
        *,
        error: str | None = None,
    ) -> None:
        current = self._book.running.get(index)
        value = current.last if current else self._book.tasks[index].rung_value
        self._move(index, state, reason, now, error=error, failed=state is TrialState.FAILED)
        self._book.running.pop(index, None)
        task = self._book.tasks[index]
        self._apply(self._leave(task, outcome, value), now)
        self._ask_restart(task.group)

    def _leave(self, task: TrialTask, outcome: Outcome, value: float | None) -> Sequence[Decision]:
        self._book.ends[task.index] = (outcome, value)
        if task.origin is not Origin.RESTART:
            self._book.open_members[task.group] -= 1
        return self._rule.leave(task, outcome=outcome, value=value)

    def _ask_restart(self, group: str) -> None:
        """Ask for the longer training of a group's winner, once all of the group ended."""
        rule = self._spec.early_stopping
        if not isinstance(rule, Halving) or rule.restart_winner is None:
            return
        if self._book.open_members.get(group, 0) > 0:
            return
        tasks = [self._book.tasks[index] for index in self._book.groups[group]]
        if any(t.origin is Origin.RESTART for t in tasks):
            return
        best = winner(tasks, self._book.ends, self._spec.rung_metric)
        if best is None or best in self._book.restarts_awaited:
            return
        self._book.restarts_awaited.add(best)
        self._messages.append(RestartAsked(parent=best, max_t=rule.restart_winner.max_t))

    def _move(
        self,
        index: int,
        state: TrialState,
        reason: str,
        now: datetime,
        *,
        error: str | None = None,
        failed: bool = False,
    ) -> None:
        current = self._book.running.get(index)
        if current is not None and not current.started:
            self._start(current, current.task.checkpoint_step, None, now)
        self._messages.append(
            TrialMoved(
                trial=index,
                attempt=self._book.tasks[index].attempts,
                state=state,
                reason=reason,
                error=error,
                failed=failed,
                time=now,
            )
        )
        self._replace(index, state=state, reason=reason)

    def _requeue(self, index: int, *, attempts: int, failures: int) -> None:
        self._replace(index, attempts=attempts, failures=failures)
        self._book.running.pop(index, None)
        self._push(index)

    def _replace(self, index: int, **changes: object) -> None:
        task = self._book.tasks[index].model_copy(update=changes)
        self._book.tasks[index] = task
        if index in self._book.running:
            self._book.running[index].task = task
