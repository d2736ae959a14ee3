"""What a driver decides: which trial runs next, which goes on, when the sweep is over.

No I/O: tasks and trial updates go in, verdicts and messages for the service come
out, and the time is passed in. It is built from what SQL holds, so a successor of a
driver that died goes on where the messages of its predecessor end.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sweep.records import Origin, Usage
from sweep.searches import unproposed
from sweep.spec import Budget, SweepSpec
from sweep.states import FINAL_TRIAL_STATES, SweepState, TrialState
from sweep.wire import (
    Message,
    PastReport,
    Proposed,
    ReportRow,
    RungEntry,
    SweepFinished,
    TrialTask,
)
from workers.driver.book import Attempt, Book, Glance, Work
from workers.driver.breaker import Breaker
from workers.driver.ending import ending
from workers.driver.limits import Meter, Yielding
from workers.driver.live import TrialUpdate, Verdict
from workers.driver.losses import Losses
from workers.driver.moves import Moves
from workers.driver.packing import Waiting
from workers.driver.plateau import PlateauPlan, Plateaus
from workers.driver.recovering import Recovering
from workers.driver.stopping import Decision, Outcome, make_rule
from workers.driver.turns import make_turns


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
        history: Iterable[PastReport] = (),
        waiting: Waiting | None = None,
        meter: Meter | None = None,
        pause_grace: timedelta = timedelta(seconds=60),
        breaker: Breaker | None = None,
    ) -> None:
        self._spec = spec
        self._budget = spec.budget
        self._rule = make_rule(spec, tasks)
        self._book = Book(pending=Waiting("off", None) if waiting is None else waiting)
        self._meter = meter or Meter(Usage(), gpus=0, now=now)
        self.breaker = Breaker({}, {}) if breaker is None else breaker
        self._plateaus = Plateaus(spec.early_stopping.plateau, spec.rung_metric)
        self._moves = Moves(
            spec,
            self._rule,
            self._book,
            self._meter,
            self.breaker,
            self._plateaus,
            is_spent=self._is_spent,
        )
        self.losses = Losses(
            self._rule, self._book, self._moves, self.breaker, max_failures=spec.max_failures
        )
        self._turns = make_turns(self._rule, self._book, self._moves, self.breaker)
        self._yielding = Yielding(pause_grace)
        self._spent: str | None = None
        self._proposed = 0
        """How many trials of the search there are once the service has all that was proposed."""
        self.max_concurrent = max_concurrent
        self.cancelled = False
        entries = tuple(rungs)
        self._rule.recall(entries)
        recovering = Recovering(self._rule, self._plateaus, self._book, self._moves)
        recovering.remember(tasks, history)
        for task in tasks:
            self._enter(task)
        recovering.recover(tasks, entries, now)

    # What goes in

    def add(self, tasks: Iterable[TrialTask]) -> None:
        """Take in trials that the service has added, or wants tried again."""
        for task in tasks:
            if task.index not in self._book.tasks:
                self._rule.enter(task)
                self._enter(task)
            elif self._may_be_readmitted(task):
                self._moves.readmit(task)
            else:
                continue
            if task.index not in self._book.shelved:
                self._moves.push(task.index)

    def limit(
        self, now: datetime, *, places: int | None, max_concurrent: int | None, budget: Budget
    ) -> None:
        """Take in how much may train at once, and what may be used in all."""
        self._yielding.places = places
        self.max_concurrent = max_concurrent
        if budget == self._budget:
            return
        self._budget = budget
        for index in sorted(self._book.shelved):
            if self._affordable(self._book.tasks[index]):
                self._book.shelved.discard(index)
                self._moves.readmit(self._book.tasks[index])
                self._moves.push(index)
        shelved = [task for task in self._book.untried() if not self._affordable(task)]
        self._book.pending.discard_all({task.index for task in shelved})
        for task in shelved:
            self._moves.apply(self._shelve(task), now)
        for group in dict.fromkeys(task.group for task in shelved):
            self._moves.ask_restart(group)

    def pause(self, now: datetime) -> None:
        """Take trials back at their next saved states, those without one after a while."""
        self._yielding.pause(now)

    def unpause(self) -> None:
        """Go on: a pause was taken back."""
        self._yielding.unpause()

    def tick(self, now: datetime) -> None:
        """Let time pass: count what is used, and end what is over."""
        self._moves.apply(self._rule.settle(), now)
        self._meter.tick(now, works=self._book.running.begun)
        if self._spent is None and not self.cancelled:
            self._spent = self._meter.spent(self._budget)
            if self._spent is not None:
                for index in list(self._book.running):
                    self._moves.end(index, TrialState.STOPPED, "budget", "stopped", now)
                self._book.pending.clear()
                self._book.retries.clear()
        if self._yielding.overdue(now):
            for index in list(self._book.running):
                self._moves.release(index, TrialState.PENDING, "sweep paused", now)

    def cancel(self, now: datetime) -> None:
        """Let go of every trial; the sweep's end cancels those that never ran."""
        if self.cancelled:
            return
        self.cancelled = True
        for index in list(self._book.running):
            self._moves.move(index, TrialState.CANCELLED, "cancelled", now)
        self._book.running.clear()
        self._book.pending.clear()
        self._book.retries.clear()

    def next_work(self, now: datetime) -> Work | None:
        """The trials to train next, if any may start now: a pack, or one alone."""
        book = self._book
        if self.cancelled or not self._yielding.has_room(book):
            return None
        self._moves.wake(now)
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
        return Work(tuple(self._moves.hand_out(task, pack) for task in tasks), pack)

    def refill(self, pack: str, *, live: int, most: int) -> tuple[tuple[TrialTask, int], ...]:
        """Trials that join a running pack.

        Args:
            pack: its name.
            live: how many members it has.
            most: how many more it has room for.
        """
        if self.cancelled or pack in self._yielding.works(self._book):
            return ()
        if self.max_concurrent is not None:
            most = min(most, self.max_concurrent - len(self._book.running))
        tasks = self._book.pending.take_more(pack, live, most)
        return tuple(self._moves.hand_out(task, pack) for task in tasks)

    def on_updates(
        self,
        updates: Iterable[tuple[int, int, TrialUpdate]],
        now: datetime,
        node: str | None = None,
    ) -> dict[int, Verdict]:
        """Take in what happened in trials that train together on a node (Ray's id).

        All reports are taken in before anything is answered, so that trials that are
        compared with each other are decided in one go.

        Args:
            updates: each trial's index, attempt and update.
            now: the time.
            node: where they train, by Ray's id.

        Returns:
            What each trial does next.
        """
        self._moves.wake(now)
        known = []
        verdicts: dict[int, Verdict] = {}
        for index, attempt, update in updates:
            verdicts[index] = "stop"
            current = self._book.running.get(index)
            if current is None or current.number != attempt:
                continue
            current.node = node
            self._moves.tell(current, update, now)
            for row in update.rows:
                end = self._judge(current, row, now)
                if end is not None:
                    last = row.values.get(self._spec.rung_metric.name)
                    if last is not None:
                        self._rule.remember(current.task, step=row.step, value=last)
                    self._end(current, *end, now)
                if index not in self._book.running:
                    break
            known.append((index, current, update))
        yielding = self._yielding.works(self._book)
        for index, current, update in known:
            if index in self._book.running:
                verdicts[index] = self._answer(current, update, yielding, now)
        return verdicts

    def _answer(
        self,
        current: Attempt,
        update: TrialUpdate,
        yielding: frozenset[str | int],
        now: datetime,
    ) -> Verdict:
        index = current.task.index
        if update.error is not None:
            current.error, current.retryable = update.error, update.retryable
            if current.pack is None:
                return "go"  # the process raises next, so that it is not used again
            self.losses.failed(index, current.number, update.error, now)
            return "stop"
        if update.finished:
            self._finish(current, now)
            return "stop"
        turn = None if self._turns is None else self._turns.answer(current, update, now)
        if turn is not None:
            return turn
        if self._rule.waiting_at(current.task) is None:
            if current.work in yielding:
                return self._make_room(current, update, now)
            return "go"
        if update.parked:
            self.breaker.succeeded(current.node)
            self._moves.hold(index, now)
            return "stop"
        return "save" if update.at_rung else "wait"

    def _make_room(self, current: Attempt, update: TrialUpdate, now: datetime) -> Verdict:
        """What a trial does whose place others are to have: it leaves with a saved state."""
        if current.fresh or update.parked or update.checkpoint is not None:
            reason = self._yielding.reason
            self._moves.release(current.task.index, TrialState.PAUSED, reason, now)
            return "stop"
        return "go" if current.pack is None else "save"

    def on_capacity(self, index: int, capacity: int) -> None:
        """Take in how many trials like this one a process has room for."""
        self._book.pending.learn(self._book.tasks[index], capacity)

    def propose(self, assignment: int, parameters: Mapping[str, Any], now: datetime) -> None:
        """Ask for the next assignment's trials; the service adds them."""
        self._proposed = max(self._proposed, (assignment + 1) * self._spec.replicates)
        self._moves.messages.append(
            Proposed(assignment=assignment, parameters=parameters, time=now)
        )

    # What comes out

    @property
    def searching(self) -> bool:
        """Whether a model-based search may propose more."""
        if self.cancelled or self._spent is not None or self._yielding.pausing:
            return False
        awaited = max(0, self._proposed - self._book.searched)
        return self._unproposed(self._budget, awaited) > 0

    def take_messages(self) -> list[Message]:
        """What the service is to be told, in order; each message once."""
        taken, self._moves.messages = self._moves.messages, []
        return taken

    def spread_over(self, slots: int) -> None:
        """Cut packs so that every one of that many places gets some."""
        self._book.pending.slots = slots

    def has_begun(self, members: Iterable[int]) -> bool:
        """Whether one of these trials, handed out, has begun."""
        running = self._book.running
        return any(running[index].started for index in members if index in running)

    def glance(self) -> Glance:
        """How much of the sweep runs and waits."""
        return self._book.glance()

    def rungs_of(self, task: TrialTask) -> tuple[int, ...]:
        """The steps at which a trial is compared with others."""
        return self._rule.steps_for(task)

    @property
    def parks(self) -> bool:
        """Whether a trial at a rung stays there until its state is saved."""
        return self._rule.parks

    @property
    def interval(self) -> int | None:
        """In a population: the steps from one comparison to the next."""
        return self._rule.interval

    def plateau_of(self, task: TrialTask) -> PlateauPlan | None:
        """What its process needs to see a trial's plateau."""
        return self._plateaus.plan(task.index, task.checkpoint_step)

    @property
    def used(self) -> Usage:
        """What the sweep has used so far."""
        return self._meter.used

    @property
    def has_room(self) -> bool:
        """Whether its share, or a pause, leaves room for one more work."""
        return self._yielding.has_room(self._book)

    @property
    def share(self) -> int | None:
        """How many works may train at once while others share the cluster; None: any number."""
        return self._yielding.places

    @property
    def known_trials(self) -> int:
        """How many trials the driver knows of."""
        return len(self._book.tasks)

    @property
    def works(self) -> int:
        """How many works are handed out."""
        return len(self._book.running.works)

    @property
    def running(self) -> int:
        """How many trials are handed out."""
        return len(self._book.running)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        if self.cancelled or self._spent is not None:
            return True
        if self._yielding.pausing and not self._book.running:
            return True
        return self._at_end

    @property
    def _at_end(self) -> bool:
        """Whether every trial has ended, or is past the budget."""
        book = self._book
        return not (
            book.pending
            or book.running
            or book.paused
            or book.restarts_awaited
            or book.retries
            or self._unproposed(self._budget)
        )

    def finish(self, now: datetime) -> None:
        """Tell how the sweep ended. Call once `done`."""
        reason: str | None
        if self.cancelled:
            state, reason = SweepState.CANCELLED, "cancelled"
        elif self._spent is not None:
            state, reason = SweepState.COMPLETED, self._spent
        elif not self._at_end:
            state, reason = SweepState.PAUSED, "paused"
        else:
            planned = len(self._book.tasks) + self._unproposed(Budget())
            state, reason = ending(
                self._book, self._spec, planned=planned, limit=self._budget.trials
            )
        self._moves.messages.append(
            SweepFinished(state=state, reason=reason, used=self._meter.used, time=now)
        )

    # Inside

    def _is_spent(self) -> bool:
        """Whether the budget is used up; the next tick ends the sweep then, if none has."""
        return self._spent is not None or self._meter.spent(self._budget) is not None

    def _unproposed(self, budget: Budget, awaited: int = 0) -> int:
        """How many trials the search has not proposed yet, as far as a budget has room.

        Args:
            budget: what may be used.
            awaited: how many trials the service has not added yet that were proposed.
        """
        limit, book = budget.trials, self._book
        return unproposed(
            self._spec.search,
            replicates=self._spec.replicates,
            searched=book.searched,
            room=None if limit is None else limit - len(book.tasks) - awaited,
        )

    def _enter(self, task: TrialTask) -> None:
        """Take a trial into the book; one past the budget is set aside."""
        self._moves.enter(task)
        if task.state not in FINAL_TRIAL_STATES and not self._affordable(task):
            self._shelve(task)

    def _may_be_readmitted(self, task: TrialTask) -> bool:
        """Whether a trial that is delivered had ended, and is to be tried again."""
        book, index = self._book, task.index
        if index not in book.ends or index in book.shelved:
            return False
        return task.state is TrialState.PENDING

    def _shelve(self, task: TrialTask) -> Sequence[Decision]:
        """Set a trial aside that the budget has no room for; what that decides for others."""
        self._book.shelved.add(task.index)
        return self._moves.leave(task, "dropped", None)

    def _affordable(self, task: TrialTask) -> bool:
        """Whether the budget of trials has room for it: the first by index have it.

        Trials that were added for a restart are not counted.
        """
        limit = self._budget.trials
        return limit is None or task.origin is Origin.RESTART or task.index < limit

    def _judge(
        self, current: Attempt, row: ReportRow, now: datetime
    ) -> tuple[TrialState, str, Outcome] | None:
        """Whether and how the trial ends with this report."""
        spec, task = self._spec, current.task
        current.unseen -= row.values.keys()
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
        if self._plateaus.take(task.index, row.step, row.values.get(watched)):
            return TrialState.COMPLETED, "plateau", "completed"
        if watched in row.values and self._rule.steps_for(task):
            self._moves.apply(
                self._rule.observe(task, step=row.step, value=row.values[watched]), now
            )
        return None

    def _finish(self, current: Attempt, now: datetime) -> None:
        if not current.started:
            self._moves.start(current, current.task.checkpoint_step, None, now)
        self._end(current, TrialState.COMPLETED, "finished", "completed", now)

    def _end(
        self, current: Attempt, state: TrialState, reason: str, outcome: Outcome, now: datetime
    ) -> None:
        """End a trial; one that would complete without what it must report has failed."""
        error = None
        if state is TrialState.COMPLETED and current.unseen:
            names = ", ".join(map(repr, sorted(current.unseen)))
            error = f"the trial ended without ever reporting {names}, which the sweep optimises"
            state, reason, outcome = TrialState.FAILED, "no metric", "dropped"
        self._moves.end(current.task.index, state, reason, outcome, now, error=error)
