"""What happens to trials, told: every change of the book is a message to the service.

The driver's core decides; this carries out. A decision at a rung may end or release
other trials, and a trial's end may decide for others, so ends and decisions call each
other until nothing follows any more.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sweep.records import Origin
from sweep.spec import SweepSpec
from sweep.states import FINAL_TRIAL_STATES, TrialState
from sweep.stopping import Halving
from sweep.wire import (
    EXPLOITED,
    MAX_ENTRIES,
    CheckpointSaved,
    Exploited,
    Message,
    Reports,
    RestartAsked,
    RungDecided,
    RungEntry,
    TrialMoved,
    TrialStarted,
    TrialTask,
)
from workers.driver.book import Attempt, Book, entry_of
from workers.driver.breaker import Breaker
from workers.driver.halving import winners
from workers.driver.limits import Meter
from workers.driver.live import TrialUpdate
from workers.driver.plateau import Plateaus
from workers.driver.stopping import Decision, Outcome, StoppingRule


class Moves:
    """Changes a book and tells of it."""

    def __init__(
        self,
        spec: SweepSpec,
        rule: StoppingRule,
        book: Book,
        meter: Meter,
        breaker: Breaker,
        plateaus: Plateaus,
        *,
        is_spent: Callable[[], bool],
    ) -> None:
        """`is_spent`: whether the budget is used up, so that no winner is trained again."""
        self._plateaus = plateaus
        self._spec = spec
        self._meter = meter
        self._breaker = breaker
        self._rule = rule
        self._book = book
        self._is_spent = is_spent
        self.messages: list[Message] = []

    def enter(self, task: TrialTask) -> None:
        """Take a trial into the book."""
        book = self._book
        book.tasks[task.index] = task
        book.groups.setdefault(task.group, []).append(task.index)
        book.searched += task.origin is Origin.SEARCH
        if task.origin is Origin.RESTART:
            book.restarts_awaited.discard(task.parent if task.parent is not None else -1)
        else:
            book.open_members[task.group] = book.open_members.get(task.group, 0) + 1

    def readmit(self, task: TrialTask) -> None:
        """Take back a trial that had ended and is to be tried again."""
        book = self._book
        del book.ends[task.index]
        book.tasks[task.index] = task
        if task.origin is not Origin.RESTART:
            book.open_members[task.group] += 1
        self._rule.enter(task)

    def hand_out(self, task: TrialTask, pack: str | None) -> tuple[TrialTask, int]:
        """Note that a trial goes to a process; the number of this attempt."""
        task = self._book.tasks[task.index]
        self._book.running.add(
            Attempt(
                task,
                task.attempts + 1,
                pack,
                last=task.rung_value,
                unseen=set() if task.checkpoint else {o.name for o in self._spec.objectives},
                step=task.checkpoint_step,
            )
        )
        return task, task.attempts + 1

    def push(self, index: int) -> None:
        """Have a trial wait for a place."""
        self._book.pending.push(self._book.tasks[index])

    def tell(self, current: Attempt, update: TrialUpdate, now: datetime) -> None:
        """Tell what an update brings."""
        current.fresh = not current.started
        if current.fresh and update.from_step is not None:
            self.start(current, update.from_step, update.node, now)
        index, attempt = current.task.index, current.number
        if update.rows:
            self._meter.step(max(0, update.rows[-1].step - current.step))
            current.step = max(current.step, update.rows[-1].step)
            self.messages.append(Reports(trial=index, attempt=attempt, rows=update.rows))
        if update.checkpoint is not None:
            step, uri = update.checkpoint
            best = update.best_checkpoint
            self.messages.append(
                CheckpointSaved(trial=index, attempt=attempt, step=step, uri=uri, best=best)
            )
            self.replace(index, checkpoint=uri, checkpoint_step=step)
            self._book.pending.mend(current.task)

    def start(self, current: Attempt, from_step: int, node: str | None, now: datetime) -> None:
        """An attempt began."""
        self._book.running.begin(current)
        current.step = from_step
        task = current.task
        self._rule.rewind(task, from_step)
        self._plateaus.rewind(task.index, from_step)
        if task.attempts == 0:
            self._meter.begin()
        self.messages.append(
            TrialStarted(
                trial=task.index,
                attempt=current.number,
                from_step=from_step,
                node=node,
                pack=current.pack,
                time=now,
            )
        )
        self.replace(task.index, attempts=current.number, state=TrialState.RUNNING)
        if from_step < task.checkpoint_step:  # its last state could not be read
            self.replace(task.index, checkpoint=None, checkpoint_step=0)

    def move(
        self,
        index: int,
        state: TrialState,
        reason: str,
        now: datetime,
        *,
        error: str | None = None,
        failed: bool = False,
    ) -> None:
        """Move a trial to another state; one that was handed out has begun then."""
        current = self._book.running.get(index)
        if current is not None and not current.started:
            self.start(current, current.task.checkpoint_step, None, now)
        self.messages.append(
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
        self.replace(index, state=state, reason=reason)

    def release(self, index: int, state: TrialState, reason: str, now: datetime) -> None:
        """Take a trial from its process; it waits to go on from its last saved state."""
        current = self._book.running[index]
        self.move(index, state, reason, now)
        self.replace(index, rung_value=current.last)
        self._book.running.discard(index)
        self.push(index)

    def hold(self, index: int, now: datetime) -> None:
        """Take a trial from its process; it waits for its group at a rung."""
        current = self._book.running[index]
        self.move(index, TrialState.PAUSED, "rung", now)
        self.replace(index, rung_value=current.last)
        self._book.running.discard(index)
        self._book.paused.add(index)

    def exploit(self, message: Exploited) -> None:
        """Take a trial from its process; it waits to go on from another's saved state."""
        index, book = message.trial, self._book
        self.messages.append(message)
        self.replace(
            index,
            state=TrialState.PENDING,
            reason=EXPLOITED,
            parameters=message.parameters,
            checkpoint=message.checkpoint,
            checkpoint_step=message.checkpoint_step,
            rung_value=book.running[index].last,
        )
        book.running.discard(index)
        book.pending.reconsider(book.tasks[index])
        self.push(index)

    def requeue(self, index: int, *, failures: int, due: datetime | None) -> None:
        """Have a trial wait again, until `due` if given, after an attempt that did not end it."""
        attempts = self._book.running[index].number
        self._book.running.discard(index)
        self.replace(index, attempts=attempts, failures=failures)
        if due is None:
            self.push(index)
        else:
            self._book.retries.push(index, due)

    def wake(self, now: datetime) -> None:
        """Let trials go that have waited long enough after a failure."""
        for index in self._book.retries.take(now):
            self.push(index)

    def replace(self, index: int, **changes: object) -> None:
        """Change what is known of a trial."""
        task = self._book.tasks[index].model_copy(update=changes)
        self._book.tasks[index] = task
        if index in self._book.running:
            self._book.running[index].task = task

    def end(
        self,
        index: int,
        state: TrialState,
        reason: str,
        outcome: Outcome,
        now: datetime,
        *,
        error: str | None = None,
    ) -> None:
        """End a trial, and do what that decides for others."""
        current = self._book.running.get(index)
        value = current.last if current else self._book.tasks[index].rung_value
        if current is not None and state is not TrialState.FAILED:
            self._breaker.succeeded(current.node)
        self.move(index, state, reason, now, error=error, failed=state is TrialState.FAILED)
        self._book.running.discard(index)
        task = self._book.tasks[index]
        self.apply(self.leave(task, outcome, value), now)
        self.ask_restart(task.group)

    def leave(self, task: TrialTask, outcome: Outcome, value: float | None) -> Sequence[Decision]:
        """Note how a trial ended; what that decides."""
        self._book.ends[task.index] = (outcome, value)
        self._plateaus.forget(task.index)
        if task.origin is not Origin.RESTART:
            self._book.open_members[task.group] -= 1
        return self._rule.leave(task, outcome=outcome, value=value)

    def apply(self, decisions: Iterable[Decision], now: datetime) -> None:
        """Tell decisions and carry them out, wherever each trial is."""
        decisions = tuple(decisions)
        self._tell_decisions([entry_of(decision, now) for decision in decisions])
        for decision in decisions:
            index, task = decision.trial, self._book.tasks[decision.trial]
            if task.state in FINAL_TRIAL_STATES:
                continue
            waited = index in self._book.paused
            self._book.paused.discard(index)
            if not decision.keep:
                self._book.pending.discard(task)
                self._book.retries.discard([index])
                self.end(index, TrialState.STOPPED, "rung", "stopped", now)
            elif waited:
                self.push(index)

    def _tell_decisions(self, entries: Sequence[RungEntry]) -> None:
        """Tell decisions together: the service stores all of a message or none of it."""
        for start in range(0, len(entries), MAX_ENTRIES + 1):
            first, *others = entries[start : start + MAX_ENTRIES + 1]
            self.messages.append(RungDecided(entry=first, others=tuple(others)))

    def ask_restart(self, group: str) -> None:
        """Ask for the longer training of a group's winner, once all of the group ended."""
        rule = self._spec.early_stopping
        if not isinstance(rule, Halving) or rule.restart_winner is None:
            return
        if self._is_spent():
            return
        if self._book.open_members.get(group, 0) > 0:
            return
        tasks = [self._book.tasks[index] for index in self._book.groups[group]]
        asked = {t.parent for t in tasks if t.origin is Origin.RESTART}
        searched = [t for t in tasks if t.origin is not Origin.RESTART]
        best = winners(
            searched,
            self._book.ends,
            self._spec.rung_metric,
            replicated=self._spec.replicates > 1,
        )
        if asked - set(best):  # others won before a trial was tried again
            return
        for index in best:
            if index not in asked | self._book.restarts_awaited:
                self._book.restarts_awaited.add(index)
                self.messages.append(RestartAsked(parent=index, max_t=rule.restart_winner.max_t))
