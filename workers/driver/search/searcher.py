"""Which assignment comes next, and when: no I/O, no clock, no state that matters.

Assignment i is proposed once all assignments up to i - `parallel` have ended, from
exactly their outcomes; those between are shown to the sampler as running, whatever is
known of them. So a proposal is a function of the spec, the history of the warm start, i
and those outcomes: whichever driver makes it, and whenever.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.searches import ModelSearch
from sweep.spec import SweepSpec
from workers.driver.search.generational import Generational
from workers.driver.search.memoryless import Memoryless
from workers.driver.search.outcomes import Outcome, Seen
from workers.driver.search.proposals import SearchSpace
from workers.driver.search.samplers import is_generational


class Searcher:
    """Proposes the assignments of a model-based search.

    Args:
        spec: the sweep's.
        history: what is known of other sweeps; what does not fit the space is left out,
            as of the history that the spec itself carries, which comes first.
    """

    def __init__(self, spec: SweepSpec, history: Sequence[Seen] = ()) -> None:
        assert isinstance(spec.search, ModelSearch), "other searches enumerate their trials"
        self._search: ModelSearch = spec.search
        known = _usable(spec, history)
        self._engine = (
            Generational(spec, known) if is_generational(spec.search) else Memoryless(spec, known)
        )

    def is_due(self, seen: Sequence[Seen]) -> bool:
        """Whether the assignment after those seen may be proposed now."""
        if len(seen) >= self._search.num_trials:
            return False
        return all(one.outcome is not None for one in seen[: self._ended(seen)])

    def propose(self, seen: Sequence[Seen]) -> Mapping[str, Any]:
        """The assignment after those seen, which is due."""
        return self._engine.propose(seen, self._ended(seen))

    def _ended(self, seen: Sequence[Seen]) -> int:
        """How many assignments, from the first on, the next proposal is made from."""
        return max(0, len(seen) - self._search.parallel + 1)


def _usable(spec: SweepSpec, history: Sequence[Seen]) -> list[Seen]:
    assert isinstance(spec.search, ModelSearch)
    fits, start = SearchSpace(spec).fits, spec.search.warm_start
    carried = [
        Seen(point.parameters, Outcome("complete", (point.value,)))
        for point in spec.search.history
        if fits(point.parameters)
    ]
    if start is None:
        return carried
    return carried + [known for known in history if fits(known.parameters)][: start.trials]
