"""How SQLite reads many of a sweep's trials: in the order of their rows."""

from typing import Any

from sqlalchemy import ColumnElement, Select, UnaryExpression
from sqlalchemy.sql.operators import custom_op
from sqlalchemy.sql.visitors import replacement_traverse

from service.store.tables import trials


def in_order_of_rows(selected: Select[Any]) -> Select[Any]:
    """The same trials of one sweep, found by their index.

    SQLite would take the index on `best`, for any range of it and also for the sweep alone;
    in its order rows lie scattered over the file, which takes several times as long.
    PostgreSQL reads the same rows with or without.
    """
    found: Any = replacement_traverse(selected, {}, _off_its_index)
    in_order: Select[Any] = found.where(trials.c["index"] >= 0)
    return in_order


def off_its_index(condition: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same condition, for which SQLite does not take the index on `best`."""
    found: Any = replacement_traverse(condition, {}, _off_its_index)
    same: ColumnElement[Any] = found
    return same


def _off_its_index(element: Any, **_: Any) -> ColumnElement[Any] | None:
    if element is not trials.c.best:
        return None
    return UnaryExpression(trials.c.best, operator=custom_op("+"), type_=trials.c.best.type)
