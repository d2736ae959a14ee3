"""The analysis part of the store: one transaction a method."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Engine

from service.store.analysis import (
    ALL_TRIALS,
    Grouping,
    GroupSummary,
    Label,
    Reach,
    StepTotals,
    TrialQuestion,
    Which,
)
from service.store.sql import analysis, analysis_streams
from service.store.sql.engine import transaction
from sweep.analysis import Mode, TrialSpan
from sweep.states import TrialState


class SqlAnalysis:
    """`service.store.analysis.AnalysisStore` over SQLite or PostgreSQL."""

    _engine: Engine

    def summarise(
        self, sweep_id: str, grouping: Grouping, reach: Reach | None = None
    ) -> Sequence[GroupSummary]:
        """See `AnalysisStore`."""
        with transaction(self._engine, writes=False) as connection:
            return analysis.summarise(connection, sweep_id, grouping, reach)

    def group_values(
        self, sweep_id: str, grouping: Grouping
    ) -> Sequence[tuple[tuple[Label, ...], list[float]]]:
        """See `AnalysisStore`."""
        with transaction(self._engine, writes=False) as connection:
            return analysis.group_values(connection, sweep_id, grouping)

    def group_states(
        self, sweep_id: str, grouping: Grouping
    ) -> Sequence[tuple[tuple[Label, ...], TrialState, int]]:
        """See `AnalysisStore`."""
        with transaction(self._engine, writes=False) as connection:
            return analysis.group_states(connection, sweep_id, grouping)

    def group_best(
        self, sweep_id: str, grouping: Grouping, mode: Mode
    ) -> Sequence[tuple[tuple[Label, ...], int, float]]:
        """See `AnalysisStore`."""
        with transaction(self._engine, writes=False) as connection:
            return analysis.group_best(connection, sweep_id, grouping, mode)

    def read_trials(self, sweep_id: str, question: TrialQuestion) -> Iterator[tuple[Label, ...]]:
        """See `AnalysisStore`."""
        with transaction(self._engine, writes=False) as connection:
            yield from analysis_streams.read_trials(connection, sweep_id, question)

    def stream_points(
        self, sweep_id: str, metric: str, indexes: Sequence[int]
    ) -> Iterator[tuple[int, int, float]]:
        """See `AnalysisStore`."""
        with transaction(self._engine, writes=False) as connection:
            yield from analysis_streams.stream_points(connection, sweep_id, metric, indexes)

    def rung_counts(self, sweep_id: str) -> Sequence[tuple[int, str, int]]:
        """See `AnalysisStore`."""
        with transaction(self._engine, writes=False) as connection:
            return analysis_streams.rung_counts(connection, sweep_id)

    def step_totals(self, sweep_id: str) -> StepTotals:
        """See `AnalysisStore`."""
        with transaction(self._engine, writes=False) as connection:
            return analysis_streams.step_totals(connection, sweep_id)

    def trial_spans(self, sweep_id: str, which: Which = ALL_TRIALS) -> Iterator[TrialSpan]:
        """See `AnalysisStore`."""
        with transaction(self._engine, writes=False) as connection:
            yield from analysis_streams.trial_spans(connection, sweep_id, which)
