"""Filters and sorts evaluated in plain Python, over one row at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any as Anything
from typing import Protocol

from service.query.ast import (
    All,
    Any,
    Compare,
    Constant,
    Field,
    Filter,
    Has,
    In,
    Moment,
    Not,
    SortKey,
    Test,
)
from sweep.plain import find
from sweep.records import SweepRecord
from sweep.rows import TrialRow, trial_id

SortValue = tuple[float | None, str | datetime | None]
"""A field's value as a number and as text or time; one of them, or both, None."""

_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class Subject(Protocol):
    """A row that is asked."""

    now: datetime

    def value_of(self, field: Field) -> Anything:
        """The field's value; None when it is missing."""
        ...


@dataclass(frozen=True)
class TrialSubject:
    """A trial, with its reports by step for the fields that ask for a step."""

    row: TrialRow
    now: datetime
    sweep_id: str = ""
    reports: Mapping[int, Mapping[str, float | None]] = field(default_factory=dict)

    def value_of(self, field: Field) -> Anything:
        """See `Subject`."""
        row = self.row
        match field.source:
            case "column":
                name = field.path[0]
                if name == "duration":
                    return _duration(row.started_at, row.ended_at, self.now)
                return trial_id(self.sweep_id, row.index) if name == "id" else getattr(row, name)
            case "at":
                return self.reports.get(field.step or 0, {}).get(field.path[0])
            case "parameter":
                return find(row.parameters, field.path)
        sources: dict[str, Mapping[str, Anything]]
        sources = {"last": row.last, "min": row.minimum, "max": row.maximum}
        return find(sources[field.source], field.path)


@dataclass(frozen=True)
class SweepSubject:
    """A sweep."""

    record: SweepRecord
    now: datetime

    def value_of(self, field: Field) -> Anything:
        """See `Subject`."""
        record, name = self.record, field.path[0]
        match name:
            case "trainable":
                return record.spec.trainable
            case "metric":
                return record.spec.metric.name
            case "mode":
                return record.spec.metric.mode
            case "best":
                return None if record.best is None else record.best.value
            case "duration":
                return _duration(record.started_at, record.ended_at, self.now)
        return getattr(record, name)


def matches(filter_: Filter, subject: Subject) -> bool:
    """Whether a row passes a filter."""
    match filter_:
        case Compare():
            return _compare(subject, filter_)
        case Test():
            value = subject.value_of(filter_.field)
            return isinstance(value, str) and _test(value, filter_)
        case In():
            value = subject.value_of(filter_.field)
            return any(_equal(value, constant, subject.now) for constant in filter_.values)
        case Has():
            value = subject.value_of(filter_.field)
            return isinstance(value, tuple | list) and filter_.value in value
        case Not():
            return not matches(filter_.operand, subject)
        case All():
            return all(matches(operand, subject) for operand in filter_.operands)
        case Any():
            return any(matches(operand, subject) for operand in filter_.operands)


def sort_value(key: SortKey, subject: Subject) -> SortValue:
    """The field's value on its two scales."""
    value = subject.value_of(key.field)
    match _kind(value):
        case "text":
            return None, str(value)
        case "time":
            return None, value
        case "number":
            return float(value), None
    return None, None


def _duration(start: datetime | None, end: datetime | None, now: datetime) -> float | None:
    return None if start is None else ((end or now) - start).total_seconds()


def _compare(subject: Subject, comparison: Compare) -> bool:
    value, constant = subject.value_of(comparison.field), _fixed(comparison.value, subject.now)
    if comparison.comparator == "==":
        return _equal(value, constant, subject.now)
    if comparison.comparator == "!=" and constant is None:
        return value is not None
    if _kind(value) != _kind(constant) or constant is None:
        return False
    left: Anything = value
    right: Anything = constant
    match comparison.comparator:
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
    return bool(left >= right)


def _test(value: str, test: Test) -> bool:
    match test.test:
        case "contains":
            return test.value in value
        case "icontains":
            return test.value.translate(_LOWER) in value.translate(_LOWER)
        case "startswith":
            return value.startswith(test.value)
        case "endswith":
            return value.endswith(test.value)
    return fnmatchcase(value, test.value.replace("[", "[[]"))


def _equal(value: Anything, constant: Constant, now: datetime) -> bool:
    if constant is None:
        return value is None
    constant = _fixed(constant, now)
    return _kind(value) == _kind(constant) and bool(value == constant)


def _fixed(constant: Constant, now: datetime) -> Constant:
    if isinstance(constant, Moment):
        return now + timedelta(seconds=constant.offset_s)
    return constant


def _kind(value: Anything) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, datetime):
        return "time"
    return "text" if isinstance(value, str) else "other"
