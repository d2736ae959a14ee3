"""How long a sweep would take, from what trials of its trainable took before. Pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sweep.records import BudgetPlan, Estimate
from sweep.spec import Budget, Resources

_GIB = 2**30
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class PastTraining:
    """What ended trials of a trainable took."""

    trials: int
    trial_steps: int
    seconds: float
    """For which they held a place: a pack's once, however many trained in it."""


NOTHING_PAST = PastTraining(trials=0, trial_steps=0, seconds=0.0)


def places_on(cluster: Mapping[str, float], resources: Resources) -> int | None:
    """How many works of those resources a cluster takes at once; None when it is not known.

    Args:
        cluster: amounts by Ray's names, memory in bytes; empty when nobody has said.
        resources: what one work reserves.
    """
    if not cluster:
        return None
    need = {"CPU": resources.cpu, "GPU": resources.gpu, "memory": resources.memory * _GIB}
    need |= resources.custom
    fit = [cluster.get(name, 0) / amount for name, amount in need.items() if amount > 0]
    return max(1, math.floor(min(fit) + _TOLERANCE))


def estimate(
    trial_steps: int | None, past: PastTraining, *, places: int | None, gpus: float
) -> Estimate | None:
    """How long so many trial-steps would take.

    Args:
        trial_steps: as planned; None when the spec names no `max_t`.
        past: what trials of the same trainable took.
        places: how many works may train at once; None when that is not known.
        gpus: what each work reserves.

    Returns:
        None when there is nothing to go by.
    """
    if trial_steps is None or past.trial_steps == 0:
        return None
    seconds_per_step = past.seconds / past.trial_steps
    place_hours = trial_steps * seconds_per_step / 3600
    return Estimate(
        seconds_per_step=seconds_per_step,
        past_trials=past.trials,
        place_hours=place_hours,
        places=places,
        hours=None if places is None else place_hours / places,
        gpu_hours=place_hours * gpus,
    )


def plan_budget(
    budget: Budget, *, trials: int, trial_steps: int | None, estimated: Estimate | None
) -> Iterator[BudgetPlan]:
    """Each limit that a budget names, beside what the whole sweep would use of it."""
    planned: Mapping[str, float | None] = {
        "trials": trials,
        "trial_steps": trial_steps,
        "hours": None if estimated is None else estimated.hours,
        "gpu_hours": None if estimated is None else estimated.gpu_hours,
    }
    for name, needed in planned.items():
        limit = getattr(budget, name)
        if limit is not None:
            missing = None if needed is None else max(0.0, needed - limit)
            yield BudgetPlan(name=name, limit=limit, planned=needed, missing=missing)
