"""Lists of the store, walked through page by page."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from sweep.records import Page

Item = TypeVar("Item")


def every(page_from: Callable[[str | None], Page[Item]]) -> Iterator[Item]:
    """All items of a list, given how to read its page from a cursor on: None for the first."""
    cursor: str | None = None
    while True:
        page = page_from(cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return
