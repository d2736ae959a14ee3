"""HyperBand: brackets as in the paper, trials assigned alike by every driver."""

from collections import Counter
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import SpecError
from sweep.metric import Metric
from sweep.rungs import bracket_steps, brackets_in_turn, num_brackets, plan_rungs, trial_steps
from sweep.stopping import Asha, Hyperband
from tests.unit.driver.builders import make_spec, make_task
from workers.driver.asha import GroupedAshaRule
from workers.driver.hyperband import HyperbandRule

METRIC = Metric(name="score", mode="max")
PAPER = Hyperband(max_t=81, reduction_factor=3)


def test_brackets_are_those_of_the_paper() -> None:
    steps = [bracket_steps(PAPER, bracket) for bracket in range(num_brackets(PAPER))]
    assert steps == [(), (27,), (9, 27), (3, 9, 27), (1, 3, 9, 27)]


def test_brackets_get_trials_in_the_proportions_of_the_paper() -> None:
    """143 trials: 5, 8, 15, 34, 81, but for the paper's rounding up."""
    counts = Counter(islice(brackets_in_turn(PAPER), 14_300))
    exact = {0: 5, 1: 7.5, 2: 15, 3: 33.75, 4: 81}
    share = 14_300 / sum(exact.values())
    for bracket, expected in exact.items():
        assert abs(counts[bracket] - expected * share) <= 3


def test_few_trials_have_brackets_of_several_kinds() -> None:
    assert len(set(islice(brackets_in_turn(PAPER), 9))) >= 3


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(1, 80), st.floats(0, 1)), max_size=80))
def test_each_bracket_is_an_asha_of_its_own(reports: list[tuple[int, int, float]]) -> None:
    tasks = [make_task(i) for i in range(20)]
    rule = HyperbandRule(PAPER, METRIC, tasks)
    halving = Asha(max_t=81, reduction_factor=3)
    apart = [
        GroupedAshaRule(halving, METRIC, steps=bracket_steps(PAPER, s))
        for s in range(num_brackets(PAPER))
    ]
    brackets = list(islice(brackets_in_turn(PAPER), 20))
    for trial, step, value in reports:
        alone = apart[brackets[trial]]
        expected = alone.observe(tasks[trial], step=step, value=value)
        assert rule.observe(tasks[trial], step=step, value=value) == expected
        assert rule.steps_for(tasks[trial]) == alone.steps_for(tasks[trial])


def test_a_trial_that_is_added_gets_the_bracket_that_a_new_driver_would_give_it() -> None:
    tasks = [make_task(i, group="ab"[i % 3 == 0]) for i in range(30)]
    whole = HyperbandRule(PAPER, METRIC, tasks)
    grown = HyperbandRule(PAPER, METRIC, tasks[:11])
    for task in tasks[11:]:
        grown.enter(task)
    assert [grown.steps_for(t) for t in tasks] == [whole.steps_for(t) for t in tasks]


def test_brackets_follow_the_order_of_the_trials_as_they_do_in_a_running_sweep() -> None:
    tasks = [make_task(i) for i in (0, 5, 1, 2, 3, 4, 9, 8)]
    grown = HyperbandRule(PAPER, METRIC, ())
    for task in tasks:
        grown.enter(task)
    again = HyperbandRule(PAPER, METRIC, tasks)
    assert [again.steps_for(t) for t in tasks] == [grown.steps_for(t) for t in tasks]


def test_a_plan_counts_every_bracket() -> None:
    rungs = {rung.step: rung.keeps for rung in plan_rungs(PAPER, 143)}
    assert rungs[1] == pytest.approx(81 / 3, abs=1)
    assert rungs[27] == pytest.approx(1 + 1 + 2 + 3, abs=2)
    steps = trial_steps(PAPER, 143)
    assert steps is not None
    assert steps < 143 * 81 / 5


@pytest.mark.parametrize(
    ("rule", "field", "words"),
    [
        ({"type": "hyperband", "max_t": 81, "brackets": 6}, "brackets", "above 5"),
        ({"type": "median", "max_t": 9, "grace_period": 10}, "grace_period", "above max_t 9"),
        (
            {"type": "median", "max_t": 10_000, "grace_period": 1},
            "interval",
            "9,999 rungs; at most 1,000",
        ),
        *(
            ({"type": kind, "max_t": 81, "reduction_factor": 1.0000000001}, "reduction_factor", w)
            for kind, w in (("hyperband", "at most 1,000"), ("asha", "make it larger"))
        ),
    ],
)
def test_steps_that_do_not_fit_are_refused(rule: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(SpecError) as refused:
        make_spec(early_stopping=rule)
    (problem,) = refused.value.problems
    assert problem.path == f"early_stopping.{field}"
    assert words in problem.message
