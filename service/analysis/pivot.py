"""A metric over two fields."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from service.analysis.labels import ordered
from service.analysis.naming import NamedMetric, field_named, metric_named, replicates_alone
from service.analysis.statistics import interval
from service.query.ast import Field
from service.store.analysis import (
    ALL_TRIALS,
    Grouping,
    GroupSummary,
    Label,
    Reach,
    Which,
    label_key,
)
from service.store.interface import Store
from sweep.analysis import Aggregate, Cell, Mode, Pivot, Replicates
from sweep.errors import ParameterError
from sweep.records import SweepRecord

MAX_LABELS = 1_000
"""Rows, and columns, of a pivot at most."""

_MAX_CELLS = 50_000


@dataclass(frozen=True)
class PivotQuestion:
    """What to lay out how."""

    rows: str
    columns: str
    metric: str | None = None
    aggregate: Aggregate = "max"
    threshold: float | None = None
    mode: Mode | None = None
    replicates: Replicates = "each"
    which: Which = ALL_TRIALS


Cells = list[tuple[tuple[Label, ...], Cell | None]]


def pivot(store: Store, sweep: SweepRecord, question: PivotQuestion) -> Pivot:
    """Group a sweep's trials by two fields and aggregate a metric in each cell.

    Raises:
        ParameterError: naming the parameter that does not fit.
    """
    row_field = field_named(question.rows, "rows")
    column_field = field_named(question.columns, "columns")
    metric = metric_named(store, sweep, question.metric, mode=question.mode)
    reach = _reach(question, metric)
    each = question.replicates == "each"
    grouping = Grouping(
        by=(row_field, column_field),
        value=metric.field,
        which=question.which if each else replicates_alone(question.which),
        unit="trial" if each else "assignment",
        limit=_MAX_CELLS + 1,
    )
    found = _cells(store, sweep.id, grouping, question.aggregate, reach)
    rows = _axis(found, 0, field=row_field, sweep=sweep, name="rows")
    columns = _axis(found, 1, field=column_field, sweep=sweep, name="columns")
    return Pivot(
        row_field=question.rows,
        column_field=question.columns,
        metric=metric.text,
        mode=metric.mode,
        aggregate=question.aggregate,
        replicates=question.replicates,
        threshold=question.threshold,
        rows=tuple(rows),
        columns=tuple(columns),
        cells=_laid_out(found, rows, columns),
    )


def _reach(question: PivotQuestion, metric: NamedMetric) -> Reach | None:
    if question.aggregate != "share":
        if question.threshold is not None:
            raise ParameterError(
                f"goes with aggregate share alone, not {question.aggregate}", "threshold"
            )
        return None
    if question.threshold is None:
        raise ParameterError(
            "is needed for aggregate share: the value that a trial should reach", "threshold"
        )
    return Reach(question.threshold, metric.need_mode())


def _cells(
    store: Store,
    sweep_id: str,
    grouping: Grouping,
    aggregate: Aggregate,
    reach: Reach | None,
) -> Cells:
    if aggregate in ("mean", "median"):
        make = _mean if aggregate == "mean" else _median
        return [
            (labels, make(values) if values else None)
            for labels, values in store.group_values(sweep_id, grouping)
        ]
    read = _SUMMARIES[aggregate]
    return [
        (summary.labels, read(summary)) for summary in store.summarise(sweep_id, grouping, reach)
    ]


def _mean(values: list[float]) -> Cell:
    found = interval(values)
    return Cell(value=found.mean, count=len(values), low=found.low, high=found.high)


def _median(values: list[float]) -> Cell:
    return Cell(value=statistics.median(values), count=len(values))


def _of_values(value: float | None, count: int) -> Cell | None:
    return None if value is None else Cell(value=value, count=count)


_SUMMARIES: dict[Aggregate, Callable[[GroupSummary], Cell | None]] = {
    "max": lambda s: _of_values(s.highest, s.valued),
    "min": lambda s: _of_values(s.lowest, s.valued),
    "count": lambda s: Cell(value=s.units, count=s.units),
    "share": lambda s: Cell(value=s.reached / s.reported, count=s.reported) if s.reported else None,
}


def _axis(found: Cells, place: int, *, field: Field, sweep: SweepRecord, name: str) -> list[Label]:
    labels = ordered((labels[place] for labels, _ in found), field, sweep.spec)
    if len(labels) > MAX_LABELS or len(found) > _MAX_CELLS:
        raise ParameterError(
            f"has {len(labels):,} values; a pivot shows {MAX_LABELS:,} at most: choose a field "
            "with fewer, or narrow the filter",
            name,
        )
    return labels


def _laid_out(
    found: Cells, rows: list[Label], columns: list[Label]
) -> tuple[tuple[Cell | None, ...], ...]:
    by_key = {(label_key(row), label_key(column)): cell for (row, column), cell in found}
    column_keys = [label_key(column) for column in columns]
    return tuple(
        tuple(by_key.get((label_key(row), column)) for column in column_keys) for row in rows
    )
