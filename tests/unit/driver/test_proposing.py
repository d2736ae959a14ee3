"""A driver's part in a model-based search: when it proposes, and when the sweep is over."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from sweep.records import Origin
from sweep.rows import TrialRow, planned_row
from sweep.space import Space
from sweep.spec import Budget, SweepSpec
from sweep.states import SweepState, TrialState
from sweep.submission import read_submission
from sweep.trainables import registered
from sweep.wire import Proposed, TrialTask
from tests.unit.driver.builders import (
    START,
    make_spec,
    make_tasks,
    next_task,
    on_update,
    row,
    update,
)
from workers.driver.core import SweepCore
from workers.ledger import Ledger
from workers.local import Options, run
from workers.progress import Progress

TPE: Mapping[str, Any] = {"type": "tpe", "num_trials": 3, "startup_trials": 2, "parallel": 1}
UNIFORM = {"x": {"uniform": {"min": 0, "max": 1}}}


def make_core(**fields: Any) -> tuple[SweepSpec, SweepCore]:
    spec = make_spec(parameters=UNIFORM, search=TPE, **fields)
    return spec, SweepCore(spec, make_tasks(spec), (), max_concurrent=None, now=START)


def train_all(core: SweepCore) -> None:
    while (handed := next_task(core)) is not None:
        task, attempt = handed
        on_update(core, task.index, attempt, update(row(1, 0.5), finished=True))


def third(spec: SweepSpec, **fields: Any) -> TrialTask:
    (first, *_) = make_tasks(spec)
    return first.model_copy(update={"index": 2, "id": "s-2", **fields})


def end_of(core: SweepCore) -> Any:
    core.finish(START)
    return core.take_messages()[-1]


def test_a_sweep_is_not_over_before_all_was_proposed() -> None:
    spec, core = make_core()
    train_all(core)
    assert core.searching
    assert not core.done
    core.take_messages()
    core.propose(2, {"x": 0.5}, START)
    assert core.take_messages() == [Proposed(assignment=2, parameters={"x": 0.5}, time=START)]
    assert not core.done
    core.add([third(spec)])
    assert not core.searching
    train_all(core)
    assert core.done
    assert end_of(core).state is SweepState.COMPLETED


def test_trials_of_users_and_restarts_are_none_of_the_search() -> None:
    spec, core = make_core()
    core.add([third(spec, origin=Origin.USER)])
    train_all(core)
    assert core.searching
    assert not core.done


def test_nothing_is_proposed_past_the_budget_of_trials_until_it_is_raised() -> None:
    _, core = make_core(budget={"trials": 2})
    train_all(core)
    assert not core.searching
    assert core.done
    core.limit(START, places=None, max_concurrent=None, budget=Budget(trials=3))
    assert core.searching
    assert not core.done


def test_proposals_that_the_service_has_not_taken_yet_count_against_the_budget() -> None:
    spec = make_spec(parameters=UNIFORM, search={**TPE, "num_trials": 9}, budget={"trials": 3})
    core = SweepCore(spec, make_tasks(spec), (), max_concurrent=None, now=START)
    train_all(core)
    assert core.searching
    core.propose(2, {"x": 0.5}, START)
    assert not core.searching
    assert not core.done
    core.add([third(spec)])
    train_all(core)
    assert core.done
    core.limit(START, places=None, max_concurrent=None, budget=Budget(trials=4))
    assert core.searching


def test_a_sweep_that_its_budget_cuts_short_says_so() -> None:
    _, core = make_core(budget={"trials": 2})
    train_all(core)
    end = end_of(core)
    assert (end.state, end.reason) == (SweepState.COMPLETED, "budget: 2 of 3 trials may run")


def test_nothing_is_proposed_while_the_sweep_pauses_or_once_it_is_cancelled() -> None:
    _, core = make_core()
    core.pause(START)
    assert not core.searching
    assert core.done
    core.unpause()
    assert core.searching
    core.cancel(START)
    assert not core.searching
    assert core.done


def in_one_process(**fields: Any) -> Sequence[TrialRow]:
    spec = {
        "name": "noop",
        "trainable": "noop",
        "metric": {"name": "value", "mode": "max"},
        "parameters": UNIFORM,
        **fields,
    }
    submission = read_submission(spec, trainables=registered(), max_trials=1_000)
    return list(run(submission, Options()).rows.values())


@pytest.mark.parametrize("kind", ["tpe", "cmaes", "nsga2"])
def test_a_search_runs_in_one_process_and_gives_the_same_again(kind: str) -> None:
    search = {"type": kind, "num_trials": 9, "startup_trials": 4, "parallel": 3}
    rows = in_one_process(search=search, replicates=2)
    assert [(r.index, r.assignment, r.replicate) for r in rows] == [
        (2 * a + r, a, r) for a in range(9) for r in range(2)
    ]
    assert {r.state for r in rows} == {TrialState.COMPLETED}
    assert len({r.seed for r in rows}) == 18
    again = in_one_process(search=search, replicates=2)
    assert [r.parameters for r in again] == [r.parameters for r in rows]


@pytest.mark.parametrize(("budget", "left"), [({}, 60), ({"trials": 5}, 50), ({"trials": 3}, 30)])
def test_what_is_left_counts_what_is_not_proposed_yet_and_may_be(
    budget: Mapping[str, int], left: int
) -> None:
    spec = make_spec(
        parameters=UNIFORM,
        search=TPE,
        replicates=2,
        early_stopping={"type": "none", "max_t": 10},
        budget=budget,
    )
    rows = {trial.index: planned_row(trial, spec, START) for trial in Space(spec).trials()}
    assert len(rows) == 4
    assert Progress(Ledger("s", spec, rows), StringIO())._steps_left() == left


def test_results_past_an_index_come_in_the_order_of_the_trials() -> None:
    spec = make_spec(parameters=UNIFORM, search={**TPE, "num_trials": 4, "startup_trials": 4})
    rows = {trial.index: planned_row(trial, spec, START) for trial in Space(spec).trials()}
    rows[2] = replace(rows[2], origin=Origin.USER)
    ledger = Ledger("s", spec, rows)
    found = [[result.index for result in ledger.results(after)] for after in (-1, 0, 1, 3)]
    assert found == [[0, 1, 3], [1, 3], [3], []]
