"""What becomes of trials that failed, lost their process or were not taken by one."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sweep.states import FINAL_TRIAL_STATES, TrialState
from sweep.wire import NodeExcluded
from workers.driver.book import Book
from workers.driver.breaker import Breaker
from workers.driver.moves import Moves
from workers.driver.retries import LOSSES_FORGIVEN, wait_after
from workers.driver.stopping import StoppingRule


class Losses:
    """Decides who is to blame, and whether and when a trial is tried again."""

    def __init__(
        self,
        rule: StoppingRule,
        book: Book,
        moves: Moves,
        breaker: Breaker,
        *,
        max_failures: int,
    ) -> None:
        self._rule = rule
        self._book = book
        self._moves = moves
        self._breaker = breaker
        self._max_failures = max_failures

    def failed(self, index: int, attempt: int, error: str, now: datetime) -> None:
        """Take in that a trial raised or its process died."""
        current = self._book.running.get(index)
        if current is None or current.number != attempt:
            return
        task, text = current.task, current.error or error
        if self._on_bad_node(current.node, [index], text, now):
            self._put_back([index], "bad node", text, now)
            return
        if not current.started:
            self._moves.start(current, task.checkpoint_step, None, now)
        failures = task.failures + 1
        if current.retryable and failures <= self._max_failures:
            self._moves.move(index, TrialState.PENDING, "retry", now, error=text, failed=True)
            self._moves.requeue(index, failures=failures, due=now + wait_after(failures))
        else:
            self._moves.end(index, TrialState.FAILED, "error", "dropped", now, error=text)

    def lost(
        self,
        members: Sequence[tuple[int, int]],
        error: str,
        now: datetime,
        *,
        node: str | None = None,
        with_node: bool = False,
    ) -> None:
        """Take in that the process of a trial alone, or of a pack, raised or died.

        Nobody knows which member of a pack is to blame, so none is: they go on in packs
        of half the size, until one that fails alone is. Whoever lost their node with
        their process go on as they are.

        Args:
            members: each trial's index and attempt.
            error: what is known of it.
            now: the time.
            node: where they trained, by Ray's id.
            with_node: whether the node was lost too, or cut off.
        """
        running = self._book.running
        left = [i for i, attempt in members if i in running and running[i].number == attempt]
        for index in left:
            running[index].node = node or running[index].node
        if with_node and self._book.forgive_loss(left, most=LOSSES_FORGIVEN):
            self._put_back(left, "node lost", error, now)
        elif len(members) == 1:
            self.failed(*members[0], error, now)
        elif self._on_bad_node(node, left, error, now):
            self._put_back(left, "bad node", error, now)
        else:
            self._book.pending.split((self._book.tasks[i] for i in left), len(members) // 2)
            self._put_back(left, "pack lost", error, now)

    def refused(self, index: int, attempt: int) -> None:
        """Take in that a process did not take a trial: it waits again, as if never handed out."""
        current = self._book.running.get(index)
        if current is None or current.number != attempt:
            return
        self._book.running.discard(index)
        self._moves.push(index)

    def _on_bad_node(
        self, node: str | None, members: Sequence[int], error: str, now: datetime
    ) -> bool:
        """Whether a failure is its node's fault; tells it when that has just shown.

        Failures that led to it are taken off the trials that may still be tried again.
        """
        bad = self._breaker.failed(node, frozenset(members), error)
        if bad is not None:
            tasks = self._book.tasks
            forgiven = [i for i in bad.trials if tasks[i].state not in FINAL_TRIAL_STATES]
            for index in forgiven:
                self._moves.replace(index, failures=max(0, tasks[index].failures - 1))
            self._moves.messages.append(
                NodeExcluded(node=bad.node, reason=bad.reason, forgiven=tuple(forgiven), time=now)
            )
        return node in self._breaker.excluded

    def _put_back(self, members: Iterable[int], reason: str, error: str, now: datetime) -> None:
        """Trials that lost their process are not to blame: they go on from their saved states."""
        for index in members:
            current = self._book.running[index]
            if not current.started:
                self.refused(index, current.number)
                continue
            task = current.task
            rung = self._rule.waiting_at(task)
            if rung is not None and task.checkpoint_step >= rung:
                self._moves.hold(index, now)
                continue
            self._moves.move(index, TrialState.PENDING, reason, now, error=error)
            self._moves.requeue(index, failures=task.failures, due=None)
