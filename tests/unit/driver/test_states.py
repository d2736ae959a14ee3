"""Saved states as bytes and names, and which are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.driver.states import (
    SAFE_AGES_S,
    Best,
    Point,
    Saved,
    StateName,
    UnreadableState,
    before,
    decode,
    encode,
    kept,
    read_name,
)

CONTENT = encode({"step": 3, "weights": list(range(50))}, Best(0.5, "s3://b/1-3.state"))


def test_a_state_comes_back_with_what_is_known_of_it() -> None:
    state, best = decode(CONTENT)
    assert state == {"step": 3, "weights": list(range(50))}
    assert best == Best(0.5, "s3://b/1-3.state")
    assert decode(encode({}, None)) == ({}, None)


@given(st.integers(0, len(CONTENT) - 1))
def test_a_state_that_is_cut_off_is_seen(length: int) -> None:
    with pytest.raises(UnreadableState):
        decode(CONTENT[:length])


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_state_with_a_wrong_byte_is_seen(position: int, change: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[position] ^= change
    with pytest.raises(UnreadableState):
        decode(bytes(damaged))


class Gone:
    """Unpickling it fails."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _explode, ("gone",)


def _explode(text: str) -> None:
    raise AttributeError(text)


def test_a_state_that_cannot_be_unpickled_here_is_seen() -> None:
    with pytest.raises(UnreadableState, match="gone"):
        decode(encode({"it": Gone()}, None))


def name(attempt: int, step: int, after: tuple[int, int] = (0, 0)) -> StateName:
    return StateName(Point(attempt, step), Point(*after))


def test_names_are_read_back_and_others_are_not_names() -> None:
    assert read_name(str(name(2, 2**62, (1, 30)))) == name(2, 2**62, (1, 30))
    for text in ("2-40-after-1-30.state.ab12.partial", "step-000000000010.pkl", "notes.txt"):
        assert read_name(text) is None


def test_one_goes_back_only_through_one_unbroken_training() -> None:
    there = [
        name(1, 10),
        name(1, 20),
        name(1, 30),  # given up: the second attempt went on from 20
        name(2, 25, (1, 20)),
        name(2, 35, (1, 20)),
        name(3, 15),  # a fresh start
        name(4, 40, (2, 35)),
    ]
    assert list(before(there, Point(4, 50), Point(2, 35))) == [
        name(4, 40, (2, 35)),
        name(2, 35, (1, 20)),
        name(2, 25, (1, 20)),
        name(1, 20),
        name(1, 10),
    ]
    assert list(before(there, Point(3, 15), Point(0, 0))) == []
    assert list(before(there, Point(5, 60), Point(3, 15))) == [name(3, 15)]


@given(
    st.lists(st.floats(0.01, 200), min_size=1, max_size=200),
    st.integers(1, 5),
)
def test_a_training_can_always_go_back_and_keeps_few(gaps: list[float], keep_last: int) -> None:
    now, saved, ever = 0.0, [], []
    for step, gap in enumerate(gaps, start=1):
        now += gap
        ever.append(Saved(name(1, step), now))
        saved = kept([*saved, ever[-1]], keep_last=keep_last, now=now)
        assert saved[-keep_last:] == ever[-keep_last:]
        assert len(saved) <= keep_last + 4
        for age in SAFE_AGES_S:
            if now - ever[0].time >= age:
                assert any(now - state.time >= age for state in saved)
                youngest = min(now - s.time for s in saved if now - s.time >= age)
                # no gap between two saves is longer than 200 s
                assert youngest <= 2 * age + 200
    assert kept(saved, keep_last=keep_last, now=None) == ever[-keep_last:]
