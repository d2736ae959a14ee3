"""Filters and sorts evaluated in plain Python, over one trial at a time."""

from collections.abc import Mapping
from typing import Any as Anything

from service.query.ast import All, Any, Compare, Constant, Field, Filter, In, Not, SortKey
from service.query.fields import COLUMNS
from sweep.rows import TrialRow

SortValue = tuple[float | None, str | None]
"""A field's value as a number and as text; one of them, or both, None."""


def matches(filter_: Filter, row: TrialRow) -> bool:
    """Whether a trial passes a filter."""
    match filter_:
        case Compare():
            return _compare(value_of(filter_.field, row), filter_)
        case In():
            value = value_of(filter_.field, row)
            return any(_equal(value, constant) for constant in filter_.values)
        case Not():
            return not matches(filter_.operand, row)
        case All():
            return all(matches(operand, row) for operand in filter_.operands)
        case Any():
            return any(matches(operand, row) for operand in filter_.operands)


def value_of(field: Field, row: TrialRow) -> Anything:
    """The field's value; None when it is missing or is no scalar."""
    if field.source == "column":
        return getattr(row, field.path[0])
    sources = {
        "parameter": row.parameters,
        "last": row.last,
        "min": row.minimum,
        "max": row.maximum,
    }
    value: Anything = sources[field.source]
    for part in field.path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def sort_value(key: SortKey, row: TrialRow) -> SortValue:
    """The field's value on its two scales."""
    value = value_of(key.field, row)
    if key.field.source == "column" and COLUMNS[key.field.path[0]] == "text":
        return None, None if value is None else str(value)
    if isinstance(value, str):
        return None, value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value), None
    return None, None


def _compare(value: Anything, comparison: Compare) -> bool:
    constant = comparison.value
    match comparison.comparator:
        case "==":
            return _equal(value, constant)
        case "!=":
            if constant is None:
                return value is not None
            return _kind(value) == _kind(constant) and not _equal(value, constant)
        case "contains":
            return isinstance(value, str) and str(constant) in value
    if _kind(value) != _kind(constant):
        return False
    left: Anything = value if isinstance(value, str) else float(value)
    right: Anything = constant
    match comparison.comparator:
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)


def _equal(value: Anything, constant: Constant) -> bool:
    if constant is None:
        return value is None
    if _kind(value) != _kind(constant):
        return False
    return bool(float(value) == constant if _kind(value) == "number" else value == constant)


def _kind(value: Anything) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"
