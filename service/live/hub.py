"""All feeds of one API process, one for each sweep that somebody listens to."""

from typing import Any

from service.live.feed import Feed, Listener, Threads
from service.live.sources import ListSource, SweepSource
from service.store.interface import Store
from sweep.errors import ServiceUnavailable
from sweep.live import Position

EVERY_S = 0.5
_THREADS = 4
_ALL = ""


class Hub:
    """Finds or makes the feed that a listener needs; used on one event loop."""

    def __init__(self, store: Store, *, every_s: float = EVERY_S) -> None:
        self._store = store
        self._every_s = every_s
        self._feeds: dict[str, Feed[Any]] = {}
        self._listeners: dict[Listener, Feed[Any]] = {}
        self._threads: Threads | None = None
        self._closed = False

    @property
    def feeds(self) -> int:
        """How many things are listened to."""
        return len(self._feeds)

    async def sweep(self, sweep_id: str, last: Position | None) -> Listener:
        """Listen to one sweep.

        Raises:
            NotFound: when there is none.
            ServiceUnavailable: when the store is away, or the service about to end.
        """
        return await self._join(sweep_id, last)

    async def sweeps(self, last: int | None) -> Listener:
        """Listen to all sweeps.

        Raises:
            ServiceUnavailable: when the store is away, or the service about to end.
        """
        return await self._join(_ALL, last)

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        feed = self._listeners.pop(listener)
        feed.leave(listener)
        self._forget_idle()

    def close(self) -> None:
        """End every stream; the process is about to end."""
        self._closed = True
        for feed in {*self._feeds.values(), *self._listeners.values()}:
            feed.close()

    async def _join(self, key: str, last: Position | int | None) -> Listener:
        if self._closed:
            raise ServiceUnavailable("the service is about to end")
        feed = self._feeds.get(key)
        if feed is None or feed.over:
            feed = self._feeds[key] = self._feed(key)
        try:
            listener = await feed.join(last)
            self._listeners[listener] = feed
        finally:
            self._forget_idle()
        return listener

    def _forget_idle(self) -> None:
        self._feeds = {key: feed for key, feed in self._feeds.items() if not feed.idle}

    def _feed(self, key: str) -> Feed[Any]:
        if self._threads is None:
            self._threads = Threads(_THREADS)
        source = ListSource(self._store) if key == _ALL else SweepSource(self._store, key)
        return Feed(source, self._threads, every_s=self._every_s)
