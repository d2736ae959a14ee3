"""Trials grouped in SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, case, false, func, select

from service.store.analysis import Grouping, GroupSummary, Reach
from service.store.sql.filters import Compiler
from service.store.sql.grouping import LabelReader, Labels, merged, metric_value
from service.store.sql.scans import in_order_of_rows
from service.store.sql.sweeps import find
from service.store.tables import trials
from sweep.analysis import Mode
from sweep.states import TrialState

_EXACT = "%!.17g"
"""SQLite writes a double so that reading it gives the same double."""


def summarise(
    connection: Connection, sweep_id: str, grouping: Grouping, reach: Reach | None
) -> list[GroupSummary]:
    """Counts and extremes of each group."""
    reader, inner = _units(connection, sweep_id, grouping)
    names = [column.name for column in reader.columns]
    unit = inner.subquery()
    reached = false() if reach is None else _reaches(unit.c.value, reach)
    query = (
        select(
            *(unit.c[name] for name in names),
            func.count(),
            func.sum(case((unit.c.reports > 0, 1), else_=0)),
            func.count(unit.c.value),
            func.min(unit.c.value),
            func.max(unit.c.value),
            func.sum(case((reached, 1), else_=0)),
        )
        .group_by(*(unit.c[name] for name in names))
        .limit(grouping.limit)
    )
    rows = ((reader.labels(row), _summary(row[len(names) :])) for row in connection.execute(query))
    return [_labelled(labels, row) for labels, row in merged(rows, _join)]


def group_values(
    connection: Connection, sweep_id: str, grouping: Grouping
) -> list[tuple[Labels, list[float]]]:
    """The values of each group, brought together by SQL: far fewer rows to fetch."""
    reader, inner = _units(connection, sweep_id, grouping)
    unit = inner.subquery()
    names = [unit.c[column.name] for column in reader.columns]
    there = unit.c.value.is_not(None)
    if connection.dialect.name == "sqlite":
        exact = case((there, func.printf(_EXACT, unit.c.value)))
        together: Any = func.group_concat(exact)
    else:
        together = func.array_agg(unit.c.value).filter(there)
    query = select(*names, together).group_by(*names).limit(grouping.limit)
    rows = ((reader.labels(row), _floats(row[-1])) for row in connection.execute(query))
    return merged(rows, list.__add__)


def group_states(
    connection: Connection, sweep_id: str, grouping: Grouping
) -> list[tuple[Labels, TrialState, int]]:
    """The trials of each group by state."""
    reader, inner = _units(connection, sweep_id, grouping)
    unit = inner.subquery()
    keys = [*(unit.c[column.name] for column in reader.columns), unit.c.state]
    query = select(*keys, func.count()).group_by(*keys)
    rows = (((*reader.labels(row), row[-2]), row[-1]) for row in connection.execute(query))
    joined = merged(rows, int.__add__)
    return [(labels[:-1], TrialState(labels[-1]), count) for labels, count in joined]


def group_best(
    connection: Connection, sweep_id: str, grouping: Grouping, mode: Mode
) -> list[tuple[Labels, int, float]]:
    """The best trial of each group."""
    reader, inner = _units(connection, sweep_id, grouping)
    unit = inner.subquery()
    names = [unit.c[column.name] for column in reader.columns]
    value = unit.c.value.desc() if mode == "max" else unit.c.value.asc()
    place = func.row_number().over(partition_by=names, order_by=[value, unit.c["index"]])
    placed = (
        select(*names, unit.c["index"], unit.c.value, place.label("place"))
        .where(unit.c.value.is_not(None))
        .subquery()
    )
    query = select(placed).where(placed.c.place == 1).limit(grouping.limit)
    sign = -1 if mode == "max" else 1
    rows = ((reader.labels(row), (sign * row[-2], row[-3])) for row in connection.execute(query))
    return [(labels, index, sign * value) for labels, (value, index) in merged(rows, min)]


def _units(
    connection: Connection, sweep_id: str, grouping: Grouping
) -> tuple[LabelReader, Select[Any]]:
    """What counts as one, with its labels, value and reports; of trials, state and index too."""
    dialect = connection.dialect.name
    compiler = Compiler(dialect, now=grouping.which.now)
    reader = LabelReader(grouping.by, compiler)
    value = metric_value(grouping.value, compiler)
    mine = trials.c.sweep_pk == find(connection, sweep_id).pk
    if grouping.which.filter is not None:
        mine = and_(mine, compiler.condition(grouping.which.filter))
    columns = [*reader.columns, value.label("value"), trials.c.reports]
    own = trials.c.assignment if grouping.unit == "assignment" else trials.c["index"]
    read = select(*columns, trials.c.state, own).where(mine)
    if compiler.sqlite:
        read = in_order_of_rows(read)
    if grouping.unit == "trial":
        return reader, read
    each = read.subquery()
    keys = [*(each.c[column.name] for column in reader.columns), each.c.assignment]
    means = select(
        *keys, func.avg(each.c.value).label("value"), func.max(each.c.reports).label("reports")
    )
    return reader, means.group_by(*keys)


def _reaches(value: Any, reach: Reach) -> Any:
    return value >= reach.threshold if reach.mode == "max" else value <= reach.threshold


Summary = tuple[int, int, int, float | None, float | None, int]


def _summary(row: Sequence[Any]) -> Summary:
    units, reported, valued, lowest, highest, reached = row
    return int(units), int(reported), int(valued), lowest, highest, int(reached)


def _labelled(labels: Labels, row: Summary) -> GroupSummary:
    return GroupSummary(labels, *row)


def _join(a: Summary, b: Summary) -> Summary:
    lows = [x for x in (a[3], b[3]) if x is not None]
    highs = [x for x in (a[4], b[4]) if x is not None]
    return (
        a[0] + b[0],
        a[1] + b[1],
        a[2] + b[2],
        min(lows, default=None),
        max(highs, default=None),
        a[5] + b[5],
    )


def _floats(together: Any) -> list[float]:
    if together is None:
        return []
    return list(map(float, together.split(","))) if isinstance(together, str) else together
