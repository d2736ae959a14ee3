"""What a search proposes while results lag, drivers die and trials are tried again."""

import random
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.spec import SweepSpec
from sweep.states import FINAL_TRIAL_STATES, TrialState, WantedState
from sweep.wire import Ack, Message
from tests.unit.driver.builders import START, make_assignment, make_spec, row, update
from tests.unit.driver.killing import MemoryStore
from workers.driver.live import WorkUpdate
from workers.driver.proposing import Proposing
from workers.driver.running import LiveWork, RunningSweep

TRIALS = 8
RETRIED_AT = 5
"""Among how many assignments the failed one is tried again."""


def spec_of(kind: str, *, parallel: int, replicates: int) -> SweepSpec:
    return make_spec(
        parameters={"x": {"uniform": {"min": 0, "max": 1}}, "y": {"choice": [1, 2, 3]}},
        search={"type": kind, "num_trials": TRIALS, "startup_trials": 2, "parallel": parallel},
        replicates=replicates,
        max_failures=0,
    )


class Turn(NamedTuple):
    """One trial ends; what the service and the driver hear of it."""

    which: int = 0
    """Of the trials in training."""
    sent: int = 1_000
    """How many messages reach the service."""
    killed: bool = False
    """Whether the driver dies then."""
    hears: bool = True
    """Whether the driver is answered."""


class Cluster:
    """A driver that proposes, its processes, and a service that hears of it late.

    Args:
        spec: the sweep's.
        failing: the trials that fail.
        retried: whether they are tried again, with success, before the assignment after
            the first `RETRIED_AT` can be known.
    """

    def __init__(self, spec: SweepSpec, failing: frozenset[int], *, retried: bool) -> None:
        self.store = MemoryStore(spec)
        self._failing = failing
        self._to_retry = retried
        self._edits = 0
        self.start()

    def start(self) -> None:
        """A driver begins, from what the service has."""
        self._unsent: list[Message] = []
        self._works: list[LiveWork] = []
        assignment = make_assignment(self.store.spec, edits=self._edits)
        self.sweep = RunningSweep(
            self.store.core(), assignment, clock=lambda: START, emit=self._unsent.extend
        )
        self.proposing = Proposing(self.sweep, self.store)

    def send(self, count: int) -> None:
        """The service hears of so many messages; the driver does not hear back yet."""
        for message in self._unsent[:count]:
            self.store.take([message])
            self._retry()
        del self._unsent[:count]

    def _retry(self) -> None:
        """Try the failed again while nobody can know the next assignment."""
        rows = self.store.rows
        last = [row for row in rows.values() if row.assignment == RETRIED_AT - 1]
        if self._to_retry and any(row.state not in FINAL_TRIAL_STATES for row in last):
            for index in self._failing:
                assert rows[index].state is TrialState.FAILED
                rows[index].state, rows[index].reason = TrialState.PENDING, "retried"
            self._to_retry, self._failing, self._edits = False, frozenset(), 1
            self.hear()

    def hear(self) -> None:
        """The driver hears of what the service has."""
        ack = Ack(wanted=WantedState.RUN, trials=tuple(self.store.tasks()), edits=self._edits)
        self.sweep.take(ack)

    def train(self, turn: int) -> None:
        """One of the trials in training ends."""
        while (plan := self.sweep.plan_next()) is not None:
            self._works.append(LiveWork(plan))
        if not self._works:
            return
        work = self._works.pop(turn % len(self._works))
        ((index, _),) = work.members.items()
        told = row(1, self._score(index))
        failed = update(error="broken", retryable=False)
        if index in self._failing:
            self.sweep.on_update(work, WorkUpdate(trials=((index, failed),)))
            self.sweep.on_failure(work, "broken")
        else:
            self.sweep.on_update(work, WorkUpdate(trials=((index, update(told, finished=True)),)))

    def _score(self, index: int) -> float:
        parameters = self.store.rows[index].parameters
        noise = random.Random(index).random() / 10
        return noise - (parameters["x"] - 0.3) ** 2 - parameters["y"]

    def run(self, turns: Sequence[Turn]) -> list[Any]:
        """What is proposed in the end, after these turns and others without fault."""
        for turn in (*turns, *[Turn()] * 100):
            self.train(turn.which)
            self.send(turn.sent)
            if turn.killed:
                self.start()
            if turn.hears:
                self.hear()
            self.proposing.step()
        assert self.sweep.done
        assert not self._to_retry
        rows = self.store.rows.values()
        assert {row.state for row in rows} <= {TrialState.COMPLETED, TrialState.FAILED}
        return [row.parameters for row in rows]


TURNS = st.builds(
    Turn,
    which=st.integers(0, 5),
    sent=st.integers(0, 4),
    killed=st.sampled_from([False, False, False, True]),
    hears=st.booleans(),
)


@cache
def unbroken(kind: str, parallel: int, replicates: int, failing: int, retried: bool) -> list[Any]:
    spec = spec_of(kind, parallel=parallel, replicates=replicates)
    found = Cluster(spec, frozenset({failing}), retried=retried).run([])
    assert len(found) == TRIALS * replicates
    return found


def check(kind: str, data: st.DataObject, *, retried: bool) -> None:
    parallel = 1 if retried else data.draw(st.integers(1, 3), "parallel")
    replicates = data.draw(st.integers(1, 2), "replicates")
    failing = data.draw(st.integers(0, 3), "failing")
    turns = data.draw(st.lists(TURNS, max_size=40), "turns")
    spec = spec_of(kind, parallel=parallel, replicates=replicates)
    found = Cluster(spec, frozenset({failing}), retried=retried).run(turns)
    assert found == unbroken(kind, parallel, replicates, failing, retried)


@pytest.mark.parametrize("retried", [False, True])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_lags_and_kills_change_no_proposal(data: st.DataObject, retried: bool) -> None:
    check("tpe", data, retried=retried)


@pytest.mark.long
@pytest.mark.parametrize("retried", [False, True])
@pytest.mark.parametrize("kind", ["tpe", "cmaes", "nsga2"])
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_many_lags_and_kills_change_no_proposal(
    kind: str, data: st.DataObject, retried: bool
) -> None:
    check(kind, data, retried=retried)


def test_a_retried_outcome_counts_for_what_is_proposed_after_it() -> None:
    retried, failed = unbroken("tpe", 1, 1, 1, True), unbroken("tpe", 1, 1, 1, False)
    assert retried[:RETRIED_AT] == failed[:RETRIED_AT]
    assert retried != failed
    spec = spec_of("tpe", parallel=1, replicates=1)
    for turn in range(TRIALS):
        turns = [*[Turn()] * turn, Turn(killed=True)]
        assert Cluster(spec, frozenset({1}), retried=True).run(turns) == retried
