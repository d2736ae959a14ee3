"""Archives of code between the store and who asks for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import IO

from service.code.checking import check
from service.settings import Settings
from service.store.code import CodeStore, NewCode
from sweep.errors import BadCode
from sweep.records import CodeLimits, CodeRecord

CHUNK_BYTES = 1 << 20
IN_MEMORY_BYTES = 1 << 20
"""A longer archive lies in a file without a name while it is worked on."""


@dataclass(frozen=True)
class Upload:
    """A body that has come in whole."""

    file: IO[bytes]
    size: int
    digest: str


def keep(
    store: CodeStore, upload: Upload, digest: str, *, by: str, now: datetime, limits: CodeLimits
) -> CodeRecord:
    """Check an archive and keep it.

    Args:
        store: where to keep it.
        upload: what came.
        digest: the hash that its bytes should have.
        by: who sent it.
        now: the time.
        limits: what it may be.

    Raises:
        BadCode: saying what is wrong with it.
    """
    if upload.digest != digest:
        raise BadCode(
            f"its bytes have the SHA-256 {upload.digest}, and the address says {digest}: it "
            "changed on its way, or was cut off"
        )
    checked = check(upload.file, upload.size, limits)
    new = NewCode(
        digest=digest,
        size=upload.size,
        files=checked.files,
        unpacked=checked.unpacked,
        created_by=by,
        created_at=now,
    )
    upload.file.seek(0)
    return store.add_code(new, iter(lambda: upload.file.read(CHUNK_BYTES), b""))


def read_chunks(store: CodeStore, digest: str) -> Iterator[bytes]:
    """An archive's bytes, a piece at a time."""
    for seq in count():
        chunk = store.code_chunk(digest, seq)
        if chunk is None:
            return
        yield chunk


def remove_unused(store: CodeStore, settings: Settings, *, now: datetime) -> None:
    """Remove archives that no sweep names and that were not used for a while."""
    keep_for = timedelta(hours=settings.code_keep_hours)
    store.remove_unused_code(used_before=now - keep_for, now=now)
