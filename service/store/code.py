"""What the store keeps of users' code: the part of `Store` for archives."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sweep.errors import FieldProblem, SpecError
from sweep.records import CodeRecord


@dataclass(frozen=True)
class NewCode:
    """A checked archive."""

    digest: str
    """The SHA-256 of its bytes, in hexadecimal."""
    size: int
    files: int
    unpacked: int
    created_by: str
    created_at: datetime


class CodeStore(Protocol):
    """Keeps archives by the SHA-256 of their bytes, in pieces; see `Store` for what holds of all.

    An archive is used when it is uploaded, asked about, and named by a new sweep. One that
    no sweep names is removed some time after its last use.
    """

    def add_code(self, new: NewCode, chunks: Iterable[bytes]) -> CodeRecord:
        """Keep an archive, unless it is there; what is known of it. Event: code.added."""
        ...

    def use_code(self, digest: str, *, now: datetime) -> CodeRecord:
        """What is known of an archive, which counts as a use. Raises `NotFound`."""
        ...

    def code_of(self, sweep_id: str) -> CodeRecord:
        """The archive that a sweep names. Raises `NotFound`."""
        ...

    def code_chunk(self, digest: str, seq: int) -> bytes | None:
        """A piece of an archive, from 0 on; None past the last."""
        ...

    def remove_unused_code(self, *, used_before: datetime, now: datetime) -> None:
        """Remove archives that no sweep names. Event: code.removed, of each."""
        ...


def unknown_code(address: str) -> SpecError:
    """The error for a spec that names an archive which is not there."""
    message = (
        f"there is no code {address}: upload it with `sweep submit FILE --code FOLDER`, which "
        "sets this field"
    )
    return SpecError([FieldProblem("code", message)])
