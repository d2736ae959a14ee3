"""Random histories: SQLite and PostgreSQL answer the same, step by step."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.query.parse import parse_sort
from service.store.interface import DriverIdentity, Store, TrialQuery
from service.store.open import migrate, open_store
from sweep.errors import SweepError
from sweep.live import Position
from sweep.records import SweepRecord, TrialRecord
from sweep.states import FINAL_TRIAL_STATES, SweepState, TrialState
from sweep.wire import Exploited, Message, Proposed, RestartAsked, SweepFinished
from tests.unit.store.builders import LEASE, at, create, moved, reported, send, started
from tests.unit.store.conftest import empty

trials = st.integers(0, 2)
attempts = st.integers(1, 3)
steps = st.integers(1, 6)
scores = st.none() | st.floats(-1, 1, allow_nan=False)

messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(started, trials, attempts, st.integers(0, 4)),
    st.builds(
        lambda t, a, s, v: reported((s, v), (s + 1, v), trial=t, attempt=a),
        *(trials, attempts, steps, scores),
    ),
    st.builds(
        lambda t, a, s, f: moved(s, trial=t, attempt=a, failed=f),
        *(trials, attempts, st.sampled_from(TrialState), st.booleans()),
    ),
    st.builds(lambda t: RestartAsked(parent=t, max_t=200), trials),
)

SEARCH = {"type": "tpe", "num_trials": 6, "startup_trials": 3, "parallel": 2}
numbers = st.floats(0, 1)
lates = st.sampled_from([0, 0, 0, 0, 1])
"""How many epochs behind the last one a driver is."""


def exploited(trial: int, attempt: int, x: float) -> Exploited:
    return Exploited(
        trial=trial,
        attempt=attempt,
        donor=(trial + 1) % 3,
        step=4,
        value=0.1,
        donor_value=0.9,
        parameters={"x": x},
        checkpoint=f"state-{attempt}",
        checkpoint_step=2,
        time=at(40),
    )


@dataclass
class Told:
    """What a reader of changes was told."""

    upto: Position = field(default_factory=lambda: Position(0))
    sweep: SweepRecord | None = None
    trials: dict[int, TrialRecord] = field(default_factory=dict)


class TwoStores(RuleBasedStateMachine):
    postgres: str
    """The URL of a migrated PostgreSQL database, set before the machine runs."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self._folder.name) / 'sweep.db'}"
        migrate(url)
        empty(self.postgres)
        self.stores: tuple[Store, Store] = (open_store(url), open_store(self.postgres))
        self.now = 0
        for store in self.stores:
            create(store, "s", search=SEARCH, parameters={"x": {"uniform": {"min": 0, "max": 1}}})
        self.told = (Told(), Told())
        self.epoch = 0
        """The last that was started."""

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self._folder.cleanup()

    def both(self, call: Any) -> Any:
        """Make a call on both stores: their answer, or their error's type, which is the same."""
        answers = []
        for store in self.stores:
            try:
                answers.append(call(store))
            except SweepError as error:
                answers.append(type(error))
        assert answers[0] == answers[1]
        return answers[0]

    def driver(self, late: int) -> DriverIdentity:
        return DriverIdentity("s", max(0, self.epoch - late))

    @initialize(begun=st.sampled_from([True, True, True, False]))
    def begin(self, begun: bool) -> None:
        if begun:
            self.start(0, 0)

    @rule(late=lates, wait=st.sampled_from([0, 5, 11]))
    def start(self, late: int, wait: int) -> None:
        self.now += wait
        after = max(0, self.epoch - late)
        started = self.both(
            lambda store: store.start_driver(
                "s", after_epoch=after, token_hash=f"h{after}", now=at(self.now), lease=LEASE
            )
        )
        if isinstance(started, int):
            self.epoch = started

    @rule(late=lates, batch=st.lists(messages, max_size=5))
    def batch(self, late: int, batch: list[Message]) -> None:
        self.both(lambda store: send(store, self.driver(late), *batch))

    @rule(late=lates, ahead=st.sampled_from([0, 1, 1, 1, 2]), x=numbers)
    def propose(self, late: int, ahead: int, x: float) -> None:
        """The next assignment, the one before it or one too far."""
        known = self.stores[0].search_results("s", after=-1, limit=100).items
        at_next = known[-1].assignment + ahead
        told = Proposed(assignment=at_next, parameters={"x": x}, time=at(self.now))
        self.both(lambda store: send(store, self.driver(late), told))

    @rule(late=lates, trial=trials, x=numbers)
    def exploit(self, late: int, trial: int, x: float) -> None:
        """An attempt that reports, and goes on from another's state."""
        attempt = self.stores[0].tasks("s", after=-1, limit=100).items[trial].attempts + 1
        begun = (started(trial, attempt, 2), reported((4, 0.1), trial=trial, attempt=attempt))
        told = exploited(trial, attempt, x)
        self.both(lambda store: send(store, self.driver(late), *begun, told))

    @rule(late=lates)
    def end_driver(self, late: int) -> None:
        epoch = self.driver(late).epoch
        self.both(lambda store: store.end_driver("s", epoch, reason="gone", now=at(self.now)))

    @rule(late=lates)
    def withdraw_driver(self, late: int) -> None:
        epoch = self.driver(late).epoch
        self.both(lambda store: store.withdraw_driver("s", epoch, reason="gone", now=at(self.now)))

    @precondition(lambda self: self.now > 20)  # what has ended takes nothing any more
    @rule()
    def cancel(self) -> None:
        self.both(lambda store: store.cancel_sweep("s", actor="me", now=at(self.now)))

    @precondition(lambda self: self.now > 20)
    @rule(late=lates, state=st.sampled_from([SweepState.COMPLETED, SweepState.FAILED]))
    def finish(self, late: int, state: SweepState) -> None:
        end = SweepFinished(state=state, time=at(self.now))
        self.both(lambda store: send(store, self.driver(late), end))

    @invariant()
    def the_same_is_stored(self) -> None:
        self.both(lambda store: store.get_sweep("s"))
        self.both(lambda store: store.on_duty())
        self.both(lambda store: store.list_events("s"))
        self.both(lambda store: store.tasks("s", after=-1, limit=100))
        self.both(lambda store: store.search_results("s", after=-1, limit=100))
        query = TrialQuery(sort=parse_sort("-best"), limit=100)
        self.both(lambda store: store.list_trials("s", query))
        for index in range(3):
            self.both(lambda store, i=index: store.list_reports(f"s-{i}"))

    @invariant()
    def a_reader_of_changes_is_told_what_there_is(self) -> None:
        """Whoever was told each change on its own holds what the store holds."""
        for store, told in zip(self.stores, self.told, strict=True):
            while (found := store.changes("s", after=told.upto, upto=None, limit=1)) is not None:
                told.trials |= {trial.index: trial for _, trial in found.trials}
                told.upto, told.sweep = found.reached, store.get_sweep("s")
            assert told.sweep == store.get_sweep("s")
            stored = store.list_trials("s", TrialQuery(limit=100)).items
            assert told.trials == {trial.index: trial for trial in stored}

    @invariant()
    def the_record_is_sound(self) -> None:
        store = self.stores[1]
        for trial in store.list_trials("s", TrialQuery(limit=100)).items:
            reports = store.list_reports(trial.id).items
            assert len(reports) == trial.reports
            assert trial.step == (reports[-1].step if reports else None)
            assert (trial.ended_at is not None) == (trial.state in FINAL_TRIAL_STATES)
            values = [r.values["score"] for r in reports if r.values["score"] is not None]
            assert (trial.best.value if trial.best else None) == max(values, default=None)


SETTINGS = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_both_databases_tell_the_same(postgres_schema: str) -> None:
    TwoStores.postgres = postgres_schema
    run_state_machine_as_test(TwoStores, settings=SETTINGS)
