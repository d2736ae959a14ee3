"""Lists of the service, fetched as they are walked through, and as tables."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, TypeAdapter

from sweep.errors import SweepError
from sweep.exporting import flat_row
from sweep.records import Page, TrialRecord

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Item = TypeVar("Item")

_PAGE = 500


class Reader(Protocol):
    """What a list needs of a client."""

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """A body whole."""
        ...

    def stream(
        self, path: str, parameters: Mapping[str, Any]
    ) -> AbstractContextManager[Iterator[bytes]]:
        """A body in pieces."""
        ...


class Listing(Generic[Item]):
    """A list of the service, fetched page by page as it is walked through."""

    def __init__(self, client: Reader, path: str, kind: Any, parameters: Mapping[str, Any]) -> None:
        self._client = client
        self._path = path
        self._page: TypeAdapter[Page[Item]] = TypeAdapter(Page[kind])
        self._parameters = {k: v for k, v in parameters.items() if v is not None}

    def __iter__(self) -> Iterator[Item]:
        cursor: str | None = None
        while True:
            page = self.page(limit=_PAGE, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def page(self, *, limit: int, cursor: str | None = None) -> Page[Item]:
        """One page."""
        parameters = {**self._parameters, "limit": limit}
        if cursor is not None:
            parameters["cursor"] = cursor
        return self._page.validate_json(self._client.get(self._path, parameters))

    def to_pandas(self) -> "pandas.DataFrame":
        """All items as a table; nested fields become columns with dots.

        Raises:
            SweepError: when pandas is not installed.
        """
        return _pandas().json_normalize([_plain(item) for item in self])


class CountedListing(Listing[Item]):
    """A list of which the service tells the length."""

    def count(self) -> int:
        """How many items there are."""
        parameters = {**self._parameters, "count": True, "limit": 1}
        page = json.loads(self._client.get(self._path, parameters))
        return int(page["count"])


class SweepListing(CountedListing[Item]):
    """Sweeps."""

    def select(self, *fields: str) -> CountedListing[Mapping[str, Any]]:
        """Only those fields of each, under their names."""
        parameters = {**self._parameters, "fields": ",".join(fields)}
        return CountedListing(self._client, self._path, dict[str, Any], parameters)


class _TrialTable(CountedListing[Item]):
    """Trials, whose tables come as one stream."""

    def __init__(self, client: Reader, path: str, kind: Any, parameters: Mapping[str, Any]) -> None:
        super().__init__(client, path, kind, parameters)
        self._export = path.removesuffix("trials") + "export"

    def to_arrow(self) -> "pyarrow.Table":
        """All of them as an Arrow table, a column a parameter, metric and field.

        Raises:
            SweepError: when pyarrow is not installed.
        """
        try:
            import pyarrow.ipc
        except ImportError:
            raise _missing("pyarrow", "polars") from None
        parameters = {**self._parameters, "format": "arrow"}
        with self._client.stream(self._export, parameters) as chunks:
            return pyarrow.ipc.open_stream(io.BufferedReader(_Chunks(chunks))).read_all()

    def to_polars(self) -> "polars.DataFrame":
        """As `to_arrow`, for Polars.

        Raises:
            SweepError: when Polars or pyarrow is not installed.
        """
        try:
            import polars
        except ImportError:
            raise _missing("polars", "polars") from None
        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    def to_pandas(self) -> "pandas.DataFrame":
        """As `to_arrow`, for pandas; page by page where pyarrow is not installed.

        Raises:
            SweepError: when pandas is not installed.
        """
        pandas = _pandas()
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            return pandas.DataFrame([self._flat(item) for item in self])
        return self.to_arrow().to_pandas()

    def _flat(self, item: Any) -> Mapping[str, Any]:
        return item if isinstance(item, Mapping) else flat_row(item)


class RowListing(_TrialTable[Mapping[str, Any]]):
    """Some fields of trials."""


class TrialListing(_TrialTable[TrialRecord]):
    """Trials."""

    def select(self, *fields: str) -> RowListing:
        """Only those fields of each, under their names: `index`, `parameters.lr`, `best`."""
        parameters = {**self._parameters, "fields": ",".join(fields)}
        return RowListing(self._client, self._path, dict[str, Any], parameters)


class _Chunks(io.RawIOBase):
    """A body that comes in pieces, as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            found = next(self._chunks, None)
            if found is None:
                return 0
            self._left = found
        taken, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _plain(item: Any) -> Any:
    return item.model_dump(mode="json") if isinstance(item, BaseModel) else item


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise _missing("pandas", "pandas") from None
    return pandas


def _missing(package: str, extra: str) -> SweepError:
    return SweepError(f"this needs {package}: pip install 'sweep-service[{extra}]'")
