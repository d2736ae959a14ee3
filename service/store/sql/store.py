"""The store over SQLAlchemy: one transaction a method."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from service.query.ast import Named
from service.store.interface import (
    DriverIdentity,
    EventOrder,
    ListChanges,
    LogQuery,
    NewSweep,
    SweepChanges,
    SweepOnDuty,
    SweepQuery,
    TrialQuery,
)
from service.store.sql import (
    analysis_streams,
    audit,
    batches,
    changes,
    drivers,
    examples,
    history,
    lifecycle,
    logs,
    past,
    sweeps,
    tokens,
    trials,
)
from service.store.sql.analysing import SqlAnalysis
from service.store.sql.engine import transaction
from service.store.sql.keeping_code import SqlCode
from service.store.sql.schema import check_schema
from sweep.editing import Edited
from sweep.estimating import PastTraining
from sweep.live import Position
from sweep.records import (
    EventRecord,
    LogPage,
    Page,
    ReportRecord,
    RungRecord,
    SweepRecord,
    TokenRecord,
    TokenRole,
    TrialRecord,
)
from sweep.space import PlannedTrial
from sweep.states import SweepState
from sweep.wire import Ack, Batch, Heartbeat, PastReportPage, ResultPage, RungPage, TaskPage


class SqlStore(SqlAnalysis, SqlCode):
    """`service.store.interface.Store` over SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """See `Store`."""
        self._engine.dispose()

    def check(self) -> None:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            check_schema(connection)

    def create_sweep(self, sweep: NewSweep, trials: Iterable[PlannedTrial]) -> SweepRecord:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return sweeps.create(connection, sweep, trials)

    def past_training(self, trainable: str) -> PastTraining:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return past.past_training(connection, trainable)

    def get_sweep(self, sweep_id: str) -> SweepRecord:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return sweeps.get(connection, sweep_id)

    def list_sweeps(self, query: SweepQuery) -> Page[SweepRecord]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return sweeps.list_page(connection, query)

    def project_sweeps(self, query: SweepQuery, fields: Sequence[Named]) -> Page[Mapping[str, Any]]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return sweeps.project(connection, query, fields)

    def count_sweeps(self, query: SweepQuery) -> int:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return sweeps.count(connection, query)

    def cancel_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return lifecycle.cancel(connection, sweep_id, actor=actor, now=now)

    def pause_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return lifecycle.pause(connection, sweep_id, actor=actor, now=now)

    def resume_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return lifecycle.resume(connection, sweep_id, actor=actor, now=now)

    def retry_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> SweepRecord:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return lifecycle.retry(connection, sweep_id, actor=actor, now=now)

    def edit_sweep(
        self,
        sweep_id: str,
        change: Callable[[SweepRecord], Edited],
        *,
        actor: str,
        now: datetime,
    ) -> SweepRecord:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return lifecycle.edit(connection, sweep_id, change, actor=actor, now=now)

    def delete_sweep(self, sweep_id: str, *, actor: str, now: datetime) -> None:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            sweeps.delete(connection, sweep_id, actor=actor, now=now)

    def list_trials(self, sweep_id: str, query: TrialQuery) -> Page[TrialRecord]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return trials.list_page(connection, sweep_id, query)

    def project_trials(
        self, sweep_id: str, query: TrialQuery, fields: Sequence[Named]
    ) -> Page[Mapping[str, Any]]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return trials.project(connection, sweep_id, query, fields)

    def count_trials(self, sweep_id: str, query: TrialQuery) -> int:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return trials.count(connection, sweep_id, query)

    def stream_trials(self, sweep_id: str, query: TrialQuery) -> Iterator[TrialRecord]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            yield from trials.stream(connection, sweep_id, query)

    def stream_fields(
        self, sweep_id: str, query: TrialQuery, fields: Sequence[Named]
    ) -> Iterator[tuple[Any, ...]]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            yield from trials.stream_fields(connection, sweep_id, query, fields)

    def metric_names(self, sweep_id: str) -> Sequence[str]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return trials.metric_names(connection, sweep_id)

    def text_examples(
        self, sweep_id: str | None, fields: Sequence[Named], *, limit: int
    ) -> Mapping[str, Sequence[str]]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return examples.texts(connection, sweep_id, fields, limit=limit)

    def get_trial(self, trial_id: str) -> TrialRecord:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return trials.get(connection, trial_id)

    def list_reports(
        self, trial_id: str, *, limit: int = 1000, cursor: str | None = None
    ) -> Page[ReportRecord]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return trials.reports_page(connection, trial_id, limit=limit, cursor=cursor)

    def list_logs(self, trial_id: str, query: LogQuery) -> LogPage:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return logs.page(connection, trial_id, query)

    def list_rungs(
        self, sweep_id: str, *, limit: int = 1000, cursor: str | None = None
    ) -> Page[RungRecord]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return drivers.rungs_page(connection, sweep_id, limit=limit, cursor=cursor)

    def list_events(
        self,
        sweep_id: str | None = None,
        *,
        kind: str | None = None,
        trial_id: str | None = None,
        order: EventOrder = "oldest",
        limit: int = 1000,
        cursor: str | None = None,
    ) -> Page[EventRecord]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return audit.list_page(
                connection,
                sweep_id,
                kind=kind,
                trial_id=trial_id,
                order=order,
                limit=limit,
                cursor=cursor,
            )

    def changes(
        self, sweep_id: str, *, after: Position | None, upto: Position | None, limit: int
    ) -> SweepChanges | None:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return changes.of_sweep(connection, sweep_id, after=after, upto=upto, limit=limit)

    def list_changes(self, versions: Mapping[str, int], *, after_event: int | None) -> ListChanges:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return changes.of_list(connection, versions, after_event=after_event)

    def note_event(
        self, sweep_id: str, *, kind: str, actor: str, now: datetime, detail: Mapping[str, Any]
    ) -> None:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            audit.record(connection, kind, actor=actor, now=now, sweep_id=sweep_id, detail=detail)

    def on_duty(self) -> Sequence[SweepOnDuty]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return drivers.on_duty(connection)

    def set_places(self, places: Mapping[str, int | None]) -> None:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            drivers.set_places(connection, places)

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
        with transaction(self._engine, writes=True) as connection:
            return drivers.start(
                connection,
                sweep_id,
                after_epoch=after_epoch,
                token_hash=token_hash,
                now=now,
                lease=lease,
            )

    def end_driver(self, sweep_id: str, epoch: int, *, reason: str, now: datetime) -> bool:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return drivers.end(connection, sweep_id, epoch, reason=reason, now=now)

    def withdraw_driver(self, sweep_id: str, epoch: int, *, reason: str, now: datetime) -> bool:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return drivers.withdraw(connection, sweep_id, epoch, reason=reason, now=now)

    def finish_abandoned(
        self, sweep_id: str, *, epoch: int, state: SweepState, reason: str, now: datetime
    ) -> bool:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return drivers.finish_abandoned(
                connection, sweep_id, epoch=epoch, state=state, reason=reason, now=now
            )

    def identify_driver(self, token_hash: str) -> DriverIdentity | None:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return drivers.identify(connection, token_hash)

    def heartbeat(
        self, driver: DriverIdentity, beat: Heartbeat, *, now: datetime, lease: timedelta
    ) -> Ack:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return batches.heartbeat(connection, driver, beat, expires=now + lease)

    def apply_batch(
        self, driver: DriverIdentity, batch: Batch, *, now: datetime, lease: timedelta
    ) -> Ack:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return batches.apply_batch(connection, driver, batch, now=now, expires=now + lease)

    def tasks(self, sweep_id: str, *, after: int, limit: int) -> TaskPage:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return drivers.tasks(connection, sweep_id, after=after, limit=limit)

    def rung_entries(self, sweep_id: str, *, after: int, limit: int) -> RungPage:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return drivers.rung_entries(connection, sweep_id, after=after, limit=limit)

    def search_results(self, sweep_id: str, *, after: int, limit: int) -> ResultPage:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return history.results(connection, sweep_id, after=after, limit=limit)

    def search_history(self, sweep_id: str, *, after: int, limit: int) -> ResultPage:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return history.history(connection, sweep_id, after=after, limit=limit)

    def past_reports(
        self, sweep_id: str, *, metric: str, after: tuple[int, int], limit: int
    ) -> PastReportPage:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return analysis_streams.past_reports(
                connection, sweep_id, metric=metric, after=after, limit=limit
            )

    def create_token(
        self,
        token_id: str,
        *,
        name: str,
        token_hash: str,
        now: datetime,
        roles: Sequence[TokenRole] = (),
    ) -> TokenRecord:
        """See `Store`."""
        record = TokenRecord(id=token_id, name=name, created_at=now, roles=tuple(roles))
        with transaction(self._engine, writes=True) as connection:
            return tokens.create(connection, record, token_hash=token_hash)

    def list_tokens(self) -> Sequence[TokenRecord]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return tokens.list_all(connection)

    def revoke_token(self, token_id: str, *, now: datetime) -> TokenRecord:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            return tokens.revoke(connection, token_id, now=now)

    def live_token_hashes(self) -> Sequence[tuple[TokenRecord, str]]:
        """See `Store`."""
        with transaction(self._engine, writes=False) as connection:
            return tokens.live_hashes(connection)

    def touch_token(self, token_id: str, *, now: datetime) -> None:
        """See `Store`."""
        with transaction(self._engine, writes=True) as connection:
            tokens.touch(connection, token_id, now=now)
