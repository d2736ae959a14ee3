"""Where a rule's rungs stand and how many trials each keeps: arithmetic only."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, count, islice

from sweep.errors import FieldProblem
from sweep.stopping import Asha, EarlyStopping, Halving, Hyperband, Median, Pbt

MAX_RUNGS = 1_000
MAX_INTERVALS = 10_000
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Rung:
    """A step at which the trials of a group are compared."""

    step: int
    keeps: int


def rung_steps(rule: EarlyStopping) -> tuple[int, ...]:
    """The steps below `max_t` at which trials are compared, ascending, over all brackets."""
    if isinstance(rule, Pbt):
        return tuple(range(rule.interval, rule.max_t, rule.interval))
    if isinstance(rule, Asha):
        return _geometric(rule.grace_period, rule.max_t, rule.reduction_factor)
    if isinstance(rule, Halving):
        return _geometric(rule.grace_period or rule.max_t, rule.max_t, rule.reduction_factor)
    if isinstance(rule, Median):
        return tuple(range(rule.grace_period, rule.max_t, rule.interval or rule.grace_period))
    if isinstance(rule, Hyperband):
        return bracket_steps(rule, num_brackets(rule) - 1)
    return ()


def stopping_steps(rule: EarlyStopping) -> tuple[int, ...]:
    """Those of the rule's rungs at which trials may be stopped: of population training, none."""
    return () if isinstance(rule, Pbt) else rung_steps(rule)


def _geometric(first: int, max_t: int, factor: float) -> tuple[int, ...]:
    steps: list[int] = []
    exact = float(first)
    while exact < max_t:
        if not steps or math.ceil(exact) > steps[-1]:
            steps.append(math.ceil(exact))
        exact *= factor
    return tuple(steps)


def most_brackets(rule: Hyperband) -> int:
    """How many brackets have their first rung at step 1 or later."""
    count = 1
    while rule.reduction_factor**count <= rule.max_t:
        count += 1
    return count


def num_brackets(rule: Hyperband) -> int:
    """How many brackets the rule has."""
    return rule.brackets or most_brackets(rule)


def bracket_steps(rule: Hyperband, bracket: int) -> tuple[int, ...]:
    """The rungs of a bracket: of so many at most, the first at max_t / factor ** bracket."""
    exact = (rule.max_t / rule.reduction_factor**k for k in range(bracket, 0, -1))
    return tuple(sorted({step for step in map(math.ceil, exact) if step < rule.max_t}))


def brackets_in_turn(rule: Hyperband) -> Iterator[int]:
    """The bracket of each trial (or unit of replicates) of a group, in their order, without end.

    Bracket s has trials in proportion to factor ** s / (s + 1), so that each bracket
    trains for about the same number of steps (Li et al. 2018, algorithm 1). Multiples of
    the golden ratio spread them evenly over any run of places, so a small group has some
    of each.
    """
    last = num_brackets(rule) - 1
    weights = [rule.reduction_factor ** (s - last) / (s + 1) for s in range(last, -1, -1)]
    shares, total = list(accumulate(weights)), sum(weights)
    for place in count():
        at = ((place + 0.5) * _GOLDEN) % 1.0
        yield max(0, last - bisect_right(shares, at * total))


def survivors(rule: EarlyStopping, trials: int) -> int:
    """How many of a group's trials at a rung go on past it (about that many, but for halving)."""
    if isinstance(rule, Asha | Hyperband | Median) and trials <= rule.min_peers:
        return trials
    if isinstance(rule, Asha | Halving | Hyperband):
        return max(1, math.ceil(trials / rule.reduction_factor))
    return trials


def plan_rungs(rule: EarlyStopping, trials: int) -> tuple[Rung, ...]:
    """The rungs of a group of that many trials, and how many of them each keeps.

    For replicates that are one unit, give the units. The median rule's are upper bounds:
    how many it stops depends on the values alone. None where no trial is stopped, as in
    population based training.
    """
    if isinstance(rule, Pbt):
        return ()
    kept: Counter[int] = Counter()
    for steps, alive in _cohorts(rule, trials):
        for step in steps:
            alive = survivors(rule, alive)
            kept[step] += alive
    return tuple(Rung(step=step, keeps=kept[step]) for step in sorted(kept))


def trial_steps(rule: EarlyStopping, trials: int) -> int | None:
    """The steps that a group of that many trials trains in all, as planned, at most.

    None when the rule names no `max_t`.
    """
    if rule.max_t is None:
        return None
    total = 0
    for steps, alive in _cohorts(rule, trials):
        passed = 0
        for step in steps:
            total += alive * (step - passed)
            passed, alive = step, survivors(rule, alive)
        total += alive * (rule.max_t - passed)
    if isinstance(rule, Halving) and rule.restart_winner is not None:
        total += rule.restart_winner.max_t
    return total


def _cohorts(rule: EarlyStopping, trials: int) -> Sequence[tuple[tuple[int, ...], int]]:
    """The rungs of those of a group that are compared with each other, and their number."""
    if not isinstance(rule, Hyperband):
        return [(rung_steps(rule), trials)]
    counts = _bracket_sizes(rule, trials)
    return [(bracket_steps(rule, s), counts[s]) for s in sorted(counts)]


@lru_cache(maxsize=64)
def _bracket_sizes(rule: Hyperband, trials: int) -> Counter[int]:
    return Counter(islice(brackets_in_turn(rule), trials))


def _most_reductions(rule: EarlyStopping) -> float:
    """How often a rule's factor goes into its steps, without counting."""
    if not isinstance(rule, Asha | Halving | Hyperband) or not rule.max_t:
        return 0.0
    first = 1 if isinstance(rule, Hyperband) else rule.grace_period or rule.max_t
    return max(0.0, math.log(rule.max_t / first) / math.log(rule.reduction_factor))


def _interval_problems(rule: Pbt) -> Iterator[str]:
    if rule.interval >= rule.max_t:
        yield f"{rule.interval} is not below max_t {rule.max_t}: no trial would be compared"
    elif rule.max_t // rule.interval > MAX_INTERVALS:
        yield (
            f"max_t {rule.max_t:,} holds more than {MAX_INTERVALS:,} intervals of "
            f"{rule.interval:,} steps: make it longer"
        )


def rung_problems(rule: EarlyStopping) -> list[FieldProblem]:
    """What is wrong with the steps that a rule names, field by field."""
    problems: list[FieldProblem] = []

    def add(name: str, problem: str) -> None:
        problems.append(FieldProblem(f"early_stopping.{name}", problem))

    reductions = _most_reductions(rule)
    if reductions > MAX_RUNGS:
        factor = getattr(rule, "reduction_factor", None)
        add(
            "reduction_factor",
            f"{factor!r} makes about {reductions:,.0f} rungs up to max_t {rule.max_t}; at most "
            f"{MAX_RUNGS:,} are taken: make it larger",
        )
        return problems  # what else is checked would count them one by one

    if isinstance(rule, Asha | Halving | Median) and (rule.grace_period or 0) > rule.max_t:
        add("grace_period", f"{rule.grace_period} is above max_t {rule.max_t}")
    if isinstance(rule, Median):
        every = rule.interval or rule.grace_period
        rungs = (rule.max_t - rule.grace_period) // every
        if rungs > MAX_RUNGS:
            add("interval", f"{every} makes {rungs:,} rungs; at most {MAX_RUNGS:,} are taken")
    if isinstance(rule, Pbt):
        for problem in _interval_problems(rule):
            add("interval", problem)
    if isinstance(rule, Hyperband) and (rule.brackets or 1) > most_brackets(rule):
        add(
            "brackets",
            f"{rule.brackets} is above {most_brackets(rule)}, the number of brackets that max_t "
            f"{rule.max_t} and reduction_factor {rule.reduction_factor:g} make",
        )
    restart = rule.restart_winner if isinstance(rule, Halving) else None
    if restart is not None and restart.max_t <= (rule.max_t or 0):
        add("restart_winner.max_t", f"{restart.max_t} is not above max_t {rule.max_t}")
    return problems
