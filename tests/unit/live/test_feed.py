"""A feed over a source of our own: one look for all, slow listeners, a store that is away."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from service.live.feed import MAX_WAITING, Feed, Listener, Threads
from service.live.sources import Look
from sweep.errors import NotFound, ServiceUnavailable


class Numbers:
    """Tells the numbers up to `upto`, each a message."""

    def __init__(self) -> None:
        self.upto = 0
        self.looks = 0
        self.last: int | None = None
        self.error: Exception | None = None

    def look(self, after: int | None) -> Look[int] | None:
        self.looks += 1
        if self.error is not None:
            raise self.error
        upto = self.upto
        if after is None:
            return Look((), upto, present=b"now %d" % upto)
        if upto == after:
            return None
        told = tuple(b"%d" % n for n in range(after + 1, upto + 1))
        end = b"end" if self.last is not None and upto >= self.last else None
        return Look((*told, *([end] if end else [])), upto, present=b"now %d" % upto, end=end)

    def since(self, after: int, upto: int) -> Iterator[bytes]:
        return (b"%d" % n for n in range(after + 1, upto + 1))


def make(source: Numbers) -> Feed[int]:
    return Feed(source, Threads(2), every_s=0.001)


async def take(stream: AsyncIterator[bytes], count: int) -> list[bytes]:
    return [await asyncio.wait_for(anext(stream), 10) for _ in range(count)]


async def rest(listener: Listener) -> list[bytes]:
    return [message async for message in listener.stream()][1:]


def test_a_hundred_listeners_cost_no_more_looks_than_one() -> None:
    async def scenario() -> None:
        source = Numbers()
        feed = make(source)
        streams = [(await feed.join(None)).stream() for _ in range(100)]
        for stream in streams:
            assert await take(stream, 2) == [b": live\n\n", b"now 0"]
        before = source.looks
        source.upto, source.last = 3, 3
        told = await asyncio.gather(*(take(stream, 4) for stream in streams))
        assert told == [[b"1", b"2", b"3", b"end"]] * 100
        assert source.looks - before < 100

    asyncio.run(scenario())


def test_what_was_missed_comes_first_and_nothing_twice() -> None:
    async def scenario() -> None:
        source = Numbers()
        source.upto = 5
        feed = make(source)
        early, late = await feed.join(None), await feed.join(2)
        source.upto = source.last = 7
        assert await rest(early) == [b"now 5", b"6", b"7", b"end"]
        assert await rest(late) == [b"3", b"4", b"5", b"now 5", b"6", b"7", b"end"]

    asyncio.run(scenario())


def test_who_was_told_more_by_another_server_is_not_told_it_again() -> None:
    async def scenario() -> None:
        source = Numbers()
        feed = make(source)
        first = await feed.join(None)
        source.upto = 4
        ahead = await feed.join(4)
        beyond = await feed.join(99)  # of a database that is no more
        source.upto = source.last = 5
        assert (await rest(first))[-3:] == [b"4", b"5", b"end"]
        assert await rest(ahead) == await rest(beyond) == [b"now 4", b"5", b"end"]

    asyncio.run(scenario())


def test_a_listener_that_does_not_keep_up_is_cut_off_where_it_can_go_on() -> None:
    async def scenario() -> None:
        source = Numbers()
        feed = make(source)
        slow, quick = await feed.join(None), await feed.join(None)
        stream = quick.stream()
        await take(stream, 2)
        source.upto = MAX_WAITING - 2
        await take(stream, MAX_WAITING - 2)
        source.upto = source.last = MAX_WAITING + 10
        await take(stream, 12)
        told = await rest(slow)
        assert told == [b"now 0", *(b"%d" % n for n in range(1, MAX_WAITING))]
        again = await feed.join(int(told[-1]))
        assert (await rest(again))[0] == b"%d" % MAX_WAITING
        feed.close()

    asyncio.run(scenario())


def test_a_store_that_is_away_is_waited_for() -> None:
    async def scenario() -> None:
        source = Numbers()
        feed = make(source)
        stream = (await feed.join(None)).stream()
        await take(stream, 2)
        source.error = ServiceUnavailable()
        looks = source.looks
        while source.looks < looks + 3:
            await asyncio.sleep(0)
        source.error, source.upto = None, 1
        assert await take(stream, 1) == [b"1"]
        feed.close()

    asyncio.run(scenario())


def test_a_feed_that_breaks_ends_its_streams() -> None:
    async def scenario() -> None:
        source = Numbers()
        feed = make(source)
        listener = await feed.join(None)
        source.error = ValueError("boom")
        assert await rest(listener) == [b"now 0"]
        assert feed.over

    asyncio.run(scenario())


def test_one_who_finds_nothing_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        source = Numbers()
        source.error = NotFound()
        feed = make(source)
        with pytest.raises(NotFound):
            await feed.join(None)
        assert feed.idle

    asyncio.run(scenario())
