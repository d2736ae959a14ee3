"""The median rule against a plain definition of it, and its groups against each other."""

import statistics

from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.metric import Metric
from sweep.stopping import Median
from tests.unit.driver.builders import make_task
from workers.driver.median import MedianRule

GRACE, INTERVAL, MAX_T = 2, 3, 12
RUNGS = (2, 5, 8, 11)


def make_rule(tasks: int, *, mode: str = "max", min_peers: int = 2, groups: int = 1) -> MedianRule:
    rule = Median(grace_period=GRACE, interval=INTERVAL, max_t=MAX_T, min_peers=min_peers)
    metric = Metric.model_validate({"name": "score", "mode": mode})
    made = [make_task(i, group=str(i % groups)) for i in range(tasks)]
    return MedianRule(rule, metric, made, replicated=False)


def plain(
    reports: list[tuple[int, int, float]], *, mode: str, min_peers: int
) -> list[tuple[int, int, bool]]:
    """Which trials are judged where: each (trial, rung, goes on), by the paper's words."""
    seen: dict[int, list[tuple[int, float]]] = {}
    at_rung: dict[int, dict[int, list[float]]] = {rung: {} for rung in RUNGS}
    verdicts = []
    better = max if mode == "max" else min
    for trial, step, value in reports:
        seen.setdefault(trial, []).append((step, value))
        for rung in RUNGS:
            if step < rung or trial in at_rung[rung]:
                continue
            values = [v for _, v in seen[trial]]
            averages = [statistics.fmean(v) for v in at_rung[rung].values()]
            keep = True
            if len(averages) >= min_peers:
                middle, best = statistics.median(averages), better(values)
                keep = best >= middle if mode == "max" else best <= middle
            at_rung[rung][trial] = values
            verdicts.append((trial, rung, keep))
            if not keep:
                break
    return verdicts


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-8, 8)), max_size=70),
    st.integers(1, 3),
    st.sampled_from(["max", "min"]),
    st.integers(1, 4),
)
def test_it_decides_as_the_definition_says(
    draws: list[tuple[int, int]], min_peers: int, mode: str, every: int
) -> None:
    rule, done, stopped = (
        make_rule(6, mode=mode, min_peers=min_peers),
        dict.fromkeys(range(6), 0),
        set(),
    )
    reports, decided = [], []
    for trial, value in draws:
        step = done[trial] + every
        if trial in stopped or step >= MAX_T:
            continue
        done[trial] = step
        reports.append((trial, step, float(value)))
        for d in rule.observe(make_task(trial, group="0"), step=step, value=float(value)):
            decided.append((d.trial, d.step, d.keep))
            stopped |= set() if d.keep else {trial}
    assert decided == plain(reports, mode=mode, min_peers=min_peers)


def test_a_harder_group_is_not_judged_by_an_easier_one() -> None:
    rule = make_rule(8, groups=2, min_peers=1)
    kept = [
        rule.observe(make_task(i, group=str(i % 2)), step=2, value=[0.9, 0.1][i % 2] + i / 100)
        for i in range(8)
    ]
    assert all(d.keep for decisions in kept for d in decisions)
    assert sum(len(decisions) for decisions in kept) == 8


def test_a_good_start_is_not_forgotten() -> None:
    """What is compared is the best value so far, not the last one."""
    rule = make_rule(3, min_peers=1)
    for trial, values in ((0, (0.5, 0.5)), (1, (0.9, 0.1))):
        for step, value in enumerate(values, start=1):
            last = rule.observe(make_task(trial, group="0"), step=step, value=value)
        assert [d.keep for d in last] == [True]
    rule.observe(make_task(2, group="0"), step=1, value=0.4)
    (verdict,) = rule.observe(make_task(2, group="0"), step=2, value=0.45)
    assert (verdict.keep, verdict.value, verdict.cutoff, verdict.peers) == (False, 0.45, 0.5, 2)
