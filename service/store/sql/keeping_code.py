"""The part of the store for archives of code: one transaction a method."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Engine

from service.store.code import NewCode
from service.store.sql import code
from service.store.sql.engine import transaction
from sweep.records import CodeRecord


class SqlCode:
    """`service.store.code.CodeStore` over SQLite or PostgreSQL."""

    _engine: Engine

    def add_code(self, new: NewCode, chunks: Iterable[bytes]) -> CodeRecord:
        """See `CodeStore`."""
        with transaction(self._engine, writes=True) as connection:
            return code.add(connection, new, chunks)

    def use_code(self, digest: str, *, now: datetime) -> CodeRecord:
        """See `CodeStore`."""
        with transaction(self._engine, writes=True) as connection:
            return code.use(connection, digest, now=now)

    def code_of(self, sweep_id: str) -> CodeRecord:
        """See `CodeStore`."""
        with transaction(self._engine, writes=False) as connection:
            return code.of_sweep(connection, sweep_id)

    def code_chunk(self, digest: str, seq: int) -> bytes | None:
        """See `CodeStore`."""
        with transaction(self._engine, writes=False) as connection:
            return code.chunk(connection, digest, seq)

    def remove_unused_code(self, *, used_before: datetime, now: datetime) -> None:
        """See `CodeStore`."""
        with transaction(self._engine, writes=True) as connection:
            code.remove_unused(connection, used_before=used_before, now=now)
