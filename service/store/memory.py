"""A store in memory, for tests: the contract of the real ones, with nothing to start.

It keeps everything behind one lock and copies what it hands out. It passes the same
contract suite as the SQL store.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cmp_to_key
from typing import Any

from service.query.evaluate import SortValue, matches, sort_value
from service.store import cursors
from service.store.interface import DriverIdentity, NewSweep, SweepOnDuty, TrialQuery
from service.store.memory_audit import MemoryAudit
from sweep.applying import apply, event_trial, trials_named
from sweep.errors import Conflict, Fenced, NotFound
from sweep.records import (
    Best,
    Page,
    ReportRecord,
    RungRecord,
    SweepRecord,
    TrialRecord,
)
from sweep.rows import TrialRow, planned_row, split_trial_id, to_record, to_task, trial_id
from sweep.space import PlannedTrial
from sweep.states import (
    FINAL_SWEEP_STATES,
    FINAL_TRIAL_STATES,
    SweepState,
    TrialState,
    WantedState,
    sources_of_sweep,
)
from sweep.wire import Ack, Batch, ReportRow, RungEntry, RungPage, SweepFinished, TaskPage

_NEW_TRIALS = 1_000


@dataclass
class _Driver:
    epoch: int
    token_hash: str
    lease_expires_at: datetime
    ended_at: datetime | None = None


@dataclass
class _Sweep:
    number: int
    new: NewSweep
    state: SweepState = SweepState.QUEUED
    wanted: WantedState = WantedState.RUN
    reason: str | None = None
    fruitless: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    trials: dict[int, TrialRow] = field(default_factory=dict)
    reports: dict[int, dict[int, ReportRow]] = field(default_factory=dict)
    rungs: list[RungEntry] = field(default_factory=list)
    drivers: list[_Driver] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        return len(self.drivers)

    @property
    def final(self) -> bool:
        return self.state in FINAL_SWEEP_STATES


@dataclass
class _Data:
    sweeps: dict[str, _Sweep] = field(default_factory=dict)
    made: int = 0


class MemoryStore(MemoryAudit):
    """`service.store.interface.Store` in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._data = _Data()

    def close(self) -> None:
        """See `Store`."""

    def check(self) -> None:
        """See `Store`."""

    # Sweeps

    def create_sweep(self, sweep: NewSweep, trials: Iterable[PlannedTrial]) -> SweepRecord:
        """See `Store`."""
        rows = {t.index: planned_row(t, sweep.spec, sweep.created_at) for t in trials}
        with self._lock:
            self._data.made += 1
            made = _Sweep(number=self._data.made, new=sweep, trials=rows)
            self._data.sweeps[sweep.id] = made
            detail = {"name": sweep.spec.name, "trials": len(rows)}
            self.tell("sweep.created", sweep.created_by, sweep.created_at, sweep.id, detail=detail)
            return self._record(made)

    def get_sweep(self, sweep_id: str) -> SweepRecord:
        """See `Store`."""
        with self._lock:
            return self._record(self._find(sweep_id))

    def list_sweeps(
        self, *, state: SweepState | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[SweepRecord]:
        """See `Store`."""
        question = ("sweeps", state)
        start = cursors.decode_int(cursor, question=question, start=2**62)
        with self._lock:
            found = [
                s
                for s in sorted(self._data.sweeps.values(), key=lambda s: -s.number)
                if s.number < start and state in (None, s.state)
            ]
            items = tuple(map(self._record, found[:limit]))
        more = len(found) > limit
        return Page(
            items=items,
            next_cursor=cursors.encode([found[limit - 1].number], question=question)
            if more
            else None,
        )

    def cancel_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
        """See `Store`."""
        with self._lock:
            sweep = self._find(sweep_id)
            if sweep.state in (SweepState.QUEUED, SweepState.PAUSED):
                self._end(sweep, SweepState.CANCELLED, "cancelled", actor=actor, now=now)
            elif sweep.state is SweepState.RUNNING:
                if sweep.wanted is not WantedState.CANCEL:
                    sweep.wanted = WantedState.CANCEL
                    self.tell("sweep.cancel_asked", actor, now, sweep_id)
            elif sweep.state is not SweepState.CANCELLED:
                raise Conflict(f"sweep {sweep_id} is {sweep.state} already")
            return self._record(sweep)

    def delete_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> None:
        """See `Store`."""
        with self._lock:
            if not self._find(sweep_id).final:
                raise Conflict(f"sweep {sweep_id} has not ended: cancel it before you delete it")
            del self._data.sweeps[sweep_id]
            self.tell("sweep.deleted", actor, now, sweep_id)

    # Trials

    def list_trials(self, sweep_id: str, query: TrialQuery) -> Page[TrialRecord]:
        """See `Store`."""
        question = ("trials", sweep_id, query.filter, query.sort)
        with self._lock:
            rows = self._matching(sweep_id, query)
            if query.cursor is not None:
                length = 2 * len(query.sort) + 1
                position = cursors.decode(query.cursor, question=question, length=length)
                rows = [row for row in rows if self._compare(query)(_key(query, row), position) > 0]
            items = tuple(to_record(deepcopy(row), sweep_id) for row in rows[: query.limit])
            more = None
            if len(rows) > query.limit:
                more = cursors.encode(_key(query, rows[query.limit - 1]), question=question)
        return Page(items=items, next_cursor=more)

    def stream_trials(self, sweep_id: str, query: TrialQuery) -> Iterator[TrialRecord]:
        """See `Store`."""
        with self._lock:
            rows = [to_record(deepcopy(row), sweep_id) for row in self._matching(sweep_id, query)]
        yield from rows

    def get_trial(self, trial_id: str) -> TrialRecord:
        """See `Store`."""
        with self._lock:
            sweep, row = self._find_trial(trial_id)
            return to_record(deepcopy(row), sweep.new.id)

    def list_reports(
        self, trial_id: str, *, limit: int = 1000, cursor: str | None = None
    ) -> Page[ReportRecord]:
        """See `Store`."""
        question = ("reports", trial_id)
        with self._lock:
            sweep, row = self._find_trial(trial_id)
            start = cursors.decode_int(cursor, question=question, start=-1)
            reports = sweep.reports.get(row.index, {})
            steps = sorted(step for step in reports if step > start)
            items = tuple(
                ReportRecord.model_validate(reports[step].model_dump()) for step in steps[:limit]
            )
        more = cursors.encode([steps[limit - 1]], question=question) if len(steps) > limit else None
        return Page(items=items, next_cursor=more)

    def list_rungs(
        self, sweep_id: str, *, limit: int = 1000, cursor: str | None = None
    ) -> Page[RungRecord]:
        """See `Store`."""
        question = ("rungs", sweep_id)
        with self._lock:
            entries = self._find(sweep_id).rungs
            start = cursors.decode_int(cursor, question=question, start=0)
            items = tuple(
                RungRecord(
                    trial_id=trial_id(sweep_id, entry.trial),
                    decided_at=entry.time,
                    **entry.model_dump(exclude={"trial", "time"}),
                )
                for entry in entries[start : start + limit]
            )
            more = len(entries) > start + limit
        return Page(
            items=items,
            next_cursor=cursors.encode([start + limit], question=question) if more else None,
        )

    # Drivers

    def on_duty(self) -> Sequence[SweepOnDuty]:
        """See `Store`."""
        with self._lock:
            return [
                self._on_duty(sweep)
                for sweep in self._data.sweeps.values()
                if sweep.state in (SweepState.QUEUED, SweepState.RUNNING)
            ]

    def start_driver(
        self,
        sweep_id: str,
        *,
        after_epoch: int,
        token_hash: str,
        now: datetime,
        lease: timedelta,
    ) -> int | None:
        """See `Store`."""
        with self._lock:
            sweep = self._find(sweep_id)
            startable = sweep.state in (SweepState.QUEUED, SweepState.RUNNING)
            if not startable or sweep.wanted is not WantedState.RUN:
                return None
            if sweep.epoch != after_epoch or self._has_driver(sweep, now):
                return None
            sweep.drivers.append(_Driver(after_epoch + 1, token_hash, now + lease))
            sweep.state = SweepState.RUNNING
            sweep.started_at = sweep.started_at or now
            sweep.fruitless += 1
            detail = {"epoch": sweep.epoch}
            self.tell("driver.started", "dispatcher", now, sweep_id, detail=detail)
            return sweep.epoch

    def end_driver(self, sweep_id: str, epoch: int, *, reason: str, now: datetime) -> bool:
        """See `Store`."""
        with self._lock:
            sweep = self._find(sweep_id)
            driver = self._driver(sweep, epoch)
            if driver is None or driver.ended_at is not None:
                return False
            driver.ended_at = now
            detail = {"epoch": epoch, "reason": reason}
            self.tell("driver.ended", "dispatcher", now, sweep_id, detail=detail)
            return True

    def finish_abandoned(
        self, sweep_id: str, *, epoch: int, state: SweepState, reason: str, now: datetime
    ) -> bool:
        """See `Store`."""
        with self._lock:
            sweep = self._find(sweep_id)
            if sweep.epoch != epoch or self._has_driver(sweep, now):
                return False
            self.end_driver(sweep_id, epoch, reason="lease expired", now=now)
            return self._end(sweep, state, reason, actor="dispatcher", now=now)

    def identify_driver(self, token_hash: str) -> DriverIdentity | None:
        """See `Store`."""
        with self._lock:
            for sweep in self._data.sweeps.values():
                for driver in sweep.drivers:
                    if driver.token_hash == token_hash:
                        return DriverIdentity(sweep.new.id, driver.epoch)
        return None

    def heartbeat(
        self,
        driver: DriverIdentity,
        *,
        known_trials: int,
        now: datetime,
        lease: timedelta,
        pid: int | None = None,
        host: str | None = None,
    ) -> Ack:
        """See `Store`."""
        with self._lock:
            return self._ack(self._hold(driver, now + lease), known_trials)

    def apply_batch(
        self, driver: DriverIdentity, batch: Batch, *, now: datetime, lease: timedelta
    ) -> Ack:
        """See `Store`."""
        with self._lock:
            sweep = self._hold(driver, now + lease)
            if not sweep.final:
                self._write(sweep, batch, now)
            return self._ack(sweep, batch.known_trials)

    def tasks(self, sweep_id: str, *, after: int, limit: int) -> TaskPage:
        """See `Store`."""
        with self._lock:
            rows = [r for i, r in sorted(self._find(sweep_id).trials.items()) if i > after]
            items = tuple(to_task(row, sweep_id) for row in rows[:limit])
        return TaskPage(items=items, next_after=items[-1].index if len(items) == limit else None)

    def rung_entries(self, sweep_id: str, *, after: int, limit: int) -> RungPage:
        """See `Store`."""
        with self._lock:
            items = tuple(self._find(sweep_id).rungs[after : after + limit])
        return RungPage(items=items, next_after=after + limit if len(items) == limit else None)

    # Inside

    def _find(self, sweep_id: str) -> _Sweep:
        if sweep_id not in self._data.sweeps:
            raise NotFound(f"there is no sweep {sweep_id!r}")
        return self._data.sweeps[sweep_id]

    def _find_trial(self, trial_id: str) -> tuple[_Sweep, TrialRow]:
        parts = split_trial_id(trial_id)
        sweep = self._data.sweeps.get(parts[0]) if parts else None
        if parts is None or sweep is None or parts[1] not in sweep.trials:
            raise NotFound(f"there is no trial {trial_id!r}")
        return sweep, sweep.trials[parts[1]]

    def _matching(self, sweep_id: str, query: TrialQuery) -> list[TrialRow]:
        rows = self._find(sweep_id).trials.values()
        found = [row for row in rows if query.filter is None or matches(query.filter, row)]
        compare = self._compare(query)

        def order(left: TrialRow, right: TrialRow) -> int:
            return compare(_key(query, left), _key(query, right))

        return sorted(found, key=cmp_to_key(order))

    def _compare(self, query: TrialQuery) -> Callable[[Sequence[Any], Sequence[Any]], int]:
        descending = [key.descending for key in query.sort for _ in range(2)] + [False]

        def compare(left: Sequence[Any], right: Sequence[Any]) -> int:
            for a, b, down in zip(left, right, descending, strict=True):
                if a == b:
                    continue
                if a is None or b is None:
                    return 1 if a is None else -1
                return (1 if a > b else -1) * (-1 if down else 1)
            return 0

        return compare

    def _record(self, sweep: _Sweep) -> SweepRecord:
        spec = sweep.new.spec
        counts = dict.fromkeys(TrialState, 0)
        best: TrialRow | None = None
        for _, row in sorted(sweep.trials.items()):
            counts[row.state] += 1
            if row.best is not None and (
                best is None or best.best is None or spec.metric.is_better(row.best, best.best)
            ):
                best = row
        return SweepRecord(
            id=sweep.new.id,
            name=spec.name,
            state=sweep.state,
            reason=sweep.reason,
            priority=spec.priority,
            tags=spec.tags,
            spec=spec,
            trials=counts,
            best=None
            if best is None or best.best is None or best.best_step is None
            else Best(
                value=best.best, trial_id=trial_id(sweep.new.id, best.index), step=best.best_step
            ),
            epoch=sweep.epoch,
            created_by=sweep.new.created_by,
            created_at=sweep.new.created_at,
            started_at=sweep.started_at,
            ended_at=sweep.ended_at,
        )

    def _on_duty(self, sweep: _Sweep) -> SweepOnDuty:
        last = sweep.drivers[-1] if sweep.drivers else None
        return SweepOnDuty(
            id=sweep.new.id,
            state=sweep.state,
            wanted=sweep.wanted,
            priority=sweep.new.spec.priority,
            created_at=sweep.new.created_at,
            epoch=sweep.epoch,
            lease_expires_at=None if last is None or last.ended_at else last.lease_expires_at,
            driver_ended_at=last.ended_at if last else None,
            fruitless_drivers=sweep.fruitless,
        )

    def _driver(self, sweep: _Sweep, epoch: int) -> _Driver | None:
        return sweep.drivers[epoch - 1] if 1 <= epoch <= sweep.epoch else None

    def _has_driver(self, sweep: _Sweep, now: datetime) -> bool:
        last = sweep.drivers[-1] if sweep.drivers else None
        return last is not None and last.ended_at is None and last.lease_expires_at > now

    def _hold(self, driver: DriverIdentity, expires: datetime) -> _Sweep:
        sweep = self._find(driver.sweep_id)
        mine = self._driver(sweep, driver.epoch)
        live = mine is not None and mine.ended_at is None
        if driver.epoch != sweep.epoch or mine is None or not (live or sweep.final):
            raise Fenced(f"driver {driver.epoch} of sweep {driver.sweep_id} has ended")
        if live:
            mine.lease_expires_at = expires
        return sweep

    def _ack(self, sweep: _Sweep, known_trials: int) -> Ack:
        rows = [row for i, row in sorted(sweep.trials.items()) if i >= known_trials]
        return Ack(
            wanted=WantedState.CANCEL if sweep.final else sweep.wanted,
            max_concurrent=sweep.new.spec.max_concurrent,
            trials=tuple(to_task(row, sweep.new.id) for row in rows[:_NEW_TRIALS]),
        )

    def _write(self, sweep: _Sweep, batch: Batch, now: datetime) -> None:
        named = trials_named(batch)
        stored = sweep.reports
        changes = apply(
            batch,
            {i: deepcopy(row) for i, row in sweep.trials.items() if i in named},
            spec=sweep.new.spec,
            next_index=len(sweep.trials),
            restarted=frozenset(t.parent for t in sweep.trials.values() if t.parent is not None),
            reports_up_to=lambda index, step: [
                r for s, r in sorted(stored.get(index, {}).items()) if s <= step
            ],
        )
        sweep.trials.update(changes.rows)
        sweep.trials.update({row.index: row for row in changes.added})
        for index, step in changes.dropped.items():
            kept = {s: r for s, r in stored.get(index, {}).items() if s <= step}
            stored[index] = kept
        for index, report in changes.reports:
            stored.setdefault(index, {})[report.step] = report
        decided = {(entry.step, entry.trial) for entry in sweep.rungs}
        sweep.rungs += [e for e in changes.rungs if (e.step, e.trial) not in decided]
        sweep.fruitless = 0 if changes.fruitful else sweep.fruitless
        for event in changes.events:
            self.tell(
                event.kind,
                "driver",
                now,
                sweep.new.id,
                trial=event_trial(sweep.new.id, event),
                detail=dict(event.detail),
            )
        if changes.finished is not None:
            self._finish(sweep, changes.finished, now)

    def _finish(self, sweep: _Sweep, done: SweepFinished, now: datetime) -> None:
        self._end(sweep, done.state, done.reason, actor="driver", now=done.time)
        sweep.drivers[-1].ended_at = now

    def _end(
        self, sweep: _Sweep, state: SweepState, reason: str | None, *, actor: str, now: datetime
    ) -> bool:
        if sweep.state not in sources_of_sweep(state):
            return False
        sweep.state, sweep.reason, sweep.ended_at = state, reason, now
        for index, row in sweep.trials.items():
            if row.state not in FINAL_TRIAL_STATES:
                sweep.trials[index] = replace(
                    row, state=TrialState.CANCELLED, reason=reason or "sweep ended", ended_at=now
                )
        self.tell(f"sweep.{state.value}", actor, now, sweep.new.id, detail={"reason": reason})
        return True


def _key(query: TrialQuery, row: TrialRow) -> list[Any]:
    values: list[SortValue] = [sort_value(key, row) for key in query.sort]
    return [*(part for value in values for part in value), row.index]
