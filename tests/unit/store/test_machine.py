"""Random histories: SQLite and PostgreSQL answer the same, step by step."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
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
from sweep.wire import Message, RestartAsked, SweepFinished
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
            create(store, "s")
        self.told = (Told(), Told())

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self._folder.cleanup()

    def both(self, call: Any) -> None:
        """Make a call on both stores; their answers, or their errors, are the same."""
        answers = []
        for store in self.stores:
            try:
                answers.append(call(store))
            except SweepError as error:
                answers.append(type(error))
        assert answers[0] == answers[1]

    @rule(epoch=st.integers(0, 3), wait=st.sampled_from([0, 5, 11]))
    def start(self, epoch: int, wait: int) -> None:
        self.now += wait
        self.both(
            lambda store: store.start_driver(
                "s", after_epoch=epoch, token_hash=f"h{epoch}", now=at(self.now), lease=LEASE
            )
        )

    @rule(epoch=st.integers(1, 4), batch=st.lists(messages, max_size=5))
    def batch(self, epoch: int, batch: list[Message]) -> None:
        self.both(lambda store: send(store, DriverIdentity("s", epoch), *batch))

    @rule(epoch=st.integers(1, 4))
    def end_driver(self, epoch: int) -> None:
        self.both(lambda store: store.end_driver("s", epoch, reason="gone", now=at(self.now)))

    @rule(epoch=st.integers(1, 4))
    def withdraw_driver(self, epoch: int) -> None:
        self.both(lambda store: store.withdraw_driver("s", epoch, reason="gone", now=at(self.now)))

    @rule()
    def cancel(self) -> None:
        self.both(lambda store: store.cancel_sweep("s", actor="me", now=at(self.now)))

    @rule(epoch=st.integers(1, 4), state=st.sampled_from([SweepState.COMPLETED, SweepState.FAILED]))
    def finish(self, epoch: int, state: SweepState) -> None:
        end = SweepFinished(state=state, time=at(self.now))
        self.both(lambda store: send(store, DriverIdentity("s", epoch), end))

    @invariant()
    def the_same_is_stored(self) -> None:
        self.both(lambda store: store.get_sweep("s"))
        self.both(lambda store: store.on_duty())
        self.both(lambda store: store.list_events("s"))
        self.both(lambda store: store.tasks("s", after=-1, limit=100))
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
