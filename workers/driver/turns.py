"""What trials of a population do at their intervals: the rule's turns, carried out."""

from datetime import datetime

from sweep.states import TrialState
from sweep.wire import Exploited
from workers.driver.book import Attempt, Book
from workers.driver.breaker import Breaker
from workers.driver.live import TrialUpdate, Verdict
from workers.driver.moves import Moves
from workers.driver.population import PopulationRule, Turn
from workers.driver.stopping import StoppingRule


class Turns:
    """Lets each trial that has arrived at an interval have its turn there."""

    def __init__(self, rule: PopulationRule, book: Book, moves: Moves, breaker: Breaker) -> None:
        self._rule = rule
        self._book = book
        self._moves = moves
        self._breaker = breaker

    def answer(self, current: Attempt, update: TrialUpdate, now: datetime) -> Verdict | None:
        """What a trial does at its interval; None when it just goes on."""
        if not self._rule.has_arrived(current.task):
            return None
        if not update.parked:
            return "save"
        self._breaker.succeeded(current.node)
        turn = self._rule.turn(current.task, self._book.tasks)
        if turn.donor is not None:
            self._exploit(current, turn, turn.donor, now)
        self._moves.apply([turn.decision], now)
        if turn.donor is not None:
            return "stop"
        if self._others_are_behind(current, turn.decision.step):
            self._moves.release(current.task.index, TrialState.PAUSED, "interval", now)
            return "stop"
        return None

    def _exploit(self, current: Attempt, turn: Turn, index: int, now: datetime) -> None:
        donor, decision = self._book.tasks[index], turn.decision
        if donor.checkpoint is None:
            raise RuntimeError(f"trial {index} was chosen as donor and has no saved state")
        self._moves.exploit(
            Exploited(
                trial=current.task.index,
                attempt=current.number,
                donor=index,
                step=decision.step,
                value=decision.value,
                donor_value=turn.donor_value,
                parameters=self._rule.explore(donor, trial=decision.trial, step=decision.step),
                checkpoint=donor.checkpoint,
                checkpoint_step=donor.checkpoint_step,
                time=now,
            )
        )

    def _others_are_behind(self, current: Attempt, step: int) -> bool:
        """Whether a trial that came less far waits for a place, and this one can leave its own.

        A population whose trials do not all fit takes turns: else the first of them would be
        done before the last begin, and there would be nobody to compare them with.
        """
        if current.task.checkpoint_step < step:
            return False
        book = self._book
        if any(book.tasks[i].checkpoint_step < step for i in book.pending.indexes):
            return True
        if len(book.running.works) <= book.pending.slots:
            return False
        return any(  # Ray queues those that do not fit
            not attempt.started and book.tasks[i].checkpoint_step < step
            for i, attempt in book.running.items()
        )


def make_turns(rule: StoppingRule, book: Book, moves: Moves, breaker: Breaker) -> Turns | None:
    """The turns that a rule gives; None for one that gives none."""
    return Turns(rule, book, moves, breaker) if isinstance(rule, PopulationRule) else None
