"""The fields of trials and sweeps, read from their tables on the scale that is asked for.

A parameter has no type of its own, so it is read through a CASE that gives it on one scale
(number, text, boolean) and NULL on the others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Integer,
    Text,
    case,
    cast,
    extract,
    func,
    literal,
    null,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from service.query.ast import Field
from service.query.fields import SWEEPS, TRIALS, Entity
from service.store.sql.json_values import PLAIN, kind_and_value
from service.store.tables import UtcDateTime, reports, sweeps, trials

Expression = ColumnElement[Any]


@dataclass(frozen=True)
class Reading:
    """A field on each of its scales; None for those that it is never on."""

    is_null: Expression
    number: Expression | None = None
    text: Expression | None = None
    time: Expression | None = None
    boolean: Expression | None = None
    """As the text 'true' or 'false'."""
    members: Expression | None = None
    """A list of texts."""
    nullable: bool = True
    may_equal: Callable[[str], Expression] | None = None
    """What holds wherever the text is a given one, and costs less to find out."""


class Reader:
    """Reads one kind of row's fields in one dialect."""

    def __init__(self, entity: Entity, dialect: str, *, now: datetime | None = None) -> None:
        self.entity = entity
        self.sqlite = dialect == "sqlite"
        self.now = now
        self._columns = _COLUMNS[entity.noun]

    def read(self, field: Field) -> Reading:
        """A field."""
        match field.source:
            case "column":
                return self._column(field.path[0])
            case "parameter":
                return self._parameter(field.path)
            case "at":
                return self._at(field)
        column = _METRICS[field.source]
        return self._metric(column, field.path)

    def _column(self, name: str) -> Reading:
        found = self._columns[name]
        expression = found if isinstance(found, ColumnElement) else found(self)
        nullable = expression.nullable is not False if isinstance(expression, Column) else True
        is_null = expression.is_(None)
        match self.entity.columns[name]:
            case "text":
                return Reading(is_null, text=expression, nullable=nullable)
            case "time":
                return Reading(is_null, time=expression, nullable=nullable)
            case "list":
                return Reading(is_null, members=expression, nullable=nullable)
        return Reading(is_null, number=expression, nullable=nullable)

    def _parameter(self, path: tuple[str, ...]) -> Reading:
        kind, value = kind_and_value(trials.c.parameters, path, sqlite=self.sqlite)
        numbers = ("integer", "real") if self.sqlite else ("number",)
        texts = "text" if self.sqlite else "string"
        if self.sqlite:
            boolean = case((kind.in_(("true", "false")), kind))
        else:
            boolean = case((kind == "boolean", cast(value, Text)))
        return Reading(
            func.coalesce(kind, "null") == "null",
            number=case((kind.in_(numbers), cast(value, Float(53)))),
            text=case((kind == texts, cast(value, Text))),
            boolean=boolean,
            may_equal=lambda text: self._may_equal(path, value, text),
        )

    def _may_equal(self, path: tuple[str, ...], value: Expression, text: str) -> Expression:
        """Without reading the document where its text tells, on PostgreSQL by an index."""
        if self.sqlite:
            if not PLAIN.fullmatch(text):
                return value == text
            return func.instr(trials.c.parameters, literal(f'"{text}"', Text())) > 0
        member: Any = text
        for part in reversed(path):
            member = {part: member}
        return type_coerce(trials.c.parameters, JSONB).contains(member)

    def _metric(self, column: Expression, path: tuple[str, ...]) -> Reading:
        _, value = kind_and_value(column, path, sqlite=self.sqlite)
        return Reading(value.is_(None), number=cast(value, Float(53)))

    def _at(self, field: Field) -> Reading:
        _, value = kind_and_value(reports.c["values"], field.path, sqlite=self.sqlite)
        found = (
            select(cast(value, Float(53)))
            .where(reports.c.trial_pk == trials.c.pk, reports.c.step == field.step)
            .correlate(trials)
            .scalar_subquery()
        )
        return Reading(found.is_(None), number=found)

    def duration(self, start: Expression, end: Expression) -> Expression:
        """Seconds between two times, the second of them by default now; exact to the µs."""
        now = null() if self.now is None else literal(self.now, UtcDateTime())
        until = func.coalesce(end, now, type_=UtcDateTime())
        if self.sqlite:
            return (_microseconds(until) - _microseconds(start)) / 1_000_000.0
        return cast(extract("epoch", until - start), Float(53))


def _microseconds(moment: Expression) -> Expression:
    """Of SQLite's text; its own functions for times are exact to milliseconds alone."""
    seconds = cast(func.strftime("%s", func.substr(moment, 1, 19)), Integer)
    return seconds * 1_000_000 + cast(func.substr(moment, 21, 6), Integer)


def _trial_id(reader: Reader) -> Expression:
    sweep = select(sweeps.c.id).where(sweeps.c.pk == trials.c.sweep_pk).correlate(trials)
    return sweep.scalar_subquery() + "-" + cast(trials.c["index"], Text)


def _best_of_sweep(reader: Reader) -> Expression:
    mine = trials.c.sweep_pk == sweeps.c.pk
    low = select(func.min(trials.c.best)).where(mine).correlate(sweeps).scalar_subquery()
    high = select(func.max(trials.c.best)).where(mine).correlate(sweeps).scalar_subquery()
    return case((sweeps.c.mode == "max", high), else_=low)


_METRICS: Mapping[str, Expression] = {
    "last": trials.c.last,
    "min": trials.c.minimum,
    "max": trials.c.maximum,
}

_COLUMNS: Mapping[str, Mapping[str, Expression | Callable[[Reader], Expression]]] = {
    TRIALS.noun: {
        **{name: trials.c[name] for name in TRIALS.columns if name in trials.c},
        "id": _trial_id,
        "duration": lambda reader: reader.duration(trials.c.started_at, trials.c.ended_at),
    },
    SWEEPS.noun: {
        **{name: sweeps.c[name] for name in SWEEPS.columns if name in sweeps.c},
        "trainable": sweeps.c.spec["trainable"].as_string(),
        "best": _best_of_sweep,
        "duration": lambda reader: reader.duration(sweeps.c.started_at, sweeps.c.ended_at),
    },
}
