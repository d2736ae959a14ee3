"""What a dry run tells beside its trials: time, and what a budget leaves out."""

import pytest

from sweep.cli.plans import plan_rows
from sweep.estimating import NOTHING_PAST, PastTraining, estimate, places_on, plan_budget
from sweep.records import DryRun
from sweep.spec import Budget, Resources
from sweep.submission import Known, Submission, dry_run
from sweep.trainables import Trainable, find, registered
from tests.unit.sweep.test_space import make

PAST = PastTraining(trials=4, trial_steps=1_000, seconds=2_000.0)


@pytest.mark.parametrize(
    ("resources", "places"),
    [
        (Resources(cpu=1), 8),
        (Resources(cpu=0.1), 80),
        (Resources(cpu=1, gpu=0.5), 4),
        (Resources(cpu=1, memory=4), 4),
        (Resources(cpu=3, custom={"disk": 1}), 1),
    ],
)
def test_places_are_what_the_scarcest_resource_allows(resources: Resources, places: int) -> None:
    cluster = {"CPU": 8.0, "GPU": 2.0, "memory": 16 * 2.0**30, "disk": 1.0}
    assert places_on(cluster, resources) == places
    assert places_on({}, resources) is None


def test_an_estimate_is_steps_by_time_by_places() -> None:
    found = estimate(3_600, PAST, places=4, gpus=0.5)
    assert found is not None
    assert (found.seconds_per_step, found.past_trials) == (2.0, 4)
    assert (found.place_hours, found.hours, found.gpu_hours) == (2.0, 0.5, 1.0)
    alone = estimate(3_600, PAST, places=None, gpus=0)
    assert alone is not None
    assert (alone.place_hours, alone.hours) == (2.0, None)
    assert estimate(None, PAST, places=4, gpus=0) is None
    assert estimate(3_600, NOTHING_PAST, places=4, gpus=0) is None


def test_a_budget_says_what_would_not_run() -> None:
    estimated = estimate(3_600, PAST, places=4, gpus=0.5)
    budget = Budget(trials=1_000, trial_steps=5_000, hours=0.25, gpu_hours=3)
    lines = list(plan_budget(budget, trials=1_296, trial_steps=3_600, estimated=estimated))
    assert [(line.name, line.missing) for line in lines] == [
        ("trials", 296),
        ("trial_steps", 0),
        ("hours", 0.25),
        ("gpu_hours", 0),
    ]
    (unknown,) = plan_budget(Budget(hours=1), trials=1, trial_steps=None, estimated=None)
    assert (unknown.planned, unknown.missing) == (None, None)
    assert list(plan_budget(Budget(), trials=1, trial_steps=1, estimated=None)) == []


def planned(known: Known | None = None, **fields: object) -> DryRun:
    trainable: Trainable = registered()["noop"]
    spec = make({"x": {"grid": list(range(12))}}, replicates=3, **fields)
    return dry_run(Submission(spec, trainable, 1_000), known)


def test_a_plan_counts_assignments_and_the_smaller_of_both_places() -> None:
    rule = {"type": "none", "max_t": 100}
    known = Known(PAST, {"CPU": 6.0})
    plan = planned(known, early_stopping=rule, resources={"cpu": 1}, max_concurrent=4)
    assert (plan.trials, plan.num_assignments, len(plan.assignments)) == (36, 12, 10)
    assert plan.estimate is not None
    assert (plan.estimate.places, plan.estimate.hours) == (4, pytest.approx(0.5))
    wide = planned(known, early_stopping=rule, resources={"cpu": 1})
    assert wide.estimate is not None
    assert wide.estimate.places == 6


def test_a_plan_is_told_in_words() -> None:
    rows = dict(
        plan_rows(
            planned(
                Known(PAST, {"CPU": 4.0}),
                early_stopping={"type": "none", "max_t": 100},
                resources={"cpu": 1},
                budget={"trials": 30, "hours": 0.1, "trial_steps": 10_000},
            )
        )
    )
    assert rows["assignments"] == "12"
    assert rows["trial-steps"] == "about 3,600"
    assert rows["budget of trials"] == "30: 6 would not run"
    assert rows["budget of trial-steps"] == "10,000: enough"
    assert rows["budget of hours"] == "0.1: the whole sweep would use about 0.4 hours more"
    assert rows["hours"] == "about 0.5 with 4 places (2 s a step, by 4 past trials)"
    bare = dict(plan_rows(planned(budget={"gpu_hours": 2})))
    assert bare["hours"].startswith("unknown")
    assert bare["budget of GPU hours"] == "2; what the sweep would use is not known"


def test_the_groups_of_a_search_that_learns_are_told_by_its_first_assignments() -> None:
    spec = make(
        {"lr": {"uniform": {"min": 0, "max": 9}}, "task": {"choice": ["a", "b"]}},
        search={"type": "tpe", "num_trials": 100, "startup_trials": 10, "seed": 1},
        early_stopping={"type": "none", "max_t": 20, "group_by": ["task"]},
        replicates=2,
    )
    plan = dry_run(Submission(spec, find("train:fn", {}), 1_000))
    assert (plan.trials, plan.num_assignments, plan.startup_trials) == (200, 100, 10)
    assert sum(group.trials for group in plan.groups) == 200
    assert (plan.num_groups, plan.trial_steps) == (2, 200 * 20)
