"""What bounds a running sweep: places that others take, pauses, budgets."""

from sweep.records import Usage
from sweep.spec import Budget
from sweep.states import SweepState, TrialState
from tests.unit.driver.builders import (
    START,
    at,
    make_spec,
    make_tasks,
    next_task,
    on_update,
    row,
    update,
)
from tests.unit.driver.test_core import HALVING, make_core, recovered, start_all
from workers.driver.core import SweepCore
from workers.driver.limits import Meter


def limited(core: SweepCore, *, places: int | None = None, budget: Budget | None = None) -> None:
    core.limit(at(0), places=places, max_concurrent=None, budget=budget or Budget())


def moves_of(core: SweepCore) -> list[tuple[int, TrialState, str | None]]:
    return [(m.trial, m.state, m.reason) for m in core.take_messages() if m.kind == "moved"]


def test_the_last_started_make_room_at_their_next_saved_state_and_go_on_later() -> None:
    core = make_core()
    start_all(core)
    for index in range(3):
        on_update(core, index, 1, update(row(1, 0.5)))
    limited(core, places=1)
    assert on_update(core, 1, 1, update(row(2, 0.5)))
    assert on_update(core, 0, 1, update(row(2, 0.5), checkpoint=(2, "zero")))
    assert not on_update(core, 1, 1, update(row(3, 0.5), checkpoint=(3, "one")))
    assert moves_of(core) == [(1, TrialState.PAUSED, "yielded")]
    assert next_task(core) is None
    limited(core, places=3)
    handed = next_task(core)
    assert handed is not None
    assert (handed[0].index, handed[0].checkpoint, handed[1]) == (1, "one", 2)


def test_a_trial_that_has_only_begun_makes_room_at_once() -> None:
    core = make_core()
    start_all(core)
    limited(core, places=2)
    assert not on_update(core, 2, 1, update())
    assert on_update(core, 1, 1, update())


def test_nothing_starts_where_others_have_all_places() -> None:
    core = make_core()
    limited(core, places=0)
    assert next_task(core) is None
    assert core.share == 0
    assert not core.done


def test_a_pause_waits_for_saved_states_and_no_longer_than_its_grace() -> None:
    core = make_core()
    start_all(core)
    for index in range(3):
        on_update(core, index, 1, update(row(1, 0.5)))
    core.pause(START)
    assert not on_update(core, 0, 1, update(row(2, 0.6), checkpoint=(2, "zero")))
    assert on_update(core, 1, 1, update(finished=True)) is False
    core.tick(at(59))
    assert not core.done
    core.tick(at(60))
    assert core.done
    core.finish(at(60))
    messages = core.take_messages()
    moves = [(m.trial, m.state, m.reason) for m in messages if m.kind == "moved"]
    assert moves == [
        (0, TrialState.PAUSED, "sweep paused"),
        (1, TrialState.COMPLETED, "finished"),
        (2, TrialState.PENDING, "sweep paused"),
    ]
    assert messages[-1].state is SweepState.PAUSED


def test_a_pause_of_a_sweep_whose_trials_all_end_completes_it() -> None:
    core = make_core()
    start_all(core)
    core.pause(START)
    for index in range(3):
        on_update(core, index, 1, update(row(1, 0.5), finished=True))
    core.finish(START)
    assert core.take_messages()[-1].state is SweepState.COMPLETED


def test_a_pause_that_is_taken_back_changes_nothing() -> None:
    core = make_core()
    start_all(core)
    on_update(core, 0, 1, update(row(1, 0.5)))
    core.pause(START)
    core.unpause()
    assert on_update(core, 0, 1, update(row(2, 0.5), checkpoint=(2, "zero")))
    core.tick(at(100))
    assert not core.done


def test_a_successor_goes_on_with_trials_that_had_made_room() -> None:
    spec = make_spec()
    tasks = [
        recovered(task, state=TrialState.PAUSED, reason="yielded", attempts=1, checkpoint="c")
        for task in make_tasks(spec)
    ]
    assert [task.index for task, _ in start_all(make_core(spec, tasks))] == [0, 1, 2]


def test_gpu_hours_are_those_of_works_that_have_begun() -> None:
    spec = make_spec(budget={"gpu_hours": 1})
    meter = Meter(Usage(), gpus=0.5, now=START)
    core = SweepCore(spec, make_tasks(spec), (), max_concurrent=None, now=START, meter=meter)
    start_all(core)
    core.tick(at(3600))
    assert core.used.gpu_seconds == 0
    for index in range(2):
        on_update(core, index, 1, update(row(1, 0.5)))
    core.tick(at(7200))
    assert core.used.gpu_seconds == 3600
    assert core.done


def test_a_budget_of_steps_ends_the_sweep_where_it_is_reached() -> None:
    core = make_core(make_spec(budget={"trial_steps": 5}))
    next_task(core)
    on_update(core, 0, 1, update(row(4, 0.5)))
    core.tick(START)
    assert not core.done
    on_update(core, 0, 1, update(row(6, 0.5)))
    core.tick(START)
    assert core.done
    core.finish(START)
    messages = core.take_messages()
    assert (messages[-1].state, messages[-1].reason) == (
        SweepState.COMPLETED,
        "budget: 6 of 5 trial-steps used",
    )
    assert [(m.trial, m.state, m.reason) for m in messages if m.kind == "moved"] == [
        (0, TrialState.STOPPED, "budget")
    ]
    assert core.used.trials == 1


def test_a_budget_of_hours_goes_on_from_what_drivers_before_used() -> None:
    spec = make_spec(budget={"hours": 1, "gpu_hours": 0.5})
    core = SweepCore(
        spec,
        make_tasks(spec),
        (),
        max_concurrent=None,
        now=START,
        meter=Meter(Usage(seconds=3000, gpu_seconds=600), gpus=2, now=START),
    )
    for index, _ in enumerate(start_all(core)):
        on_update(core, index, 1, update(row(1, 0.5)))
    core.tick(at(100))
    assert (core.used.seconds, core.used.gpu_seconds, core.done) == (3100, 1200, False)
    core.tick(at(200))
    assert core.done


def test_a_budget_of_trials_runs_the_first_ones_and_more_when_it_grows() -> None:
    core = make_core(make_spec(budget={"trials": 1}))
    assert [task.index for task, _ in start_all(core)] == [0]
    limited(core, budget=Budget(trials=2))
    assert [task.index for task, _ in start_all(core)] == [1]
    for index in range(2):
        on_update(core, index, 1, update(row(1, 0.5), finished=True))
    assert core.done
    core.finish(START)
    end = core.take_messages()[-1]
    assert (end.state, end.reason) == (SweepState.COMPLETED, "budget: 2 of 3 trials may run")


def test_trials_past_the_budget_are_not_waited_for_at_a_rung() -> None:
    spec = make_spec(early_stopping=HALVING, budget={"trials": 2})
    core = make_core(spec)
    start_all(core)
    assert not on_update(core, 0, 1, update(row(10, 0.2), checkpoint=(10, "c"), parked=True))
    assert on_update(core, 1, 1, update(row(10, 0.9)))
    assert moves_of(core) == [(0, TrialState.PAUSED, "rung"), (0, TrialState.STOPPED, "rung")]


def test_a_failed_trial_that_is_to_be_tried_again_runs_again() -> None:
    core = make_core(make_spec(max_failures=0))
    start_all(core)
    core.losses.failed(0, 1, "boom", START)
    again = recovered(make_tasks(make_spec())[0], attempts=1)
    core.add([again, again])
    handed = next_task(core)
    assert handed is not None
    assert (handed[0].index, handed[1]) == (0, 2)
    assert next_task(core) is None


def test_a_budget_of_trials_that_shrinks_holds_back_those_not_begun() -> None:
    core = make_core(max_concurrent=1)
    next_task(core)
    on_update(core, 0, 1, update(row(1, 0.5)))
    core.limit(at(1), places=None, max_concurrent=1, budget=Budget(trials=2))
    on_update(core, 0, 1, update(finished=True))
    assert [task.index for task, _ in start_all(core)] == [1]
    on_update(core, 1, 1, update(row(1, 0.5), finished=True))
    assert core.done
    core.finish(at(2))
    assert core.take_messages()[-1].reason == "budget: 2 of 3 trials may run"


def test_a_trial_handed_out_when_all_seemed_done_leaves_the_sweep_open() -> None:
    core = make_core()
    start_all(core)
    core.finish(at(1))
    assert core.take_messages()[-1].state is SweepState.PAUSED


def test_a_trial_past_the_budget_that_is_delivered_twice_is_not_waited_for() -> None:
    for replicates in (1, 2):
        spec = make_spec(budget={"trials": 2}, replicates=replicates, early_stopping=HALVING)
        tasks = make_tasks(spec)
        core = make_core(spec, tasks[:2])
        core.add(tasks[2:])
        core.add(tasks[2:])
        handed = start_all(core)
        for (task, attempt), score in zip(handed, (0.9, 0.1), strict=True):
            on_update(core, task.index, attempt, update(row(5, score)))
            saved = update(parked=True, checkpoint=(5, f"state-{task.index}"))
            on_update(core, task.index, attempt, saved)
        for task, attempt in (*handed, *start_all(core)):
            on_update(core, task.index, attempt, update(finished=True))
        assert core.done


def test_a_shrinking_budget_that_leaves_no_open_trial_has_the_winner_trained_again() -> None:
    rule = {"type": "halving", "max_t": 10, "restart_winner": {"max_t": 40}}
    core = make_core(make_spec(early_stopping=rule), max_concurrent=2)
    for task, attempt in start_all(core):
        on_update(core, task.index, attempt, update(row(10, 0.5 + task.index)))
    core.limit(at(1), places=None, max_concurrent=2, budget=Budget(trials=2))
    assert [m.parent for m in core.take_messages() if m.kind == "restart"] == [1]
    assert not core.done


def test_no_winner_is_trained_again_once_the_budget_is_spent() -> None:
    rule = {"type": "halving", "max_t": 10, "restart_winner": {"max_t": 40}}
    core = make_core(make_spec(early_stopping=rule, budget={"trial_steps": 5}))
    for task, attempt in start_all(core):
        on_update(core, task.index, attempt, update(row(5, 0.5)))
    core.tick(at(1))
    assert core.done
    assert not [m for m in core.take_messages() if m.kind == "restart"]


def test_a_successor_that_finds_the_budget_spent_trains_no_winner_again() -> None:
    rule = {"type": "halving", "max_t": 10, "restart_winner": {"max_t": 40}}
    spec = make_spec(early_stopping=rule, budget={"trial_steps": 30})
    tasks = [
        task.model_copy(
            update={"state": TrialState.COMPLETED, "reason": "max_t", "rung_value": 0.5}
        )
        for task in make_tasks(spec)
    ]
    used = Meter(Usage(trial_steps=30), gpus=0, now=START)
    core = SweepCore(spec, tasks, (), max_concurrent=None, now=START, meter=used)
    core.tick(at(1))
    assert core.done
    assert not [m for m in core.take_messages() if m.kind == "restart"]
    core = SweepCore(spec, tasks, (), max_concurrent=None, now=START)
    assert [m.parent for m in core.take_messages() if m.kind == "restart"] == [0]
