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
        selected = select(text.label("example")).where(text.is_not(None)).distinct().limit(limit)
        if sweep_id is None:
            selected = selected.select_from(sweeps)
        else:
            mine = trials.c.sweep_pk == find(connection, sweep_id).pk
            selected = selected.select_from(trials).where(mine)
        found[named.name] = sorted(connection.execute(selected).scalars())
    return found


def _text(reading: Reading, *, sqlite: bool) -> Expression | None:
    if reading.members is None:
        return reading.text
    if sqlite:
        return func.json_each(reading.members).table_valued("value", joins_implicitly=True).c.value
    members = func.jsonb_array_elements_text(reading.members)
    return members.table_valued("value", joins_implicitly=True).c.value
