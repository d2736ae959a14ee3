"""A sweep's trials in the format and layout that is asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from service.exports.arrow import arrow_stream, parquet
from service.exports.columns import Catalogue, ExportColumn
from service.query.ast import Compare, Field, Named
from service.store.interface import Store, TrialQuery
from sweep.errors import QueryError
from sweep.exporting import csv_cell, csv_line, metric_names, published_csv
from sweep.records import Origin, SweepRecord
from sweep.trainables import Trainable, find

Format = Literal["csv", "parquet", "arrow"]
Layout = Literal["trials", "published"]

MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}

_LINES = 500
_ADDED = TrialQuery(filter=Compare(Field("column", ("origin",)), "==", Origin.USER.value))
_PARAMETERS = Named("parameters", Field("parameter", ()))


@dataclass(frozen=True)
class Export:
    """What is asked for."""

    format: Format
    layout: Layout
    query: TrialQuery
    fields: tuple[Named, ...] = ()

    def check(self) -> None:
        """Raise `QueryError` when parts of it do not go together."""
        if self.layout == "published" and self.format != "csv":
            message = f"the published layout is CSV, not {self.format}: use layout=trials"
            raise QueryError(message, part="layout")
        if self.layout == "published" and self.fields:
            raise QueryError("the published layout has columns of its own", part="fields")


def export(
    store: Store, sweep: SweepRecord, asked: Export, *, trainables: Mapping[str, Trainable]
) -> Iterator[bytes]:
    """The file's bytes, in constant memory.

    Raises:
        QueryError: when what is asked for does not go together.
        SpecError: when the trainable declares no published layout.
    """
    asked.check()
    if asked.layout == "published":
        trainable = find(sweep.spec.trainable, trainables)
        found = store.stream_trials(sweep.id, asked.query)
        return _text(published_csv(trainable, sweep.spec.metric, found))
    metrics = metrics_of(store, sweep, trainables)
    catalogue = catalogue_of(store, sweep, metrics)
    columns = catalogue.asked(asked.fields) if asked.fields else catalogue.standard()
    named = [Named(column.name, column.field) for column in columns]
    return _FORMATS[asked.format](columns, store.stream_fields(sweep.id, asked.query, named))


def metrics_of(
    store: Store, sweep: SweepRecord, trainables: Mapping[str, Trainable]
) -> Sequence[str]:
    """The metrics that a sweep's trials may have."""
    known = trainables.get(sweep.spec.trainable)
    names = metric_names(sweep.spec, known, list)
    if known is not None and known.metrics:
        return names
    return sorted({*names, *store.metric_names(sweep.id)})


def catalogue_of(store: Store, sweep: SweepRecord, metrics: Sequence[str]) -> Catalogue:
    """The columns that a sweep's trials may have, those of added trials too."""
    added = (row[0] for row in store.stream_fields(sweep.id, _ADDED, [_PARAMETERS]))
    return Catalogue.of(sweep.spec, metrics, added)


def _csv(columns: Sequence[ExportColumn], rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    def lines() -> Iterator[str]:
        yield csv_line([column.name for column in columns])
        for row in rows:
            cells = (column.cell(v) for column, v in zip(columns, row, strict=True))
            yield csv_line(list(map(csv_cell, cells)))

    return _text(lines())


def _text(lines: Iterator[str]) -> Iterator[bytes]:
    while chunk := list(islice(lines, _LINES)):
        yield "".join(chunk).encode()


_FORMATS: Mapping[
    Format, Callable[[Sequence[ExportColumn], Iterable[tuple[Any, ...]]], Iterator[bytes]]
] = {"csv": _csv, "parquet": parquet, "arrow": arrow_stream}
