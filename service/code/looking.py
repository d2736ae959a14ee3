"""Whether the archives that specs name have what their trainables name."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import IO

from service.code.checking import opened
from service.code.keeping import IN_MEMORY_BYTES, read_chunks
from service.store.code import CodeStore, unknown_code
from sweep.code_names import digest_of
from sweep.errors import NotFound
from sweep.lookup import check_trainable
from sweep.submission import Submission

_REMEMBERED = 1_000


class CodeChecks:
    """Checks specs against their archives, and remembers which archive has what.

    An archive never changes, so that it is read once for each trainable that it has.
    """

    def __init__(self, store: CodeStore) -> None:
        self._store = store
        self._look_once = lru_cache(maxsize=_REMEMBERED)(self._look)

    def check(self, submission: Submission, *, now: datetime, needed: bool) -> None:
        """Check that a spec's archive is there and has what its trainable names.

        Args:
            submission: the spec.
            now: the time.
            needed: whether it must be there; a dry run goes without, and who has it checks it
                there.

        Raises:
            SpecError: when it is not there, or has not what the trainable names.
        """
        address = submission.spec.code
        if address is None:
            return
        digest = digest_of(address)
        try:
            self._store.use_code(digest, now=now)
        except NotFound:
            if needed:
                raise unknown_code(address) from None
            return
        self._look_once(digest, submission.trainable.code)

    def _look(self, digest: str, trainable: str) -> None:
        with _opened(self._store, digest) as file, opened(file) as archive:
            check_trainable(archive, trainable)


@contextmanager
def _opened(store: CodeStore, digest: str) -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
        for chunk in read_chunks(store, digest):
            file.write(chunk)
        yield file
