"""Messages on their way to the service: in order, in batches, spooled while it is away.

Messages wait in memory; past a bound, because the service is away, they go to a file
and are read back in order. When the file cannot be written or is full, `put` waits,
which holds the training rather than drop results.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter

from sweep.wire import MAX_BATCH_MESSAGES, LogWritten, Message, Reports
from workers.driver.environment import MEMORY_MESSAGES

logger = logging.getLogger(__name__)

MAX_BATCH_ROWS = 10_000
MAX_BATCH_CHARS = 1 << 20
"""Of what trials printed."""
MAX_MEMORY_CHARS = 16 << 20
"""Of what trials printed."""
MAX_SPOOL_BYTES = 1 << 30

_ADAPTER: TypeAdapter[Message] = TypeAdapter(Message)


class Outbox:
    """An ordered queue of messages for one sender."""

    def __init__(
        self,
        spool: Path,
        *,
        max_memory: int = MEMORY_MESSAGES,
        max_spool_bytes: int = MAX_SPOOL_BYTES,
    ) -> None:
        self._memory: deque[Message] = deque()
        self._chars = 0
        self._spool = _Spool(spool, max_spool_bytes)
        self._max_memory = max_memory
        self._changed = threading.Condition()
        self._closed = False

    def put(self, messages: Sequence[Message]) -> None:
        """Queue messages; waits while neither memory nor the file can take them."""
        with self._changed:
            for message in messages:
                while not self._closed and not self._take(message):
                    self._changed.notify_all()  # of what was taken before it: room comes of it
                    self._changed.wait(1.0)
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait until there is something to send; whether there is."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._memory) or self._closed, timeout)

    @contextmanager
    def batch(self) -> Iterator[tuple[Message, ...]]:
        """The next messages; they leave the queue when the block ends without an error."""
        with self._changed:
            taken = self._peek()
        yield taken
        with self._changed:
            for _ in taken:
                self._chars -= _chars(self._memory.popleft())
            self._refill()
            self._changed.notify_all()

    def wait_empty(self) -> None:
        """Wait until all that was put has been sent."""
        with self._changed:
            self._changed.wait_for(lambda: not self._memory and self._spool.empty)

    def close(self) -> None:
        """Let waiting callers go and remove the file."""
        with self._changed:
            self._closed = True
            self._spool.remove()
            self._changed.notify_all()

    def _take(self, message: Message) -> bool:
        if self._has_room and self._spool.empty:
            self._keep(message)
            return True
        try:
            return self._spool.append(message)
        except OSError as error:
            logger.warning("cannot write the spool file, so training is held: %s", error)
            return False

    def _peek(self) -> tuple[Message, ...]:
        taken: list[Message] = []
        rows = chars = 0
        for message in self._memory:
            rows += len(message.rows) if isinstance(message, Reports) else 0
            chars += _chars(message)
            full = len(taken) >= MAX_BATCH_MESSAGES
            if taken and (full or rows > MAX_BATCH_ROWS or chars > MAX_BATCH_CHARS):
                break
            taken.append(message)
        return tuple(taken)

    def _refill(self) -> None:
        while self._has_room:
            message = self._spool.pop()
            if message is None:
                return
            self._keep(message)

    @property
    def _has_room(self) -> bool:
        return len(self._memory) < self._max_memory and self._chars < MAX_MEMORY_CHARS

    def _keep(self, message: Message) -> None:
        self._memory.append(message)
        self._chars += _chars(message)


def _chars(message: Message) -> int:
    return len(message.text) if isinstance(message, LogWritten) else 0


class _Spool:
    """Messages in a file, one JSON document a line, appended and read from the front."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._read_at = 0
        self._end = 0

    @property
    def empty(self) -> bool:
        return self._read_at >= self._end

    def append(self, message: Message) -> bool:
        line = _ADAPTER.dump_json(message) + b"\n"
        if self._end + len(line) > self._max_bytes:
            logger.warning("the spool file is full, so training is held: %s", self._path)
            return False
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("r+b" if self._path.exists() else "w+b") as file:
            file.seek(self._end)
            file.write(line)
            file.flush()
        self._end += len(line)
        return True

    def pop(self) -> Message | None:
        if self.empty:
            return None
        with self._path.open("rb") as file:
            file.seek(self._read_at)
            line = file.readline()
        self._read_at += len(line)
        if self.empty:
            self._read_at = self._end = 0
            self._path.write_bytes(b"")
        return _ADAPTER.validate_json(line)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
