"""Where a rule's rungs stand and how many trials each keeps: arithmetic only."""

import math
from dataclasses import dataclass

from sweep.stopping import Asha, EarlyStopping, Halving


@dataclass(frozen=True)
class Rung:
    """A step at which the trials of a group are compared."""

    step: int
    keeps: int


def rung_steps(rule: EarlyStopping) -> tuple[int, ...]:
    """The steps below `max_t` at which trials are compared, ascending."""
    if isinstance(rule, Asha):
        first = rule.grace_period
    elif isinstance(rule, Halving):
        first = rule.grace_period or rule.max_t
    else:
        return ()
    steps: list[int] = []
    exact = float(first)
    while exact < rule.max_t:
        if not steps or math.ceil(exact) > steps[-1]:
            steps.append(math.ceil(exact))
        exact *= rule.reduction_factor
    return tuple(steps)


def survivors(rule: Asha | Halving, trials: int) -> int:
    """How many of a group's trials at a rung go on past it (about that many, for ASHA)."""
    if isinstance(rule, Asha) and trials <= rule.min_peers:
        return trials
    return max(1, math.ceil(trials / rule.reduction_factor))


def plan_rungs(rule: EarlyStopping, trials: int) -> tuple[Rung, ...]:
    """The rungs of a group of that many trials, and how many of them each keeps."""
    rungs: list[Rung] = []
    for step in rung_steps(rule):
        assert isinstance(rule, Asha | Halving)
        trials = survivors(rule, trials)
        rungs.append(Rung(step=step, keeps=trials))
    return tuple(rungs)


def trial_steps(rule: EarlyStopping, trials: int) -> int | None:
    """The steps that a group of that many trials trains in all, as planned.

    None when the rule names no `max_t`.
    """
    if rule.max_t is None:
        return None
    total, passed, alive = 0, 0, trials
    for rung in plan_rungs(rule, trials):
        total += alive * (rung.step - passed)
        passed, alive = rung.step, rung.keeps
    total += alive * (rule.max_t - passed)
    if isinstance(rule, Halving) and rule.restart_winner is not None:
        total += rule.restart_winner.max_t
    return total
