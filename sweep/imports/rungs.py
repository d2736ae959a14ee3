"""Other systems' rungs as ours: arithmetic only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweep.imports.reading import Notes, Section, bad
from sweep.rungs import bracket_steps, rung_steps
from sweep.stopping import Asha, Hyperband

_LARGEST_FACTOR = 1_000


@dataclass(frozen=True)
class Rungs:
    """At which steps the source compares trials."""

    theirs: tuple[int, ...]
    """Ascending, below `max_t`."""
    max_t: int
    """The step at which a trial is completed."""
    factor: float
    """Each rung stands at that many times the step of the one before."""
    path: str
    notes: Notes


def factor_of(section: Section, key: str, default: float) -> float:
    """By how much rungs lie apart, as our rules take it."""
    factor = section.number(key, default)
    if not 1 < factor <= _LARGEST_FACTOR:
        raise bad(
            section.at(key), f"is {factor!r}: it must be above 1, and at most {_LARGEST_FACTOR:,}"
        )
    return factor


def asha(rungs: Rungs, *, first: float) -> dict[str, Any]:
    """ASHA with the rungs that come nearest, with a warning when they differ.

    The first rung is rounded up, so that rounding adds none at the end. One peer is
    enough for a decision, as in W&B and Determined.
    """
    grace = min(max(math.ceil(first - 1e-9), 1), rungs.max_t)
    rule = Asha(grace_period=grace, max_t=rungs.max_t, reduction_factor=rungs.factor, min_peers=1)
    _compare(rungs, rung_steps(rule))
    return rule.model_dump(include={"type", "grace_period", *_COMMON})


def hyperband(rungs: Rungs, *, brackets: int) -> dict[str, Any]:
    """HyperBand with that many brackets, with a warning where the longest one's rungs differ."""
    rule = Hyperband(
        max_t=rungs.max_t, reduction_factor=rungs.factor, brackets=brackets, min_peers=1
    )
    _compare(rungs, bracket_steps(rule, brackets - 1))
    return rule.model_dump(include={"type", "brackets", *_COMMON})


_COMMON = frozenset({"max_t", "reduction_factor", "min_peers"})


def _compare(rungs: Rungs, ours: Sequence[int]) -> None:
    if rungs.theirs != tuple(ours):
        rungs.notes.warn(
            rungs.path,
            f"rungs stand at {_listed(ours)} here and at {_listed(rungs.theirs)} there",
        )


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps)) or "no step"
