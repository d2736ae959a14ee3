"""Batches stay small whatever their rows hold."""

from collections.abc import Iterator

import pyarrow.ipc

from service.exports.arrow import arrow_stream
from service.exports.columns import ExportColumn
from service.query.ast import Field

COLUMN = ExportColumn("error", Field("column", ("error",)), "text")


def rows(count: int, length: int) -> Iterator[tuple[str]]:
    return (("x" * length,) for _ in range(count))


def batches(count: int, length: int) -> list[int]:
    stream = b"".join(arrow_stream([COLUMN], rows(count, length)))
    return [batch.num_rows for batch in pyarrow.ipc.open_stream(stream)]


def test_rows_go_out_by_thousands() -> None:
    assert batches(9_000, 1) == [4_096, 4_096, 808]
    assert batches(4_096, 1) == [4_096]
    assert batches(0, 0) == []


def test_long_texts_go_out_sooner() -> None:
    assert batches(200, 100_000) == [81, 81, 38]
    chunks = list(arrow_stream([COLUMN], rows(200, 100_000)))
    assert max(map(len, chunks)) < 10_000_000
