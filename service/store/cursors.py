"""Cursors: opaque text that says where the next page starts.

A cursor holds the last row's position and a digest of what was asked, so that one
used with another question is refused rather than answered wrongly.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sweep.errors import QueryError

_DIGEST_CHARS = 12


def encode(position: Sequence[Any], *, question: object) -> str:
    """The cursor for a position in the answers to a question."""
    text = json.dumps([_digest(question), list(position)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, *, question: object, length: int | None = None) -> list[Any]:
    """The position, of that length or of one value or more, that a cursor holds.

    Raises:
        QueryError: when it is no cursor, or one of another question.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        digest, position = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, binascii.Error, TypeError, RecursionError):
        raise QueryError(f"the cursor {cursor!r:.100} is not one of this service's") from None
    if digest != _digest(question):
        raise QueryError("the cursor belongs to a list with another filter or sort")
    fits = isinstance(position, list) and len(position) == (length or max(len(position), 1))
    if not fits or not _plain(position):
        raise QueryError(f"the cursor {cursor!r:.100} is not one of this service's")
    found: list[Any] = position
    return found


def decode_int(cursor: str | None, *, question: object, start: int) -> int:
    """The position of a list that is ordered by one integer."""
    if cursor is None:
        return start
    (position,) = decode(cursor, question=question, length=1)
    if isinstance(position, bool) or not isinstance(position, int) or abs(position) > 2**62:
        raise QueryError(f"the cursor {cursor!r:.100} is not one of this service's")
    return position


def _plain(position: list[Any]) -> bool:
    return all(
        value is None
        or (isinstance(value, str) and "\x00" not in value)
        or (isinstance(value, int | float) and abs(value) <= 2**63 - 1)
        for value in position
    )


def _digest(question: object) -> str:
    return hashlib.sha256(repr(question).encode()).hexdigest()[:_DIGEST_CHARS]
