"""The driver's core: what it hands out, tells and decides, event by event."""

from dataclasses import replace

import pytest

from sweep.records import Origin
from sweep.spec import SweepSpec
from sweep.states import SweepState, TrialState
from sweep.wire import ReportRow, RungEntry, TrialTask
from tests.unit.driver.builders import (
    START,
    at,
    kinds,
    make_spec,
    make_tasks,
    next_task,
    on_update,
    row,
    update,
)
from workers.driver.core import SweepCore


def make_core(
    spec: SweepSpec | None = None,
    tasks: list[TrialTask] | None = None,
    *,
    max_concurrent: int | None = None,
) -> SweepCore:
    spec = spec or make_spec()
    return SweepCore(
        spec,
        make_tasks(spec) if tasks is None else tasks,
        (),
        max_concurrent=max_concurrent,
        now=START,
    )


def start_all(core: SweepCore) -> list[tuple[TrialTask, int]]:
    taken = []
    while (handed := next_task(core)) is not None:
        taken.append(handed)
    return taken


def test_a_plain_sweep_runs_every_trial_once_and_completes() -> None:
    core = make_core()
    handed = start_all(core)
    assert [(task.index, attempt) for task, attempt in handed] == [(0, 1), (1, 1), (2, 1)]
    for task, attempt in handed:
        assert on_update(core, task.index, attempt, update(row(1, 0.5)))
        assert not on_update(core, task.index, attempt, update(finished=True))
    assert core.done
    core.finish(START)
    messages = core.take_messages()
    assert kinds(messages) == ["started", "reports", "moved"] * 3 + ["finished"]
    assert messages[-1].state is SweepState.COMPLETED
    assert core.take_messages() == []


def test_no_more_than_max_concurrent_run_at_once() -> None:
    core = make_core(max_concurrent=2)
    assert len(start_all(core)) == 2
    on_update(core, 0, 1, update(row(1, 1.0), finished=True))
    assert [task.index for task, _ in start_all(core)] == [2]


def test_target_max_t_and_divergence_end_a_trial_each_with_its_reason() -> None:
    spec = make_spec(
        metric={"name": "score", "mode": "max", "target": 0.9},
        early_stopping={"type": "none", "max_t": 10},
    )
    core = make_core(spec)
    start_all(core)
    assert not on_update(core, 0, 1, update(row(3, 0.95)))
    assert not on_update(core, 1, 1, update(row(10, 0.1)))
    assert not on_update(core, 2, 1, update(row(4, None)))
    moves = [m for m in core.take_messages() if m.kind == "moved"]
    assert [(m.trial, m.state, m.reason) for m in moves] == [
        (0, TrialState.COMPLETED, "target"),
        (1, TrialState.COMPLETED, "max_t"),
        (2, TrialState.DIVERGED, "nonfinite"),
    ]


def test_a_failure_is_retried_up_to_max_failures_and_keeps_its_traceback() -> None:
    core = make_core(make_spec(parameters={"x": {"grid": [1]}}, max_failures=1))
    next_task(core)
    assert on_update(core, 0, 1, update(row(1, 0.1), error="Traceback: boom"))
    core.losses.failed(0, 1, "TrialError", START)
    assert next_task(core, at(0.9)) is None
    assert not core.done
    task, attempt = next_task(core, at(1))
    assert (task.index, attempt, task.failures) == (0, 2, 1)
    core.losses.failed(0, 2, "the process died", START)
    assert core.done
    core.finish(START)
    moves = [m for m in core.take_messages() if m.kind in ("moved", "finished")]
    assert [(m.state, getattr(m, "error", None)) for m in moves] == [
        (TrialState.PENDING, "Traceback: boom"),
        (TrialState.FAILED, "the process died"),
        (SweepState.FAILED, None),
    ]


def test_a_failure_that_would_repeat_is_not_retried() -> None:
    core = make_core(make_spec(parameters={"x": {"grid": [1]}}))
    next_task(core)
    on_update(core, 0, 1, update(error="ImportError: no", retryable=False))
    core.losses.failed(0, 1, "TrialError", START)
    assert core.done


def test_a_trial_that_its_process_did_not_take_is_tried_again_without_blame() -> None:
    core = make_core(make_spec(parameters={"x": {"grid": [1]}}, max_failures=0))
    next_task(core)
    core.losses.refused(0, 1)
    handed = next_task(core)
    assert handed is not None
    assert (handed[1], handed[0].failures) == (1, 0)


def test_a_trial_that_never_reports_the_metric_fails_and_says_so() -> None:
    core = make_core(make_spec(parameters={"x": {"grid": [1]}}))
    next_task(core)
    on_update(core, 0, 1, update(finished=True))
    (move,) = [m for m in core.take_messages() if m.kind == "moved"]
    assert move.state is TrialState.FAILED
    assert "'score'" in move.error


def test_asha_stops_the_poor_one_and_tells_why() -> None:
    spec = make_spec(
        early_stopping={"type": "asha", "grace_period": 5, "max_t": 50, "min_peers": 1}
    )
    core = make_core(spec)
    start_all(core)
    assert on_update(core, 0, 1, update(row(5, 0.9)))
    assert not on_update(core, 1, 1, update(row(5, 0.1)))
    messages = core.take_messages()
    rungs = [m.entry for m in messages if m.kind == "rung"]
    assert [(e.trial, e.step, e.decision, e.peers) for e in rungs] == [
        (0, 5, "continue", 0),
        (1, 5, "stop", 1),
    ]
    assert messages[-1].state is TrialState.STOPPED


HALVING = {"type": "halving", "grace_period": 5, "max_t": 50, "reduction_factor": 3}


def test_halving_pauses_those_that_came_early_and_resumes_the_best() -> None:
    core = make_core(make_spec(early_stopping=HALVING))
    start_all(core)
    for index, score in ((0, 0.3), (1, 0.9)):
        assert on_update(core, index, 1, update(row(5, score)))
        saved = update(parked=True, checkpoint=(5, f"state-{index}"))
        assert not on_update(core, index, 1, saved)
    assert not core.done
    assert next_task(core) is None
    assert not on_update(core, 2, 1, update(row(5, 0.1)))
    task, attempt = next_task(core)
    assert (task.index, attempt, task.checkpoint, task.checkpoint_step) == (1, 2, "state-1", 5)
    states = [(m.trial, m.state) for m in core.take_messages() if m.kind == "moved"]
    assert states == [
        (0, TrialState.PAUSED),
        (1, TrialState.PAUSED),
        (0, TrialState.STOPPED),
        (2, TrialState.STOPPED),
    ]


def test_halving_lets_the_last_arrival_go_on_in_place() -> None:
    core = make_core(make_spec(early_stopping=HALVING, parameters={"x": {"grid": [1]}}))
    next_task(core)
    assert on_update(core, 0, 1, update(row(5, 0.5)))
    assert on_update(core, 0, 1, update(parked=True))


def test_the_winner_of_a_group_is_trained_again_once() -> None:
    rule = {"type": "halving", "max_t": 10, "restart_winner": {"max_t": 40}}
    spec = make_spec(early_stopping=rule)
    core = make_core(spec)
    start_all(core)
    for index, score in enumerate((0.1, 0.8, 0.3)):
        on_update(core, index, 1, update(row(10, score)))
    asked = [m for m in core.take_messages() if m.kind == "restart"]
    assert [(m.parent, m.max_t) for m in asked] == [(1, 40)]
    assert not core.done
    parent = make_tasks(spec)[1]
    again = parent.model_copy(
        update={"index": 3, "id": "s-3", "origin": Origin.RESTART, "parent": 1, "max_t": 40}
    )
    core.add([again])
    core.add([again])
    task, _ = next_task(core)
    assert task.index == 3
    assert on_update(core, 3, 1, update(row(10, 0.1)))
    assert not on_update(core, 3, 1, update(row(40, 0.2)))
    assert core.done


def test_cancelling_ends_what_runs_and_hands_out_nothing_more() -> None:
    core = make_core(max_concurrent=1)
    next_task(core)
    core.cancel(START)
    assert core.done
    assert next_task(core) is None
    core.finish(START)
    messages = core.take_messages()
    assert kinds(messages) == ["started", "moved", "finished"]
    assert messages[1].state is TrialState.CANCELLED
    assert messages[2].state is SweepState.CANCELLED
    assert not on_update(core, 0, 1, update(row(1, 1.0)))


def recovered(task: TrialTask, **changes: object) -> TrialTask:
    return task.model_copy(update=changes)


def test_a_successor_runs_only_what_is_not_final() -> None:
    spec = make_spec()
    done, lost, waiting = make_tasks(spec)
    tasks = [
        recovered(done, state=TrialState.COMPLETED, reason="max_t", attempts=1),
        recovered(lost, state=TrialState.RUNNING, attempts=1),
        waiting,
    ]
    core = make_core(spec, tasks)
    (move,) = core.take_messages()
    assert (move.trial, move.state, move.reason) == (1, TrialState.PENDING, "driver lost")
    assert [(task.index, attempt) for task, attempt in start_all(core)] == [(1, 2), (2, 1)]


def test_a_successor_completes_a_rung_that_its_predecessor_left_open() -> None:
    spec = make_spec(early_stopping=HALVING)
    tasks = [
        recovered(task, state=TrialState.PAUSED, reason="rung", attempts=1, rung_value=score)
        for task, score in zip(make_tasks(spec), (0.2, 0.9, 0.4), strict=True)
    ]
    core = make_core(spec, tasks)
    assert [task.index for task, _ in start_all(core)] == [1]
    stops = [m.trial for m in core.take_messages() if m.kind == "moved"]
    assert stops == [0, 2]


def test_a_successor_asks_again_for_a_second_training_that_was_lost() -> None:
    rule = {"type": "halving", "max_t": 10, "restart_winner": {"max_t": 40}}
    spec = make_spec(early_stopping=rule)
    tasks = [
        recovered(t, state=TrialState.COMPLETED, reason="max_t", attempts=1, rung_value=score)
        for t, score in zip(make_tasks(spec), (0.2, 0.9, 0.4), strict=True)
    ]
    core = make_core(spec, tasks)
    assert not core.done
    (message,) = core.take_messages()
    assert (message.kind, message.parent) == ("restart", 1)


def test_an_update_of_an_attempt_that_is_over_changes_nothing() -> None:
    core = make_core()
    next_task(core)
    core.losses.failed(0, 1, "died", START)
    core.take_messages()
    assert not on_update(core, 0, 1, update(row(1, 1.0)))
    assert core.take_messages() == []


def test_a_stop_reaches_a_trial_that_waits_to_be_tried_again() -> None:
    """Its process died at the rung, before the group was complete."""
    core = make_core(make_spec(early_stopping=HALVING))
    start_all(core)
    assert on_update(core, 0, 1, update(row(5, 0.1)))
    core.losses.failed(0, 1, "the process died", START)
    on_update(core, 1, 1, update(row(5, 0.9)))
    on_update(core, 2, 1, update(row(5, 0.2)))
    moves = [(m.trial, m.state) for m in core.take_messages() if m.kind == "moved"]
    assert (0, TrialState.STOPPED) in moves
    assert next_task(core) is None


def test_a_trial_whose_state_is_at_an_open_rung_waits_there_after_a_lost_driver() -> None:
    spec = make_spec(early_stopping=HALVING)
    tasks = [
        recovered(task, state=state, attempts=1, rung_value=score, checkpoint_step=at_step)
        for task, state, score, at_step in zip(
            make_tasks(spec),
            (TrialState.RUNNING, TrialState.PENDING, TrialState.RUNNING),
            (0.9, 0.3, 0.4),
            (5, 5, 0),
            strict=True,
        )
    ]
    core = make_core(spec, tasks)
    task, attempt = next_task(core)
    assert task.index == 2
    assert next_task(core) is None
    assert not on_update(core, 2, attempt, update(row(5, 0.4)))
    task, _ = next_task(core)
    assert task.index == 0


def test_a_stop_that_was_decided_and_not_told_is_told_by_the_successor() -> None:
    spec = make_spec(early_stopping=HALVING)
    tasks = [recovered(task, state=TrialState.RUNNING, attempts=1) for task in make_tasks(spec)]
    entry = RungEntry(step=5, trial=1, group="{}", value=0.1, peers=2, decision="stop", time=START)
    core = SweepCore(spec, tasks, (entry,), max_concurrent=None, now=START)
    moves = {m.trial: m.state for m in core.take_messages() if m.kind == "moved"}
    assert moves[1] is TrialState.STOPPED
    assert {task.index for task, _ in start_all(core)} == {0, 2}


def test_an_attempt_that_never_began_takes_no_report_away() -> None:
    spec = make_spec(parameters={"x": {"grid": [1]}}, max_failures=0)
    (task,) = make_tasks(spec)
    task = recovered(task, state=TrialState.PENDING, checkpoint="state", checkpoint_step=7)
    core = make_core(spec, [task])
    next_task(core)
    core.losses.failed(0, 1, "the process died", START)
    (started,) = [m for m in core.take_messages() if m.kind == "started"]
    assert started.from_step == 7


def test_a_state_that_could_not_be_read_is_not_gone_on_from_again() -> None:
    spec = make_spec(parameters={"x": {"grid": [1]}})
    (task,) = make_tasks(spec)
    task = recovered(task, state=TrialState.PENDING, checkpoint="state", checkpoint_step=7)
    core = make_core(spec, [task])
    _, attempt = next_task(core)
    on_update(core, 0, attempt, update(row(1, 0.5), from_step=0))
    core.losses.failed(0, attempt, "the process died", START)
    work = core.next_work(at(1))
    assert work is not None
    again, _ = work.members[0]
    assert (again.checkpoint, again.checkpoint_step) == (None, 0)


def test_an_older_state_that_was_gone_back_to_is_told_and_so_is_the_best() -> None:
    spec = make_spec(parameters={"x": {"grid": [1]}})
    (task,) = make_tasks(spec)
    task = recovered(task, state=TrialState.PENDING, checkpoint="seven", checkpoint_step=7)
    core = make_core(spec, [task])
    _, attempt = next_task(core)
    news = replace(update(checkpoint=(5, "five"), from_step=5), best_checkpoint="three")
    on_update(core, 0, attempt, news)
    started, saved = core.take_messages()
    assert (started.kind, started.from_step) == ("started", 5)
    assert (saved.kind, saved.step, saved.uri, saved.best) == ("checkpoint", 5, "five", "three")


@pytest.mark.parametrize("reason", ["max_t", "plateau"])
def test_a_trial_that_never_reports_the_metric_has_failed_however_it_ends(reason: str) -> None:
    watched = {"name": "loss", "mode": "min"}
    plateau = {"patience": 2} if reason == "plateau" else None
    rule = {"type": "none", "max_t": 4, "metric": watched, "plateau": plateau}
    core = make_core(make_spec(parameters={"x": {"grid": [1]}}, early_stopping=rule))
    next_task(core)
    for step in range(1, 5):
        on_update(core, 0, 1, update(ReportRow(step=step, time=START, values={"loss": 1.0})))
    (moved,) = [m for m in core.take_messages() if m.kind == "moved"]
    assert (moved.state, moved.reason) == (TrialState.FAILED, "no metric")
    assert "'score'" in (moved.error or "")


def test_a_sweep_says_that_no_trial_could_be_compared() -> None:
    rule = {"type": "asha", "max_t": 4, "metric": {"name": "lss", "mode": "min"}}
    core = make_core(make_spec(parameters={"x": {"grid": [1]}}, early_stopping=rule))
    next_task(core)
    on_update(core, 0, 1, update(row(4, 0.5)))
    core.finish(START)
    end = core.take_messages()[-1]
    assert (end.state, end.reason) == (
        SweepState.COMPLETED,
        "no trial reported 'lss', which early_stopping compares",
    )
