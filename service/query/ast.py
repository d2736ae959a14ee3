"""A filter as a tree of values, apart from how it is written or evaluated."""

from dataclasses import dataclass
from typing import Literal

Constant = str | float | int | bool | None
Comparator = Literal["==", "!=", "<", "<=", ">", ">=", "contains"]
Source = Literal["column", "parameter", "last", "min", "max"]


@dataclass(frozen=True)
class Field:
    """A field of a trial: `state`, `parameters.lr`, `metrics.loss`, `min.loss`, `best`."""

    source: Source
    path: tuple[str, ...]
    """The column's name, the parameter's nested path, or the metric's name."""


@dataclass(frozen=True)
class Compare:
    """A comparison with a constant. False for a null or missing field, except with null."""

    field: Field
    comparator: Comparator
    value: Constant


@dataclass(frozen=True)
class In:
    """The field equals one of the constants."""

    field: Field
    values: tuple[Constant, ...]


@dataclass(frozen=True)
class Not:
    """The operand is false."""

    operand: "Filter"


@dataclass(frozen=True)
class All:
    """Every operand is true."""

    operands: tuple["Filter", ...]


@dataclass(frozen=True)
class Any:
    """Some operand is true."""

    operands: tuple["Filter", ...]


Filter = Compare | In | Not | All | Any


@dataclass(frozen=True)
class SortKey:
    """A field to order by."""

    field: Field
    descending: bool = False
