"""The logs of a driver's works: what was told of each, and its pieces as messages."""

from collections.abc import Iterable

from sweep.wire import LogWritten
from workers.driver.capture import Piece
from workers.driver.live import WorkPlan, WorkUpdate


class WorkLog:
    """How far the log of one work is known."""

    def __init__(self, plan: WorkPlan) -> None:
        first = plan.members[0]
        self.work = plan.pack or f"{first.task.index}-{first.attempt}"
        self.capture = plan.capture
        self.told = (0, 0)
        self.more = False
        """Whether something was printed that was not told."""
        self.ended = False
        """Whether the process told that nothing more comes."""
        self._started = False
        self._held: list[Piece] = []

    def take(self, update: WorkUpdate) -> list[Piece]:
        """The pieces to be told now.

        They wait until a trial of the work has started: before that a driver that dies
        leaves the work's name to be used again.
        """
        self._started = self._started or any(t.from_step is not None for _, t in update.trials)
        self.told, self.more, self.ended = update.output.told, update.output.more, update.last
        self._held += update.output.pieces
        return self.release() if self._started else []

    def release(self) -> list[Piece]:
        """The pieces that waited."""
        held, self._held = self._held, []
        return held


class Logbook:
    """Numbers the pieces of each work."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def messages(self, work: str, pieces: Iterable[Piece]) -> list[LogWritten]:
        """The pieces as messages."""
        told = []
        for piece in pieces:
            seq = self._next.get(work, 0)
            self._next[work] = seq + 1
            told.append(
                LogWritten(
                    work=work, seq=seq, stream=piece.stream, text=piece.text, time=piece.time
                )
            )
        return told

    def close(self, work: str) -> None:
        """Forget a work that is over and whose name is not used again."""
        self._next.pop(work, None)
