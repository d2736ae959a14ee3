"""Small makers of sweeps and messages for tests of the store."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from service.store.interface import DriverIdentity, NewSweep, Store
from sweep.records import SweepRecord
from sweep.space import Space
from sweep.spec import parse_spec
from sweep.states import TrialState
from sweep.wire import Batch, Known, Message, ReportRow, Reports, TrialMoved, TrialStarted

START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=10)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def create(
    store: Store, sweep_id: str = "s1", *, created_at: datetime = START, **fields: Any
) -> SweepRecord:
    spec = parse_spec(
        {
            "name": "test",
            "trainable": "noop",
            "metric": {"name": "score", "mode": "max"},
            "parameters": {"x": {"grid": [1, 2, 3]}},
            "early_stopping": {"type": "none", "max_t": 100},
            **fields,
        }
    )
    new = NewSweep(id=sweep_id, spec=spec, created_by="me", created_at=created_at)
    return store.create_sweep(new, Space(spec).trials())


def drive(
    store: Store, sweep_id: str = "s1", *, after: int = 0, now: datetime = START
) -> DriverIdentity:
    token = f"hash-{sweep_id}-{after}"
    epoch = store.start_driver(sweep_id, after_epoch=after, token_hash=token, now=now, lease=LEASE)
    assert epoch == after + 1
    return DriverIdentity(sweep_id, epoch)


def send(store: Store, driver: DriverIdentity, *messages: Message, known: int = 3) -> Any:
    batch = Batch(messages=messages, known=Known(trials=known))
    return store.apply_batch(driver, batch, now=START, lease=LEASE)


def started(trial: int = 0, attempt: int = 1, from_step: int = 0) -> TrialStarted:
    return TrialStarted(
        trial=trial, attempt=attempt, from_step=from_step, node="node-1", time=at(1)
    )


def reported(
    *steps: tuple[int, float | None], trial: int = 0, attempt: int = 1, **others: float
) -> Reports:
    rows = tuple(
        ReportRow(
            step=step,
            time=at(step),
            values={"score": score, **others},
            nonfinite={} if score is not None else {"score": "nan"},
        )
        for step, score in steps
    )
    return Reports(trial=trial, attempt=attempt, rows=rows)


def moved(state: TrialState, *, trial: int = 0, attempt: int = 1, **fields: Any) -> TrialMoved:
    return TrialMoved(trial=trial, attempt=attempt, state=state, time=at(50), **fields)


def counts(sweep: SweepRecord) -> Mapping[str, int]:
    return {state.value: count for state, count in sweep.trials.items() if count}


def event_kinds(store: Store, sweep_id: str = "s1") -> list[str]:
    return [event.kind for event in store.list_events(sweep_id).items]
