"""One source, looked at twice a second, and all who listen to it.

Everything here but the looks themselves happens on the event loop, so it needs no locks
but the one that keeps looks apart.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread
from fastapi.sse import KEEPALIVE_COMMENT

from service.live.sources import Look, P, Source
from sweep.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
MAX_WAITING = 64
"""Messages that wait for a slow listener before its stream is ended."""

Result = TypeVar("Result")


class Threads:
    """A few threads for looks, apart from those in which requests are answered."""

    def __init__(self, number: int) -> None:
        self._limiter = anyio.CapacityLimiter(number)

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do the work in one of them."""
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self._limiter)


class Listener:
    """What one client is told: what it missed, then what comes."""

    def __init__(
        self, missed: Callable[[], AsyncIterator[bytes]], first: list[bytes], *, over: bool
    ) -> None:
        self._missed = missed
        self._waiting = deque(first)
        self._ended = over
        self._arrived = asyncio.Event()

    def tell(self, message: bytes) -> None:
        """Queue a message; one that finds no room ends the stream, to be resumed later."""
        if self._ended:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.end()
            return
        self._waiting.append(message)
        self._arrived.set()

    def end(self) -> None:
        """Say that nothing follows."""
        self._ended = True
        self._arrived.set()

    async def stream(self) -> AsyncIterator[bytes]:
        """The messages, and a comment now and then while there are none."""
        yield b": live\n\n"  # so that the client sees the answer begin
        async for message in self._missed():
            yield message
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._ended:
                return
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), HEARTBEAT_S)
            except TimeoutError:
                yield KEEPALIVE_COMMENT


class Feed(Generic[P]):
    """Looks at a source while somebody listens."""

    def __init__(self, source: Source[P], threads: Threads, *, every_s: float) -> None:
        self._source: Source[P] = source
        self._threads = threads
        self._every_s = every_s
        self._listeners: set[Listener] = set()
        self._joining = 0
        self._looking = asyncio.Lock()
        self._look: Look[P] | None = None
        self._task: asyncio.Task[None] | None = None
        self.over = False
        """Whether nothing follows: whoever comes later needs a new feed."""

    @property
    def idle(self) -> bool:
        """Whether nobody listens."""
        return not self._listeners and not self._joining

    async def join(self, last: P | None) -> Listener:
        """Listen from a position on, or from now.

        Raises:
            NotFound: when there is no such thing.
            ServiceUnavailable: when the store is away.
        """
        self._joining += 1
        try:
            now = self._look or await self._next_look()
            if last is not None and last > now.position:  # told by another, faster server
                now = await self._next_look()
        finally:
            self._joining -= 1
        listener = self._listener(now, last)
        self._listeners.add(listener)
        if self._task is None and not self.over:
            self._task = asyncio.create_task(self._run())
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more; the last one to leave ends the looking."""
        self._listeners.discard(listener)
        if self.idle and self._task is not None:
            self._task.cancel()
            self._task = None

    def close(self) -> None:
        """End every stream."""
        self.over = True
        for listener in self._listeners:
            listener.end()

    def _listener(self, now: Look[P], last: P | None) -> Listener:
        async def missed() -> AsyncIterator[bytes]:
            if last is None or last >= now.position:
                return
            messages = self._source.since(last, now.position)
            while (message := await self._threads.run(_next, messages)) is not None:
                yield message

        first = [message for message in (now.present, now.end) if message is not None]
        return Listener(missed, first, over=self.over)

    async def _run(self) -> None:
        try:
            while not self.over:
                await asyncio.sleep(self._every_s)
                try:
                    await self._next_look()
                except ServiceUnavailable as error:
                    logger.warning("live events wait for the store: %s", error)
        except Exception:
            logger.exception("live events broke; clients begin anew")
            self.close()

    async def _next_look(self) -> Look[P]:
        async with self._looking:
            after = None if self._look is None else self._look.position
            found = await self._threads.run(self._source.look, after)
            if found is not None:
                self._look = found
                self._tell(found)
        assert self._look is not None, "the first look always finds where things stand"
        return self._look

    def _tell(self, found: Look[P]) -> None:
        for listener in self._listeners:
            for message in found.messages:
                listener.tell(message)
        if found.end is not None:
            self.close()


def _next(messages: Iterator[bytes]) -> bytes | None:
    return next(messages, None)
