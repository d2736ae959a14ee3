"""Texts that fields have, for completion."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select

from service.query.ast import Named
from service.query.fields import SWEEPS, TRIALS
from service.store.sql.filters import Compiler
from service.store.sql.readings import Expression, Reading
from service.store.sql.sweeps import find
from service.store.tables import sweeps, trials


def texts(
    connection: Connection, sweep_id: str | None, fields: Sequence[Named], *, limit: int
) -> Mapping[str, Sequence[str]]:
    """Some texts that each field has among a sweep's trials, or among all sweeps."""
    compiler = Compiler(connection.dialect.name, SWEEPS if sweep_id is None else TRIALS)
    found: dict[str, Sequence[str]] = {}
    for named in fields:
        text = _text(compiler.read(named.field), sqlite=connection.dialect.name == "sqlite")
        if text is None:
            continue
        every = select(text.label("text"))
        if sweep_id is None:
            every = every.select_from(sweeps)
        else:
            mine = trials.c.sweep_pk == find(connection, sweep_id).pk
            every = every.select_from(trials).where(mine)
        each = every.subquery()
        some = select(each.c.text).where(each.c.text.is_not(None)).distinct().limit(limit)
        found[named.name] = sorted(connection.execute(some).scalars())
    return found


def _text(reading: Reading, *, sqlite: bool) -> Expression | None:
    if reading.members is None:
        return reading.text
    if sqlite:
        return func.json_each(reading.members).table_valued("value", joins_implicitly=True).c.value
    return func.jsonb_array_elements_text(reading.members)
