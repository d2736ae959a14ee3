"""A trial's `run` object: where it holds the code, and what it tells."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweep.entry import load_code
from sweep.errors import TrialFault
from sweep.metric import Metric
from sweep.run import Run
from sweep.spec import CheckpointPolicy
from sweep.stopping import Plateau
from sweep.wire import TrialTask
from tests.integration.service_process import wait_for
from tests.unit.driver.builders import make_task
from workers.driver.live import LiveRun, TrialPlan, TrialUpdate
from workers.driver.plateau import PlateauPlan
from workers.driver.states import read_name

WAIT = 10.0


def five_steps(params: dict[str, Any], run: Run) -> None:
    for step in range(1, 6):
        run.report(step, score=float(step))


def saver(params: dict[str, Any], run: Run) -> None:
    state = run.restore() or {"step": 0}
    for step in range(state["step"] + 1, 6):
        run.report(step, score=float(step))
        run.save({"step": step})


def hurried(params: dict[str, Any], run: Run) -> None:
    for step in range(1, 100_000):
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
        attempt=fields.pop("attempt", 1),
        code=f"{__name__}:{function}",
        metric=fields.pop("metric", Metric(name="score", mode="max")),
        checkpoint_folder=fields.pop("folder", str(tmp_path)),
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


def test_the_code_is_held_at_the_multiples_of_an_interval(tmp_path: Path) -> None:
    with running(tmp_path, "five_steps", interval=2) as run:
        held = [steps(run.next_update(WAIT)) for _ in range(3)]
        assert held == [[1, 2], [3, 4], [5]]


@pytest.mark.parametrize("fields", [{"rungs": tuple(range(7, 100, 7))}, {"interval": 7}])
def test_a_plan_says_which_rung_is_ahead(fields: dict[str, Any]) -> None:
    plan = TrialPlan(
        task=make_task(),
        attempt=1,
        code="m:f",
        metric=Metric(name="score", mode="max"),
        checkpoint_folder="none",
        **fields,
    )
    assert [plan.rung_after(step) for step in range(22)] == [7] * 7 + [14] * 7 + [21] * 7 + [28]
    assert plan.rung_after(98) == (None if plan.rungs else 105)


def test_the_code_is_held_at_a_plateau_until_it_may_go_on(tmp_path: Path) -> None:
    """A score that rises is a plateau where smaller is better; counted on from a saved state."""
    lower = Metric(name="score", mode="min")
    plateau = PlateauPlan(rule=Plateau(patience=3), metric=lower, best=0.0, poor=1)
    with running(tmp_path, "five_steps", plateau=plateau) as run:
        assert [r.step for r in run.next_update(WAIT).rows] == [1, 2]
        assert [r.step for r in run.next_update(WAIT).rows] == [3]


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


def saved_steps(folder: Path) -> list[int]:
    names = [read_name(path.name) for path in folder.iterdir()]
    return sorted(name.at.step for name in names if name is not None)


def test_a_trial_that_is_stopped_leaves_a_state_no_newer_than_the_last_told(tmp_path: Path) -> None:
    task = make_task().model_copy(update={"max_t": None})
    with running(tmp_path, "hurried", task=task) as run:
        update = run.next_update(0.1)
        while update.checkpoint is None:
            update = run.next_update(0.1)
        told, _ = update.checkpoint
        wait_for(lambda: saved_steps(tmp_path)[-1] > told + 4, "further states")
    assert saved_steps(tmp_path)[0] <= told


def test_a_value_that_is_not_finite_is_null_with_a_flag(tmp_path: Path) -> None:
    with running(tmp_path, "nan_reporter") as run:
        (row,) = run.next_update(WAIT).rows
        assert row.values == {"score": None, "other": None, "fine": 1.0}
        assert row.nonfinite == {"score": "nan", "other": "-inf"}


def test_where_trials_wait_the_state_saved_after_the_rung_is_there(tmp_path: Path) -> None:
    with running(tmp_path, "saver", rungs=(2,), parks=True) as run:
        update = run.next_update(WAIT)
        assert update.parked
        assert steps(update) == [1, 2]
        step, uri = update.checkpoint or (0, "")
        assert step == 2
    task = make_task().model_copy(update={"checkpoint": uri, "checkpoint_step": 2})
    with running(tmp_path, "saver", task=task, rungs=(2,), parks=True) as run:
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


def last_state(tmp_path: Path, **fields: Any) -> TrialUpdate:
    with running(tmp_path, "saver", rungs=(3,), parks=True, **fields) as run:
        update = run.next_update(WAIT)
        assert update.parked
        return update


def test_a_damaged_state_means_going_on_from_the_one_before_it(tmp_path: Path) -> None:
    step, uri = last_state(tmp_path).checkpoint or (0, "")
    assert step == 3
    Path(uri).write_bytes(Path(uri).read_bytes()[:30])
    task = make_task().model_copy(update={"checkpoint": uri, "checkpoint_step": 3})
    with running(tmp_path, "saver", task=task, attempt=2, rungs=(3,), parks=True) as run:
        update = run.next_update(WAIT)
        assert (update.from_step, steps(update)) == (2, [3])
        assert update.checkpoint is not None
        assert update.checkpoint[0] == 3


def test_the_best_state_is_told(tmp_path: Path) -> None:
    fields = {"keep": CheckpointPolicy(keep_best=True), "metric": Metric(name="score", mode="min")}
    update = last_state(tmp_path, **fields)
    assert update.best_checkpoint == f"{tmp_path}/1-1-after-0-0.state"
    assert Path(update.best_checkpoint).exists()
    assert last_state(tmp_path, attempt=2).best_checkpoint is None


def test_a_missing_package_for_the_storage_is_not_worth_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("sweep.remote.fsspec.core.url_to_fs", missing)
    with running(tmp_path, "saver", folder="s3://bucket/trial") as run:
        update = run.next_update(WAIT)
        assert update.finished
        assert not update.retryable
        assert "s3://bucket/trial: a package is missing" in (update.error or "")


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
    with pytest.raises(ModuleNotFoundError, match=r"no module 'no'.*--code FOLDER"):
        load_code("no.such.module:train")


def test_rules_are_those_of_the_null_run() -> None:
    from sweep.run import NullRun

    with pytest.raises(TrialFault, match="step 1 after step 2"):
        backwards({}, NullRun())
