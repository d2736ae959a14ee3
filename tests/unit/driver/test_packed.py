"""A pack's members as trials: what an answer makes of them."""

from pathlib import Path

import pytest

from sweep.metric import Metric
from tests.unit.driver.builders import make_task
from workers.driver.live import PackAnswer, TrialPlan, TrialUpdate, WorkPlan
from workers.driver.packed import PackRun

LINE = "tests.unit.fusion.trainings:line"


def plan_of(folder: Path, index: int, checkpoint: tuple[int, str] = (0, "")) -> TrialPlan:
    """A trial of 20 steps with a rung at 10, which it goes on from when it has a state."""
    step, uri = checkpoint
    task = make_task(index).model_copy(
        update={"max_t": 20, "checkpoint": uri or None, "checkpoint_step": step}
    )
    return TrialPlan(
        task=task,
        attempt=1,
        code=LINE,
        metric=Metric(name="loss", mode="min"),
        rungs=(10,),
        parks=True,
        checkpoint_folder=str(folder / str(index)),
    )


def started(folder: Path, size: int) -> PackRun:
    plan = WorkPlan(members=tuple(plan_of(folder, i) for i in range(size)), pack="p")
    return PackRun(plan, device="cpu", node="here", threads=1)


def until_idle(run: PackRun) -> dict[int, TrialUpdate]:
    """What each trial told until nothing could go on."""
    return dict(run.next_update(60.0).trials)


def steps(update: TrialUpdate) -> list[int]:
    return [row.step for row in update.rows]


def test_members_wait_at_a_rung_until_an_answer(tmp_path: Path) -> None:
    run = started(tmp_path, 2)
    told = until_idle(run)
    assert {i: (steps(u), u.at_rung) for i, u in told.items()} == {
        0: ([5, 10], True),
        1: ([5, 10], True),
    }
    run.answer(PackAnswer(verdicts={0: "stop", 1: "wait"}))
    told = until_idle(run)
    assert {i: (steps(u), u.at_rung) for i, u in told.items()} == {1: ([], True)}
    run.answer(PackAnswer(verdicts={1: "go"}))
    assert {i: steps(u) for i, u in until_idle(run).items()} == {1: [15, 20]}


def test_a_member_that_leaves_and_joins_again_in_one_answer_is_there_once(tmp_path: Path) -> None:
    """Its group was decided by the update in which it left its place to others."""
    run = started(tmp_path, 2)
    until_idle(run)
    run.answer(PackAnswer(verdicts={0: "save", 1: "wait"}))
    told = until_idle(run)
    assert told[0].parked
    assert told[0].checkpoint is not None
    again = plan_of(tmp_path, 0, told[0].checkpoint)
    run.answer(PackAnswer(verdicts={0: "stop", 1: "go"}, joins=(again,)))
    told = until_idle(run)
    assert [u.error for u in told.values()] == [None, None]
    assert {i: steps(u) for i, u in told.items()} == {0: [15, 20], 1: [15, 20]}
    assert told[0].from_step == 10


@pytest.mark.parametrize("code", ["tests.unit.fusion.trainings:nothing", "math:sin"])
def test_code_that_cannot_be_packed_is_told_of_every_member(tmp_path: Path, code: str) -> None:
    plans = (plan_of(tmp_path, i).model_copy(update={"code": code}) for i in range(2))
    run = PackRun(WorkPlan(members=tuple(plans), pack="p"), device="cpu", node="here", threads=1)
    told = until_idle(run)
    assert {(i, u.error is not None, u.retryable) for i, u in told.items()} == {
        (0, True, False),
        (1, True, False),
    }


def test_a_member_goes_on_from_the_state_before_a_damaged_one(tmp_path: Path) -> None:
    """And its neighbour, whose only state is gone, from its beginning."""
    run = started(tmp_path, 2)
    until_idle(run)
    run.answer(PackAnswer(verdicts={0: "save", 1: "save"}))
    told = until_idle(run)
    uris = {index: update.checkpoint or (0, "") for index, update in told.items()}
    _, older = uris[0]
    damaged = older.replace("1-10-", "1-12-")
    Path(damaged).write_bytes(Path(older).read_bytes()[:-1])
    Path(uris[1][1]).unlink()
    plans = (plan_of(tmp_path, 0, (12, damaged)), plan_of(tmp_path, 1, uris[1]))
    again = tuple(plan.model_copy(update={"attempt": 2}) for plan in plans)
    run = PackRun(WorkPlan(members=again, pack="p"), device="cpu", node="here", threads=1)
    told = until_idle(run)
    assert {i: (u.from_step, steps(u)) for i, u in told.items()} == {
        0: (10, [15, 20]),
        1: (0, [5, 10]),
    }
    assert told[0].checkpoint == (10, older)
