"""A work's log as the driver tells it."""

from itertools import count
from typing import Any

from sweep.wire import Assignment, LogWritten, Message
from tests.unit.driver.builders import START, at, make_spec, make_tasks, update
from workers.driver.capture import Output, Piece
from workers.driver.core import SweepCore
from workers.driver.live import WorkUpdate
from workers.driver.running import LiveWork, RunningSweep


def running() -> tuple[RunningSweep, list[Message]]:
    spec = make_spec(max_failures=1)
    core = SweepCore(spec, make_tasks(spec), (), max_concurrent=None, now=START)
    assignment = Assignment.model_validate(
        {
            "sweep_id": "s",
            "epoch": 4,
            "spec": spec,
            "code": "some.module:train",
            "resources": {},
            "reuse_actors": True,
            "max_concurrent": None,
            "lease_s": 10,
            "checkpoint_root": "/nowhere",
        }
    )
    told: list[Message] = []
    clock = count()
    return RunningSweep(core, assignment, clock=lambda: at(next(clock)), emit=told.extend), told


def begin(sweep: RunningSweep) -> LiveWork:
    plan = sweep.plan_next()
    assert plan is not None
    return LiveWork(plan)


def said(*texts: str, **fields: Any) -> Output:
    return Output(tuple(Piece("stdout", text, START) for text in texts), **fields)


def news(output: Output, **fields: Any) -> WorkUpdate:
    return WorkUpdate(trials=((0, update(**fields)),), output=output)


def lines(told: list[Message]) -> list[tuple[str, int, str]]:
    return [(m.work, m.seq, m.text) for m in told if isinstance(m, LogWritten)]


def test_pieces_are_told_in_order_after_the_start_of_their_trial() -> None:
    sweep, told = running()
    work = begin(sweep)
    assert work.log.capture == "s-4-0"
    sweep.on_update(work, news(said("early\n"), from_step=None))
    assert told == []
    sweep.on_update(work, news(said("one\n", "two\n")))
    sweep.on_update(work, news(said("three\n"), finished=True))
    assert [m.kind for m in told][:2] == ["started", "log"]
    assert lines(told) == [
        ("0-1", i, t) for i, t in enumerate(("early\n", "one\n", "two\n", "three\n"))
    ]


def test_last_words_follow_what_was_told_and_a_retry_has_its_own_log() -> None:
    sweep, told = running()
    work = begin(sweep)
    sweep.on_update(work, news(said("held\n", told=(5, 0)), from_step=None))
    sweep.on_failure(work, "the process died")
    assert lines(told) == [("0-1", 0, "held\n")]
    sweep.on_leftover(work, said("last words\n").pieces)
    assert lines(told)[1:] == [("0-1", 1, "last words\n")]
    begin(sweep)
    begin(sweep)
    again = begin(sweep)
    assert (again.members, again.log.capture) == ({0: 2}, "s-4-3")
    sweep.on_update(again, news(said("again\n")))
    assert lines(told)[2:] == [("0-2", 0, "again\n")]


def test_it_is_known_what_was_not_told() -> None:
    sweep, _ = running()
    work = begin(sweep)
    sweep.on_update(work, news(said("much\n", told=(5, 0), more=True)))
    assert (work.log.told, work.log.more, work.log.ended) == ((5, 0), True, False)
    sweep.on_update(work, news(said(told=(9, 1)), error="boom", finished=True))
    assert (work.log.told, work.log.more, work.log.ended) == ((9, 1), False, True)


def test_pieces_are_counted_on_until_their_work_is_over() -> None:
    sweep, told = running()
    work = begin(sweep)
    sweep.on_update(work, news(said("one\n")))
    sweep.on_leftover(work, said("two\n").pieces)
    sweep.on_over(work)
    sweep.on_leftover(work, said("anew\n").pieces)
    assert [seq for _, seq, _ in lines(told)] == [0, 1, 0]
