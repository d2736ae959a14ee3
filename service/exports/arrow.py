"""Arrow streams and Parquet files, written as their rows come.

pyarrow is loaded by the first export that needs it: the service starts without it.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from service.exports.columns import ExportColumn, Kind

if TYPE_CHECKING:
    import pyarrow

_ROWS = 4_096
"""In a batch of a stream, and in a row group of a Parquet file."""

_CHARACTERS = 8_000_000
"""Texts in a batch, about: a trial's error may be long."""

Row = tuple[Any, ...]


def arrow_stream(columns: Sequence[ExportColumn], rows: Iterable[Row]) -> Iterator[bytes]:
    """An Arrow IPC stream."""
    import pyarrow.ipc

    return _written(pyarrow.ipc.new_stream, columns, rows)


def parquet(columns: Sequence[ExportColumn], rows: Iterable[Row]) -> Iterator[bytes]:
    """A Parquet file."""
    import pyarrow.parquet

    return _written(pyarrow.parquet.ParquetWriter, columns, rows)


def _written(
    make_writer: Callable[..., Any], columns: Sequence[ExportColumn], rows: Iterable[Row]
) -> Iterator[bytes]:
    import pyarrow

    schema = pyarrow.schema([(column.name, _type(column.kind)) for column in columns])
    sink = _Sink()
    with make_writer(sink, schema) as writer:
        for batch in _batches(columns, schema, rows):
            writer.write_batch(batch)
            yield sink.drain()
    yield sink.drain()


def _batches(
    columns: Sequence[ExportColumn], schema: "pyarrow.Schema", rows: Iterable[Row]
) -> Iterator["pyarrow.RecordBatch"]:
    import pyarrow

    for chunk in _chunks(rows):
        arrays = [
            pyarrow.array(_cells(column, values), type=field.type)
            for column, field, values in zip(columns, schema, zip(*chunk, strict=True), strict=True)
        ]
        yield pyarrow.record_batch(arrays, schema=schema)


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    held = 0
    for row in rows:
        chunk.append(row)
        held += sum(len(value) for value in row if isinstance(value, str))
        if len(chunk) == _ROWS or held > _CHARACTERS:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _cells(column: ExportColumn, values: Sequence[Any]) -> Sequence[Any]:
    return list(map(column.cell, values)) if column.field.source == "parameter" else values


def _type(kind: Kind) -> "pyarrow.DataType":
    import pyarrow

    match kind:
        case "integer":
            return pyarrow.int64()
        case "number":
            return pyarrow.float64()
        case "boolean":
            return pyarrow.bool_()
        case "time":
            return pyarrow.timestamp("us", tz="UTC")
    return pyarrow.string()


class _Sink(io.RawIOBase):
    """A file that hands on what is written to it and keeps nothing."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def drain(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
