"""Which trials go together."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.spec import parse_spec
from sweep.trainables import Trainable
from sweep.wire import TrialTask
from tests.unit.driver.builders import START, kinds, make_spec, make_tasks, row, update
from tests.unit.fusion.trainings import line
from workers.driver.book import Work
from workers.driver.core import SweepCore
from workers.driver.packing import FuseKey, PackSize, Waiting, packing_of


def by_net(parameters: Mapping[str, Any]) -> Any:
    return parameters["net"]


def tasks_of(nets: int, groups: int, rates: int) -> list[TrialTask]:
    spec = make_spec(
        parameters={
            "task": {"grid": list(range(groups))},
            "net": {"grid": list(range(nets))},
            "lr": {"grid": list(range(rates))},
        },
        early_stopping={"type": "none", "group_by": ["task", "net"]},
    )
    return make_tasks(spec)


def all_packs(waiting: Waiting, room: int | None = None) -> list[list[TrialTask]]:
    packs = []
    while taken := waiting.take(room):
        packs.append(taken)
    return packs


@given(
    nets=st.integers(1, 3),
    groups=st.integers(1, 4),
    rates=st.integers(1, 5),
    size=st.sampled_from(["auto", "off"]) | st.integers(1, 7),
    slots=st.integers(1, 5),
    room=st.none() | st.integers(1, 6),
)
def test_every_trial_goes_once_with_its_like_and_within_bounds(
    nets: int, groups: int, rates: int, size: PackSize, slots: int, room: int | None
) -> None:
    tasks = tasks_of(nets, groups, rates)
    waiting = Waiting(size, by_net, slots)
    for task in tasks:
        waiting.push(task)
    assert len(waiting) == len(tasks)
    packs = all_packs(waiting, room)
    assert len(waiting) == 0
    assert sorted(t.index for pack in packs for t in pack) == [t.index for t in tasks]
    for pack in packs:
        assert len({t.parameters["net"] for t in pack}) == 1
        if size == "off":
            assert len(pack) == 1
        elif isinstance(size, int):
            assert len(pack) <= size


def test_auto_fills_every_slot_and_cuts_no_group() -> None:
    waiting = Waiting("auto", by_net, slots=2)
    for task in tasks_of(nets=1, groups=5, rates=3):
        waiting.push(task)
    packs = all_packs(waiting)
    assert [len(pack) for pack in packs] == [9, 3, 3]
    groups = [{t.group for t in pack} for pack in packs]
    assert not groups[0] & groups[1]


def test_auto_does_not_cut_where_there_are_packs_enough() -> None:
    waiting = Waiting("auto", by_net, slots=2)
    for task in tasks_of(nets=4, groups=2, rates=3):
        waiting.push(task)
    assert [len(pack) for pack in all_packs(waiting)][:3] == [6, 6, 6]


def packed_core(rates: int = 8, **fields: Any) -> SweepCore:
    spec = make_spec(
        parameters={"net": 0, "x": {"grid": list(range(rates))}},
        **{"max_failures": 0, **fields},
    )
    return SweepCore(
        spec,
        make_tasks(spec),
        (),
        max_concurrent=fields.get("max_concurrent"),
        now=START,
        waiting=Waiting("auto", by_net),
    )


def members(work: Work | None) -> list[tuple[int, int]]:
    assert work is not None
    return [(task.index, attempt) for task, attempt in work.members]


def test_a_pack_that_dies_goes_on_in_halves_until_one_alone_is_to_blame() -> None:
    """Trial 5 kills its process, however it is packed."""
    core = packed_core()
    tried = []
    while not core.done:
        work = core.next_work(START)
        inside = members(work)
        tried.append([index for index, _ in inside])
        if any(index == 5 for index, _ in inside):
            core.losses.lost(inside, "the process died", START)
        else:
            news = [(i, a, update(row(1, 0.5), finished=True)) for i, a in inside]
            core.on_updates(news, START)
    assert tried == [[*range(8)], [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [6, 7], [4], [5]]
    core.finish(START)
    messages = core.take_messages()
    failed = [m.trial for m in messages if m.kind == "moved" and m.failed]
    assert failed == [5]
    assert messages[-1].reason == "1 of 8 trials failed"


def test_members_are_told_with_their_pack_and_end_one_by_one() -> None:
    core = packed_core(3)
    work = core.next_work(START)
    assert work is not None
    assert work.pack == "0-1"
    verdicts = core.on_updates(
        [
            (0, 1, update(row(1, None))),
            (1, 1, update(row(1, 0.5))),
            (2, 1, update(row(1, 0.2), error="ValueError: mine", retryable=False)),
        ],
        START,
    )
    assert verdicts == {0: "stop", 1: "go", 2: "stop"}
    messages = core.take_messages()
    assert {m.pack for m in messages if m.kind == "started"} == {"0-1"}
    ends = {m.trial: (m.state, m.reason) for m in messages if m.kind == "moved"}
    assert ends == {0: ("diverged", "nonfinite"), 2: ("failed", "error")}


HALVING = {"type": "halving", "grace_period": 5, "max_t": 50, "reduction_factor": 3}


def test_a_group_inside_one_pack_is_halved_at_once() -> None:
    core = packed_core(3, early_stopping=HALVING)
    core.next_work(START)
    scores = (0.3, 0.9, 0.1)
    news = [(i, 1, update(row(5, score), at_rung=True)) for i, score in enumerate(scores)]
    assert core.on_updates(news, START) == {0: "stop", 1: "go", 2: "stop"}
    assert "checkpoint" not in kinds(core.take_messages())


def test_a_group_that_spans_packs_waits_is_saved_and_goes_on_in_place_or_later() -> None:
    core = packed_core(3, early_stopping=HALVING, max_concurrent=2)
    assert members(core.next_work(START)) == [(0, 1), (1, 1)]

    def tell(index: int, **news: Any) -> str:
        rows = [row(5, (0.3, 0.9, 0.1)[index])] if news.pop("reports", False) else []
        return core.on_updates([(index, 1, update(*rows, **news))], START)[index]

    assert tell(0, reports=True) == "wait"
    assert tell(1, reports=True, at_rung=True) == "save"
    assert tell(1, parked=True, checkpoint=(5, "state-1")) == "stop"
    assert members(core.next_work(START)) == [(2, 1)]
    assert tell(2, reports=True) == "stop"
    assert tell(0, at_rung=True) == "stop"
    work = core.next_work(START)
    assert work is not None
    assert work.members[0][0].checkpoint == "state-1"
    assert members(work) == [(1, 2)]


def test_a_pack_is_refilled_with_its_like_alone_within_max_concurrent() -> None:
    tasks = tasks_of(nets=2, groups=1, rates=6)
    core = SweepCore(
        make_spec(), tasks, (), max_concurrent=4, now=START, waiting=Waiting(5, by_net)
    )
    core.max_concurrent = 3
    work = core.next_work(START)
    assert work is not None
    assert work.pack is not None
    assert len(work.members) == 3
    core.max_concurrent = 5
    joined = core.refill(work.pack, live=3, most=9)
    assert [task.parameters["net"] for task, _ in joined] == [0, 0]
    core.max_concurrent = None
    assert core.refill(work.pack, live=5, most=9) == ()


def test_trials_returned_for_want_of_room_come_again_in_packs_that_fit() -> None:
    core = packed_core(6)
    core.next_work(START)
    core.on_capacity(2, 2)
    for index in range(2, 6):
        core.losses.refused(index, 1)
    assert members(core.next_work(START)) == [(2, 1), (3, 1)]
    assert members(core.next_work(START)) == [(4, 1), (5, 1)]


@pytest.mark.parametrize(
    ("pack", "fuse_key", "code", "expected"),
    [
        (None, None, "some.module:train", ("off", None)),
        (None, by_net, "some.module:train", ("auto", by_net)),
        ("off", by_net, "some.module:train", ("off", None)),
        (7, by_net, "some.module:train", (7, by_net)),
        ("auto", None, "tests.unit.fusion.trainings:line", ("auto", line.fuse_key)),
        (9, None, "tests.unit.fusion.trainings:line", (9, line.fuse_key)),
        ("auto", None, "workers.trainables.noop_train:train", ("auto", None)),
        ("auto", None, "no.such.module:train", ("auto", None)),
    ],
)
def test_how_a_spec_is_packed(
    pack: PackSize | None, fuse_key: FuseKey | None, code: str, expected: Any
) -> None:
    spec = make_spec(pack=pack) if pack is not None else make_spec()
    trainable = Trainable(name="x", description="", code=code, fuse_key=fuse_key)
    assert packing_of(spec, trainable) == expected


def test_asking_to_pack_what_cannot_be_packed_is_refused_at_submission() -> None:
    from sweep.errors import SpecError
    from sweep.trainables import check_spec, find, registered

    raw = {
        "name": "x",
        "trainable": "noop",
        "metric": {"name": "value", "mode": "max"},
        "parameters": {"x": 1.0},
        "pack": 4,
    }
    spec = parse_spec(raw)
    with pytest.raises(SpecError, match="trainable 'noop' cannot be packed"):
        check_spec(spec, find("noop", registered()))
