"""A filter as a tree of values, apart from how it is written or evaluated."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Comparator = Literal["==", "!=", "<", "<=", ">", ">="]
TextTest = Literal["contains", "icontains", "startswith", "endswith", "matches"]
Source = Literal["column", "parameter", "last", "min", "max", "at"]


@dataclass(frozen=True)
class Moment:
    """A time told from now on: `now-1h`."""

    offset_s: float = 0


Constant = str | float | int | bool | datetime | Moment | None


@dataclass(frozen=True)
class Field:
    """A field: `state`, `parameters.lr`, `metrics.loss`, `min.loss`, `metrics.loss@100`."""

    source: Source
    path: tuple[str, ...]
    """The column's name, the parameter's nested path, or the metric's name.

    Empty for a whole mapping, which a projection alone may name.
    """
    step: int | None = None
    """With source `at`: the step of the report."""


@dataclass(frozen=True)
class Compare:
    """A comparison with a constant. False for a null or missing field, except with null."""

    field: Field
    comparator: Comparator
    value: Constant


@dataclass(frozen=True)
class Test:
    """A test of a text field; false for what is no text.

    `matches` takes a pattern for the whole text in which `*` stands for any characters and
    `?` for one. `icontains` takes the letters A to Z and a to z as the same.
    """

    __test__ = False  # for pytest, which collects by name

    field: Field
    test: TextTest
    value: str


@dataclass(frozen=True)
class In:
    """The field equals one of the constants."""

    field: Field
    values: tuple[Constant, ...]


@dataclass(frozen=True)
class Has:
    """The list that the field is holds the text."""

    field: Field
    value: str


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


Filter = Compare | Test | In | Has | Not | All | Any


@dataclass(frozen=True)
class SortKey:
    """A field to order by."""

    field: Field
    descending: bool = False


@dataclass(frozen=True)
class Named:
    """A field to answer, under the name by which it was asked for."""

    name: str
    field: Field
