"""The median rule against a plain definition of it, and its groups against each other."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.metric import Metric
from sweep.stopping import Median
from sweep.wire import TrialTask
from tests.unit.driver.builders import make_task
from workers.driver.median import MedianRule
from workers.driver.stopping import Decision, Outcome

GRACE, INTERVAL, MAX_T = 2, 3, 12
RUNGS = (2, 5, 8, 11)
WORST = float("-inf")


def make_rule(
    tasks: Sequence[TrialTask], *, mode: str = "max", min_peers: int = 2, replicated: bool = False
) -> MedianRule:
    rule = Median(grace_period=GRACE, interval=INTERVAL, max_t=MAX_T, min_peers=min_peers)
    metric = Metric.model_validate({"name": "score", "mode": mode})
    return MedianRule(rule, metric, tasks, replicated=replicated)


def make_tasks(count: int, *, groups: int = 1, replicates: int = 1) -> list[TrialTask]:
    return [
        make_task(i, group=str(i % groups)).model_copy(update={"assignment": i // replicates})
        for i in range(count)
    ]


Verdict = tuple[int, int, bool]
"""A trial, a rung and whether it goes on."""


@dataclass
class Definition:
    """Who is judged where, by the paper's words, over the means of replicates."""

    units: int
    replicates: int
    sign: int
    """Of values, so that more is better."""
    min_peers: int
    reports: dict[int, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    """What SQL holds: steps and values."""
    left: dict[int, Outcome] = field(default_factory=dict)
    compared: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    """By unit and rung: who counted."""
    stopped: dict[int, int] = field(default_factory=dict)

    def step(self, trial: int) -> int:
        return max((step for step, _ in self.reports[trial]), default=0)

    def forget(self, trial: int, step: int) -> None:
        self.reports[trial] = [report for report in self.reports[trial] if report[0] <= step]

    def verdicts(self, unit: int) -> list[Verdict]:
        """What may be decided of a unit now."""
        found: list[Verdict] = []
        members = range(unit * self.replicates, (unit + 1) * self.replicates)
        for rung in RUNGS:
            there = {trial for trial in members if self.step(trial) >= rung}
            ready = there and all(trial in there or trial in self.left for trial in members)
            if unit in self.stopped or (not ready and (unit, rung) not in self.compared):
                break
            if (unit, rung) not in self.compared:
                found += self.compare(unit, rung, members)
        return found

    def compare(self, unit: int, rung: int, members: Sequence[int]) -> list[Verdict]:
        peers = [self.average(other, rung) for other in range(self.units)]
        averages = [average for average in peers if average is not None]
        counted = {m: v for m in members if (v := self.shown(m, rung)) is not None}
        best = fmean(max(values, default=WORST) for values in counted.values())
        keep = len(averages) < self.min_peers or WORST < best >= median(averages)
        self.compared[unit, rung] = list(counted)
        if not keep:
            self.stopped[unit] = rung
        return [(trial, rung, keep) for trial in counted]

    def average(self, unit: int, rung: int) -> float | None:
        """The mean of running averages over those who counted and have, or had, their part."""
        shown = [self.shown(trial, rung) for trial in self.compared.get((unit, rung), [])]
        averages = [fmean(values) if values else WORST for values in shown if values is not None]
        return fmean(averages) if averages else None

    def shown(self, trial: int, rung: int) -> list[float] | None:
        """A trial's values as it came to a rung, or until it ended; [] where it diverged."""
        steps = [step for step, _ in self.reports[trial]]
        values = [self.sign * value for _, value in self.reports[trial]]
        if self.step(trial) >= rung:
            return values[: bisect_left(steps, rung) + 1]
        outcome = self.left.get(trial, "dropped")
        return None if outcome == "dropped" else [] if outcome == "diverged" else values


@dataclass
class Pair:
    """The rule and its definition, told the same."""

    rule: MedianRule
    tasks: Sequence[TrialTask]
    plain: Definition

    def check(self, trial: int, decisions: Sequence[Decision]) -> None:
        """They say the same; whoever is stopped leaves."""
        found = [(d.trial, d.step, d.keep) for d in decisions]
        assert found == self.plain.verdicts(trial // self.plain.replicates)
        for stopped in (d.trial for d in decisions if not d.keep):
            if stopped not in self.plain.left:
                self.leave(stopped, "stopped")

    def report(self, trial: int, every: int, value: float) -> None:
        step = self.plain.step(trial) + every
        if step >= MAX_T:
            return self.leave(trial, "completed")
        self.plain.reports[trial].append((step, value))
        self.check(trial, self.rule.observe(self.tasks[trial], step=step, value=value))
        return None

    def leave(self, trial: int, outcome: Outcome) -> None:
        self.plain.left[trial] = outcome
        self.check(trial, self.rule.leave(self.tasks[trial], outcome=outcome, value=None))

    def rewind(self, trial: int, step: int) -> None:
        self.plain.forget(trial, step)
        self.rule.rewind(self.tasks[trial], step)

    def retry(self, trial: int, step: int) -> None:
        """A failed trial is tried again, unless its unit was stopped."""
        rung = self.plain.stopped.get(trial // self.plain.replicates)
        del self.plain.left[trial]
        self.rule.enter(self.tasks[trial])
        told = [(d.trial, d.step, d.keep) for d in self.rule.settle()]
        assert told == ([] if rung is None else [(trial, rung, False)])
        if rung is None:
            self.rewind(trial, step)
        else:
            self.leave(trial, "stopped")

    def happen(self, what: str, trial: int, number: int, every: int) -> None:
        outcome = self.plain.left.get(trial)
        if outcome is None and what == "report":
            self.report(trial, every, float(number))
        elif outcome is None and what == "rewind":
            self.rewind(trial, abs(number))
        elif outcome is None and what in ("dropped", "diverged"):
            self.leave(trial, "dropped" if what == "dropped" else "diverged")
        elif outcome == "dropped" and what == "retry":
            self.retry(trial, abs(number))


WHATS = st.sampled_from([*["report"] * 8, "rewind", "dropped", "diverged", "retry"])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(WHATS, st.integers(0, 7), st.integers(-8, 8)), max_size=90),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["max", "min"]),
    st.integers(1, 4),
)
def test_it_decides_as_the_definition_says(
    draws: list[tuple[str, int, int]], replicates: int, min_peers: int, mode: str, every: int
) -> None:
    units = 4 if replicates < 3 else 3
    tasks = make_tasks(units * replicates, replicates=replicates)
    rule = make_rule(tasks, mode=mode, min_peers=min_peers, replicated=replicates > 1)
    plain = Definition(units, replicates, 1 if mode == "max" else -1, min_peers)
    pair = Pair(rule, tasks, plain)
    for what, trial, number in draws:
        pair.happen(what, trial % len(tasks), number, every)


def test_a_harder_group_is_not_judged_by_an_easier_one() -> None:
    rule = make_rule(make_tasks(8, groups=2), min_peers=1)
    kept = [
        rule.observe(make_task(i, group=str(i % 2)), step=2, value=[0.9, 0.1][i % 2] + i / 100)
        for i in range(8)
    ]
    assert all(d.keep for decisions in kept for d in decisions)
    assert sum(len(decisions) for decisions in kept) == 8


def test_a_good_start_is_not_forgotten() -> None:
    """What is compared is the best value so far, not the last one."""
    rule = make_rule(make_tasks(3), min_peers=1)
    for trial, values in ((0, (0.5, 0.5)), (1, (0.9, 0.1))):
        for step, value in enumerate(values, start=1):
            last = rule.observe(make_task(trial, group="0"), step=step, value=value)
        assert [d.keep for d in last] == [True]
    rule.observe(make_task(2, group="0"), step=1, value=0.4)
    (verdict,) = rule.observe(make_task(2, group="0"), step=2, value=0.45)
    assert (verdict.keep, verdict.value, verdict.cutoff, verdict.peers) == (False, 0.45, 0.5, 2)


def test_a_report_that_was_taken_back_counts_no_more() -> None:
    """Also where it was of a later step than the rung, and what is gone on from is not."""
    rule, tasks = make_rule(make_tasks(2), min_peers=1), make_tasks(2)
    rule.observe(tasks[0], step=3, value=1.0)
    rule.rewind(tasks[0], 2)
    (verdict,) = rule.observe(tasks[1], step=2, value=0.0)
    assert (verdict.keep, verdict.peers) == (True, 0)


def test_what_went_back_and_failed_is_nobodys_peer() -> None:
    rule, tasks = make_rule(make_tasks(2), min_peers=1), make_tasks(2)
    rule.observe(tasks[0], step=2, value=1.0)
    rule.rewind(tasks[0], 0)
    rule.leave(tasks[0], outcome="dropped", value=None)
    (verdict,) = rule.observe(tasks[1], step=2, value=0.0)
    assert verdict.peers == 0
