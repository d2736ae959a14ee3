"""Exact halving: waits for all of a group, ranks it, and says what it said before."""

from sweep.metric import Metric
from sweep.stopping import Halving
from sweep.wire import RungEntry, TrialTask
from tests.unit.driver.builders import START, make_task
from workers.driver.halving import HalvingRule, winners

METRIC = Metric(name="loss", mode="min")


def make_rule(tasks: list[TrialTask], **fields: object) -> HalvingRule:
    settings = {"max_t": 100, "grace_period": 10, "reduction_factor": 3, **fields}
    return HalvingRule(Halving.model_validate(settings), METRIC, tasks)


def test_nobody_is_judged_before_the_last_has_come() -> None:
    tasks = [make_task(i) for i in range(6)]
    rule = make_rule(tasks)
    for task in tasks[:5]:
        assert not rule.observe(task, step=10, value=float(task.index))
        assert rule.waiting_at(task) is not None
    decisions = rule.observe(tasks[5], step=10, value=-1.0)
    assert {d.trial for d in decisions if d.keep} == {0, 5}
    assert {d.trial for d in decisions if not d.keep} == {1, 2, 3, 4}
    assert all(rule.waiting_at(task) is None for task in tasks)


def test_the_next_rung_is_over_the_survivors() -> None:
    tasks = [make_task(i) for i in range(9)]
    rule = make_rule(tasks)
    for task in tasks:
        rule.observe(task, step=10, value=float(task.index))
    assert not rule.observe(tasks[0], step=30, value=5.0)
    assert not rule.observe(tasks[1], step=30, value=4.0)
    decisions = rule.observe(tasks[2], step=30, value=6.0)
    assert [d.trial for d in decisions if d.keep] == [1]
    assert {d.peers for d in decisions} == {2}


def test_groups_are_judged_apart() -> None:
    easy, hard = make_task(0, group="easy"), make_task(1, group="hard")
    rule = make_rule([easy, hard])
    assert rule.observe(hard, step=10, value=99.0)[0].keep
    assert rule.observe(easy, step=10, value=0.0)[0].keep


def test_a_trial_that_diverged_ranks_last_and_one_at_its_target_first() -> None:
    tasks = [make_task(i) for i in range(4)]
    rule = make_rule(tasks, reduction_factor=2)
    rule.leave(tasks[0], outcome="diverged", value=0.0)
    rule.leave(tasks[1], outcome="target", value=3.0)
    rule.observe(tasks[2], step=10, value=5.0)
    decisions = rule.observe(tasks[3], step=10, value=4.0)
    assert {d.trial: d.keep for d in decisions} == {3: True, 2: False}


def test_a_failed_trial_is_not_counted() -> None:
    tasks = [make_task(i) for i in range(4)]
    rule = make_rule(tasks)
    for task in tasks[:3]:
        rule.observe(task, step=10, value=float(task.index))
    decisions = rule.leave(tasks[3], outcome="dropped", value=None)
    assert [d.trial for d in decisions if d.keep] == [0]
    assert {d.peers for d in decisions} == {2}


def test_decisions_made_before_are_not_made_again() -> None:
    tasks = [make_task(i) for i in range(3)]
    rule = make_rule(tasks)
    rule.recall(
        RungEntry(
            step=10,
            trial=i,
            group="{}",
            value=float(i),
            peers=2,
            cutoff=0.0,
            decision="continue" if i == 0 else "stop",
            time=START,
        )
        for i in range(3)
    )
    assert not rule.observe(tasks[0], step=10, value=0.0)
    assert rule.observe(tasks[0], step=30, value=0.0)[0].keep


def test_the_winner_is_the_best_that_is_not_at_its_target() -> None:
    tasks = [make_task(i) for i in range(4)]
    ends = {
        0: ("diverged", 0.0),
        1: ("completed", 2.0),
        2: ("completed", 1.0),
        3: ("stopped", None),
    }
    assert winners(tasks, ends, METRIC, replicated=False) == (2,)
    assert winners(tasks, {**ends, 2: ("target", 1.0)}, METRIC, replicated=False) == ()
    assert winners(tasks, {0: ("diverged", 0.0)}, METRIC, replicated=False) == ()
