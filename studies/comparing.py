"""The rule that most claims share: one sample's mean is above, or below, another's."""

from collections.abc import Sequence

from studies.statistics import difference_of, mean_of
from sweep.study import Finding


def above(ours: Sequence[float], theirs: Sequence[float], unit: str = "") -> Finding | None:
    """Whether the 95% interval of ours minus theirs lies above 0; None with too few runs."""
    if min(len(ours), len(theirs)) < 2:
        return None
    gap = difference_of(ours, theirs)
    text = f"{mean_of(ours)} against {mean_of(theirs)}: above by {gap}{unit}"
    return Finding(gap.low > 0, text)


def below(ours: Sequence[float], theirs: Sequence[float], unit: str = "") -> Finding | None:
    """Whether the 95% interval of theirs minus ours lies above 0; None with too few runs."""
    if min(len(ours), len(theirs)) < 2:
        return None
    gap = difference_of(theirs, ours)
    text = f"{mean_of(ours)} against {mean_of(theirs)}: below by {gap}{unit}"
    return Finding(gap.low > 0, text)
