"""A sweep's trials in memory, changed by messages."""

from sweep.states import TrialState
from sweep.wire import Message, Reports, TrialMoved, TrialStarted
from tests.unit.driver.builders import START, make_spec, row
from tests.unit.driver.killing import MemoryStore


def attempt(number: int, *scores: float, from_step: int = 0) -> list[Message]:
    """An attempt that reports each step until its process dies."""
    rows = tuple(row(step, score) for step, score in enumerate(scores, start=from_step + 1))
    return [
        TrialStarted(trial=0, attempt=number, from_step=from_step, time=START),
        Reports(trial=0, attempt=number, rows=rows),
        TrialMoved(trial=0, attempt=number, state=TrialState.PENDING, time=START),
    ]


def test_what_began_anew_forgets_all_that_was_reported() -> None:
    """Also where a later attempt goes on from a state of the new training."""
    store = MemoryStore(make_spec())
    store.take(attempt(1, 9.0, 9.0, 9.0))
    store.take(attempt(2, 1.0, 2.0, 3.0))
    store.take(attempt(3, 2.5, from_step=2))
    found = store.rows[0]
    assert (found.best, found.step, found.reports) == (2.5, 3, 3)
    assert [report.value for report in store.history()] == [1.0, 2.0, 2.5]
