"""Asks the searcher for what may be proposed, and tells the service of it.

What came out of earlier trials is read from the service each time: a successor of this
driver will read the same, and so propose the same.
"""

from collections.abc import Sequence
from typing import Protocol

from sweep.wire import SearchResult
from workers.driver.running import RunningSweep
from workers.driver.search.outcomes import Seen, assignments, one_by_one
from workers.driver.search.searcher import Searcher


class Results(Protocol):
    """Where the results of a sweep's trials are kept."""

    def results(self, after: int) -> Sequence[SearchResult]:
        """How far the trials of the search past an index are, in its order."""
        ...


class Proposing:
    """Keeps a model-based search going.

    Args:
        sweep: what is run.
        results: where its trials' results are kept.
        history: the trials of other sweeps that the search starts from.
    """

    def __init__(
        self, sweep: RunningSweep, results: Results, history: Sequence[SearchResult] = ()
    ) -> None:
        spec = sweep.assignment.spec
        self._sweep = sweep
        self._searcher = Searcher(spec, list(one_by_one(history, spec)))
        self._results = results
        self._edits = sweep.known.edits
        self._ended: list[Seen] = []
        """The assignments from the first on that have ended."""
        self._read_up_to = -1
        """The index of the last trial of those."""
        self._told: dict[int, Seen] = {}
        """What was proposed, until the results have it."""

    def step(self) -> int:
        """Propose all that may be proposed now; how many assignments that were."""
        proposed = 0
        seen = self._seen() if self._sweep.searching else []
        while seen and self._sweep.searching and self._searcher.is_due(seen):
            parameters = self._searcher.propose(seen)
            if not self._sweep.propose(len(seen), parameters):
                break
            self._told[len(seen)] = Seen(parameters)
            seen.append(self._told[len(seen)])
            proposed += 1
        return proposed

    def _seen(self) -> list[Seen]:
        """Every assignment that the results tell of, in order."""
        edits = self._sweep.known.edits
        if edits != self._edits:  # trials that had ended are tried again
            self._edits, self._ended, self._read_up_to = edits, [], -1
        rows = self._results.results(self._read_up_to)
        fresh = list(assignments(rows, self._sweep.assignment.spec))
        replicates = self._sweep.assignment.spec.replicates
        known = [*self._ended, *fresh]
        ended = next((n for n, one in enumerate(fresh) if one.outcome is None), len(fresh))
        if ended:
            self._ended += fresh[:ended]
            self._read_up_to = rows[ended * replicates - 1].index
        self._told = {at: told for at, told in self._told.items() if at >= len(known)}
        return [*known, *self._told.values()]
