"""What a dry run says of rungs and trial-steps: units count, and every rule has a plan."""

from typing import Any

import pytest

from sweep.records import DryRun
from sweep.submission import dry_run, read_submission


def planned(early_stopping: dict[str, Any], *, replicates: int = 1) -> DryRun:
    spec = {
        "name": "plan",
        "trainable": "some.module:train",
        "metric": {"name": "score", "mode": "max"},
        "parameters": {"x": {"grid": list(range(9))}},
        "early_stopping": early_stopping,
        "replicates": replicates,
    }
    return dry_run(read_submission(spec, trainables={}, max_trials=1_000))


def test_replicates_go_on_or_stop_as_units() -> None:
    rule = {"type": "halving", "grace_period": 1, "max_t": 9, "restart_winner": {"max_t": 20}}
    alone, units = planned(rule), planned(rule, replicates=4)
    assert [(r.step, r.keeps) for r in alone.rungs] == [(1, 3), (3, 1)]
    assert [(r.step, r.keeps) for r in units.rungs] == [(1, 12), (3, 4)]
    assert (alone.restarts, units.restarts) == (1, 4)
    assert alone.trial_steps == 9 * 1 + 3 * 2 + 1 * 6 + 20
    assert units.trial_steps == 4 * alone.trial_steps


@pytest.mark.parametrize(
    ("rule", "steps"),
    [
        ({"type": "median", "grace_period": 2, "interval": 3, "max_t": 9}, [2, 5, 8]),
        ({"type": "median", "grace_period": 4, "max_t": 9}, [4, 8]),
        ({"type": "hyperband", "max_t": 9}, [1, 3]),
        ({"type": "hyperband", "max_t": 10, "brackets": 2}, [4]),
    ],
)
def test_every_rule_has_a_plan(rule: dict[str, Any], steps: list[int]) -> None:
    plan = planned(rule)
    assert [r.step for r in plan.rungs] == steps
    assert plan.trial_steps is not None
    assert plan.trial_steps <= 9 * rule["max_t"]


@pytest.mark.parametrize(("trials", "points", "given"), [(5, 0, 5), (50, 0, 10), (50, 20, 20)])
def test_a_search_starts_with_as_many_assignments_as_it_is_given(
    trials: int, points: int, given: int
) -> None:
    spec = {
        "name": "plan",
        "trainable": "some.module:train",
        "metric": {"name": "score", "mode": "max"},
        "parameters": {"x": {"uniform": {"min": 0, "max": 1}}},
        "search": {
            "type": "tpe",
            "num_trials": trials,
            "points_to_evaluate": [{"x": i / 100} for i in range(points)],
        },
    }
    submission = read_submission(spec, trainables={}, max_trials=1_000)
    plan = dry_run(submission)
    assert (plan.trials, plan.startup_trials) == (trials, given)
    assert len(list(submission.trials())) == given
