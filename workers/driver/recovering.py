"""How a driver takes over from the one before: every trial, from what SQL holds."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sweep.states import FINAL_TRIAL_STATES, TrialState
from sweep.wire import PastReport, RungEntry, TrialTask
from workers.driver.book import Book, outcome_of
from workers.driver.moves import Moves
from workers.driver.plateau import Plateaus
from workers.driver.stopping import Decision, StoppingRule


class Recovering:
    """Puts trials back where the messages of a driver before left them."""

    def __init__(self, rule: StoppingRule, plateaus: Plateaus, book: Book, moves: Moves) -> None:
        self._rule = rule
        self._plateaus = plateaus
        self._book = book
        self._moves = moves

    def remember(self, tasks: Iterable[TrialTask], history: Iterable[PastReport]) -> None:
        """Note what trials had reported before this driver began."""
        known = {task.index: task for task in tasks}
        for past in history:
            task = known.get(past.trial)
            if task is None or past.value is None:
                continue
            self._rule.remember(task, step=past.step, value=past.value)
            if task.state not in FINAL_TRIAL_STATES:
                self._plateaus.take(task.index, past.step, past.value)

    def recover(
        self, tasks: Sequence[TrialTask], rungs: Sequence[RungEntry], now: datetime
    ) -> None:
        """Place every trial, once all of them are in the book, and decide what that decides."""
        decided = {(entry.trial, entry.step) for entry in rungs}
        stopped = {entry.trial for entry in rungs if entry.decision == "stop"}
        decisions: list[Decision] = []
        for task in tasks:
            if task.state in FINAL_TRIAL_STATES:
                decisions += self._moves.leave(task, outcome_of(task), task.rung_value)
        for task in tasks:
            if task.index in self._book.ends:
                continue
            if task.index in stopped:  # decided, and its end not told any more
                self._moves.end(task.index, TrialState.STOPPED, "rung", "stopped", now)
                continue
            decisions += self._place(task, decided, now)
        decisions += self._rule.settle()
        self._moves.apply(decisions, now)
        for index in [i for i in self._book.paused if not self._waits(i)]:
            self._book.paused.discard(index)
            self._moves.push(index)
        for group in self._book.groups:
            self._moves.ask_restart(group)

    def _place(
        self, task: TrialTask, decided: set[tuple[int, int]], now: datetime
    ) -> Sequence[Decision]:
        if self._plateaus.reached(task.index):
            self._moves.end(task.index, TrialState.COMPLETED, "plateau", "completed", now)
            return ()
        steps = self._rule.steps_for(task)
        passed = [step for step in steps if step <= task.checkpoint_step]
        undecided = passed and (task.index, passed[-1]) not in decided
        at_rung = task.state is TrialState.PAUSED and task.reason == "rung"
        if not at_rung and not (self._rule.waits and undecided):
            if task.state is TrialState.RUNNING:
                self._moves.move(task.index, TrialState.PENDING, "driver lost", now)
            self._moves.push(task.index)
            return ()
        if task.state is TrialState.RUNNING:
            self._moves.move(task.index, TrialState.PAUSED, "rung", now)
        self._book.paused.add(task.index)
        if self._rule.remembers:
            return ()
        return self._rule.observe(task, step=task.max_t or 0, value=task.rung_value)

    def _waits(self, index: int) -> bool:
        return self._rule.waiting_at(self._book.tasks[index]) is not None
