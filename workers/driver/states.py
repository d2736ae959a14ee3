"""A saved state as bytes, its file's name, and which states are kept. No I/O.

A file's name tells the attempt and step of its state and those of the state that the
attempt went on from, so that one can go back from a state that cannot be read to one that
the same unbroken training passed through: `2-40-after-1-30.state`.
"""

import hashlib
import json
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MAGIC = b"SWEEPST1"
_DIGEST_BYTES = 16
_LENGTH_BYTES = 4
_NAME = re.compile(r"^(\d+)-(\d+)-after-(\d+)-(\d+)\.state$")

SAFE_AGES_S = (5.0, 300.0)
"""The service may not have been told of a state that is younger: of one just saved in the
ordinary course, of one that is minutes old after an outage. So the newest state that is at
least as old is kept too."""

HELD_INTERVALS = 3
"""Of so many intervals a population's trials keep the states that others may go on from. One
that was chosen waits about an interval for its place; later it finds the donor's next state."""


class UnreadableState(Exception):
    """What lies there is no whole state."""


@dataclass(frozen=True, order=True)
class Point:
    """Where in a trial's training a state was saved; 0, 0 is its beginning."""

    attempt: int
    step: int


BEGINNING = Point(0, 0)


@dataclass(frozen=True)
class StateName:
    """A state's file name."""

    at: Point
    after: Point = BEGINNING
    """The state that the attempt went on from."""

    def __str__(self) -> str:
        at, after = self.at, self.after
        return f"{at.attempt}-{at.step}-after-{after.attempt}-{after.step}.state"


def read_name(text: str) -> StateName | None:
    """The name in a file's; None when it is not a state's."""
    found = _NAME.match(text)
    if found is None:
        return None
    attempt, step, after_attempt, after_step = map(int, found.groups())
    return StateName(Point(attempt, step), Point(after_attempt, after_step))


def before(names: Iterable[StateName], end: Point, after: Point) -> Iterator[StateName]:
    """The states that the training at `end` passed through before, newest first.

    Args:
        names: what there is.
        end: the training's present point.
        after: where its attempt went on from.
    """
    by_attempt: dict[int, list[StateName]] = {}
    for name in names:
        by_attempt.setdefault(name.at.attempt, []).append(name)
    attempt, limit = end.attempt, end.step - 1
    while attempt > 0:
        of_attempt = by_attempt.get(attempt, [])
        passed = [n for n in of_attempt if n.at.step <= limit and n.after.attempt < attempt]
        yield from sorted(passed, key=lambda n: n.at, reverse=True)
        if attempt != end.attempt:
            if not of_attempt:
                return
            after = of_attempt[0].after
        if after.attempt >= attempt:
            return
        attempt, limit = after.attempt, after.step


@dataclass(frozen=True)
class Best:
    """The best of the states saved so far."""

    value: float
    uri: str


@dataclass(frozen=True)
class Saved:
    """A state that lies in the trial's folder."""

    name: StateName
    time: float
    """When it was saved, in seconds of a clock that only goes forward."""
    best: str | None = None
    """Where the best state up to it lies."""


def kept(
    saved: Sequence[Saved], *, keep_last: int, now: float | None, interval: int | None = None
) -> list[Saved]:
    """The states that stay, the best ones apart.

    Args:
        saved: oldest first.
        keep_last: how many of the newest stay in any case.
        now: the present, for a training that goes on and must be able to go back; None for
            one that is over.
        interval: in a population, the steps from one comparison to the next: the first state
            of each of the last few stays, since another trial may be about to take it.
    """
    stay = set(range(max(0, len(saved) - keep_last), len(saved)))
    for age in SAFE_AGES_S if now is not None else ():
        old = [i for i, state in enumerate(saved) if (now or 0.0) - state.time >= age]
        young = [i for i in range(len(saved)) if i not in old]
        stay |= {*old[-1:], *young[:1]}  # the oldest of the young is the next to be that old
    if interval is not None:
        firsts: dict[int, int] = {}
        for i, state in enumerate(saved):
            firsts.setdefault(state.name.at.step // interval, i)
        stay |= {firsts[k] for k in sorted(firsts)[-HELD_INTERVALS:] if k > 0}
    return [state for i, state in enumerate(saved) if i in stay]


def encode(state: Mapping[str, Any], best: Best | None) -> bytes:
    """A state as it is stored: a digest, what is known of it, the pickle."""
    known = {"best": None if best is None else [best.value, best.uri]}
    head = json.dumps(known).encode()
    pickled = pickle.dumps(dict(state), protocol=pickle.HIGHEST_PROTOCOL)
    body = b"".join([len(head).to_bytes(_LENGTH_BYTES, "big"), head, pickled])
    return b"".join([_MAGIC, _digest(body), body])


def decode(content: bytes) -> tuple[dict[str, Any], Best | None]:
    """A state and the best one up to it.

    Raises:
        UnreadableState: when it is not whole, or cannot be unpickled on this machine.
    """
    view = memoryview(content)
    start = len(_MAGIC) + _DIGEST_BYTES
    if view[: len(_MAGIC)] != _MAGIC or len(view) < start + _LENGTH_BYTES:
        raise UnreadableState("it does not begin as a state does")
    body = view[start:]
    if _digest(body) != view[len(_MAGIC) : start]:
        raise UnreadableState("it is cut off or damaged: its digest does not fit")
    length = int.from_bytes(body[:_LENGTH_BYTES], "big")
    head = json.loads(bytes(body[_LENGTH_BYTES : _LENGTH_BYTES + length]))
    try:
        state = dict(pickle.loads(body[_LENGTH_BYTES + length :]))
    except Exception as error:  # a user's classes may raise anything
        raise UnreadableState(f"it cannot be unpickled here: {error!r}") from error
    return state, None if head["best"] is None else Best(*head["best"])


def _digest(body: bytes | memoryview) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
