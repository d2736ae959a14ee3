"""A trial's `run` object: where it holds the code, and what it tells."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import TrialFault
from sweep.run import Run
from sweep.spec import Metric
from sweep.wire import TrialTask
from tests.unit.driver.builders import make_task
from workers.driver.live import LiveRun, TrialPlan, TrialUpdate, load_code

WAIT = 10.0


def five_steps(params: dict[str, Any], run: Run) -> None:
    for step in range(1, 6):
        run.report(step, score=float(step))


def saver(params: dict[str, Any], run: Run) -> None:
    state = run.restore() or {"step": 0}
    for step in range(state["step"] + 1, 6):
        run.report(step, score=float(step))
        run.save({"step": step})


def raiser(params: dict[str, Any], run: Run) -> None:
    run.report(1, score=1.0)
    raise ValueError("boom at step 2")


def swallower(params: dict[str, Any], run: Run) -> None:
    for step in range(1, 1000):
        try:
            run.report(step, score=1.0)
        except Exception:  # noqa: BLE001 - what a careless user may write
            continue


def backwards(params: dict[str, Any], run: Run) -> None:
    run.report(2, score=1.0)
    run.report(1, score=1.0)


def nan_reporter(params: dict[str, Any], run: Run) -> None:
    run.report(1, score=float("nan"), other=float("-inf"), fine=1.0)
    run.report(2, score=1.0)


@contextmanager
def running(
    tmp_path: Path, function: str, *, task: TrialTask | None = None, **fields: Any
) -> Iterator[LiveRun]:
    plan = TrialPlan(
        task=task or make_task(),
        attempt=1,
        code=f"{__name__}:{function}",
        metric=fields.pop("metric", Metric(name="score", mode="max")),
        checkpoint_folder=str(tmp_path),
        **fields,
    )
    run = LiveRun(plan, device="cpu", node="here")
    thread = threading.Thread(target=run.execute)
    thread.start()
    try:
        yield run
    finally:
        run.stop()
        thread.join(WAIT)
        assert not thread.is_alive()


def steps(update: TrialUpdate) -> list[int]:
    return [row.step for row in update.rows]


def test_a_whole_run_is_told_and_finished(tmp_path: Path) -> None:
    with running(tmp_path, "five_steps") as run:
        seen, update = [], run.next_update(WAIT)
        while not update.finished:
            seen += steps(update)
            update = run.next_update(WAIT)
        assert seen + steps(update) == [1, 2, 3, 4, 5]
        assert update.from_step == 0
        assert update.error is None


def test_the_code_is_held_at_a_rung_until_it_may_go_on(tmp_path: Path) -> None:
    with running(tmp_path, "five_steps", rungs=(2, 4)) as run:
        assert steps(run.next_update(WAIT)) == [1, 2]
        assert steps(run.next_update(WAIT)) == [3, 4]
        last = run.next_update(WAIT)
        assert steps(last) == [5]
        assert last.finished


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        (make_task().model_copy(update={"max_t": 3}), Metric(name="score", mode="max")),
        (make_task(), Metric(name="score", mode="max", target=3.0)),
    ],
)
def test_the_code_never_passes_its_last_step_or_its_target(
    tmp_path: Path, task: TrialTask, metric: Metric
) -> None:
    with running(tmp_path, "five_steps", task=task, metric=metric) as run:
        assert steps(run.next_update(WAIT)) == [1, 2, 3]
        run.stop()
        update = run.next_update(WAIT)
        assert update.finished
        assert steps(update) == []


def test_a_value_that_is_not_finite_is_null_with_a_flag(tmp_path: Path) -> None:
    with running(tmp_path, "nan_reporter") as run:
        (row,) = run.next_update(WAIT).rows
        assert row.values == {"score": None, "other": None, "fine": 1.0}
        assert row.nonfinite == {"score": "nan", "other": "-inf"}


def test_where_trials_wait_the_state_saved_after_the_rung_is_there(tmp_path: Path) -> None:
    with running(tmp_path, "saver", rungs=(2,), waits=True) as run:
        update = run.next_update(WAIT)
        assert update.parked
        assert steps(update) == [1, 2]
        step, uri = update.checkpoint or (0, "")
        assert step == 2
    task = make_task().model_copy(update={"checkpoint": uri, "checkpoint_step": 2})
    with running(tmp_path, "saver", task=task, rungs=(2,), waits=True) as run:
        seen, update = [], run.next_update(WAIT)
        assert update.from_step == 2
        while not update.finished:
            seen += steps(update)
            update = run.next_update(WAIT)
        assert seen + steps(update) == [3, 4, 5]


def test_a_state_that_is_gone_means_a_fresh_start(tmp_path: Path) -> None:
    task = make_task().model_copy(
        update={"checkpoint": str(tmp_path / "gone.pkl"), "checkpoint_step": 4}
    )
    with running(tmp_path, "saver", task=task) as run:
        update = run.next_update(WAIT)
        assert update.from_step == 0
        assert steps(update)[0] == 1


def test_an_exception_is_told_after_the_reports_before_it(tmp_path: Path) -> None:
    with running(tmp_path, "raiser") as run:
        update = run.next_update(WAIT)
        assert steps(update) == [1]
        assert update.finished
        assert update.retryable
        assert "ValueError: boom at step 2" in (update.error or "")
        assert "raise ValueError" in (update.error or "")


def test_a_broken_rule_and_missing_code_are_not_worth_a_retry(tmp_path: Path) -> None:
    for function, text in (("backwards", "step 1 after step 2"), ("missing", "no function")):
        with running(tmp_path, function) as run:
            update = run.next_update(WAIT)
            while not update.finished:
                update = run.next_update(WAIT)
            assert not update.retryable
            assert text in (update.error or "")


def test_a_stop_passes_a_careless_handler(tmp_path: Path) -> None:
    with running(tmp_path, "swallower", rungs=(1,)) as run:
        assert steps(run.next_update(WAIT)) == [1]
        run.stop()
        assert run.next_update(WAIT).finished


def test_load_code_says_what_is_missing() -> None:
    assert load_code(f"{__name__}:five_steps") is five_steps
    with pytest.raises(ImportError, match="no function 'nope'"):
        load_code(f"{__name__}:nope")
    with pytest.raises(ImportError):
        load_code("no.such.module:train")


def test_rules_are_those_of_the_null_run() -> None:
    from sweep.run import NullRun

    with pytest.raises(TrialFault, match="step 1 after step 2"):
        backwards({}, NullRun())
