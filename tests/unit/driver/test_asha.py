"""GroupedASHA's rule against Ray Tune's own, and its groups against each other."""

import random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from sweep.metric import Metric
from sweep.stopping import Asha
from sweep.wire import RungEntry
from tests.unit.driver.builders import START, make_task
from workers.driver.asha import GroupedAshaRule


def make_rule(*, mode: str = "max", **fields: object) -> GroupedAshaRule:
    settings = {"grace_period": 1, "max_t": 30, "reduction_factor": 3, "min_peers": 1, **fields}
    return GroupedAshaRule(
        Asha.model_validate(settings), Metric.model_validate({"name": "score", "mode": mode})
    )


def survivors_by_ours(rule: GroupedAshaRule, reports: list[tuple[int, int, float]]) -> list[bool]:
    return [
        not any(not d.keep for d in rule.observe(make_task(trial), step=step, value=value))
        for trial, step, value in reports
    ]


@pytest.mark.parametrize("seed", range(1000))
def test_one_group_decides_as_ray_does(seed: int) -> None:
    rng = random.Random(seed)
    max_t, grace = rng.choice([(30, 1), (100, 4), (81, 3), (27, 1)])
    eta, mode = rng.choice([2, 3, 4]), rng.choice(["max", "min"])
    ours = make_rule(mode=mode, max_t=max_t, grace_period=grace, reduction_factor=eta)
    theirs = AsyncHyperBandScheduler(
        time_attr="step",
        metric="score",
        mode=mode,
        max_t=max_t,
        grace_period=grace,
        reduction_factor=eta,
    )
    trials = [SimpleNamespace(trial_id=str(i)) for i in range(rng.randint(2, 12))]
    for trial in trials:
        theirs.on_trial_add(None, trial)
    step = dict.fromkeys(range(len(trials)), 0)
    while step:
        index = rng.choice(sorted(step))
        step[index] += rng.randint(1, 7)
        value = round(rng.gauss(0, 1), rng.choice([0, 3]))
        if step[index] >= max_t:
            del step[index]
            continue
        result = {"step": step[index], "score": value}
        stopped = theirs.on_trial_result(None, trials[index], result) == TrialScheduler.STOP
        decisions = ours.observe(make_task(index), step=step[index], value=value)
        assert any(not d.keep for d in decisions) == stopped
        if stopped:
            del step[index]


report = st.tuples(
    st.integers(0, 8), st.integers(1, 29), st.floats(-5, 5, allow_nan=False) | st.none()
)


@given(st.lists(report, max_size=40), st.lists(report, max_size=40), st.randoms())
def test_groups_never_touch_each_other(
    first: list[tuple[int, int, float]],
    second: list[tuple[int, int, float]],
    rng: random.Random,
) -> None:
    alone = make_rule(min_peers=2)
    expected = [alone.observe(make_task(t, group="a"), step=s, value=v) for t, s, v in first]
    mixed = make_rule(min_peers=2)
    order = ["a"] * len(first) + ["b"] * len(second)
    rng.shuffle(order)
    queues = {"a": iter(first), "b": iter(second)}
    seen = []
    for group in order:
        trial, step, value = next(queues[group])
        shift = 0 if group == "a" else 100
        decided = mixed.observe(make_task(trial + shift, group=group), step=step, value=value)
        if group == "a":
            seen.append(decided)
    assert seen == expected


def test_nothing_is_stopped_before_enough_peers_are_recorded() -> None:
    rule = make_rule(min_peers=3)
    values = [9.0, 8.0, 7.0, 1.0]
    kept = survivors_by_ours(rule, [(i, 1, value) for i, value in enumerate(values)])
    assert kept == [True, True, True, False]


def test_a_value_that_is_not_finite_is_worst() -> None:
    rule = make_rule(min_peers=1)
    (first,) = rule.observe(make_task(0), step=1, value=None)
    (second,) = rule.observe(make_task(1), step=1, value=-1e9)
    (third,) = rule.observe(make_task(2), step=1, value=None)
    assert [first.keep, second.keep, third.keep] == [True, True, False]


def test_a_rule_rebuilt_from_its_entries_decides_the_same() -> None:
    reports = [(i, 1, float(i % 5)) for i in range(10)]
    whole, before = make_rule(), make_rule()
    entries = []
    for trial, step, value in reports[:6]:
        for d in before.observe(make_task(trial), step=step, value=value):
            decision = "continue" if d.keep else "stop"
            entries.append(
                RungEntry(
                    **{"step": d.step, "trial": d.trial, "group": d.group, "value": d.value},
                    **{"peers": d.peers, "cutoff": d.cutoff, "decision": decision, "time": START},
                )
            )
    after = make_rule()
    after.recall(entries)
    expected = survivors_by_ours(whole, reports)
    assert survivors_by_ours(after, reports[6:]) == expected[6:]
    assert list(after.observe(make_task(0), step=1, value=-100.0)) == []
