"""CMA-ES and NSGA-II: a proposal is a function of all that was asked and told before.

Their samplers keep generations in the attributes of a study's trials. A study is made
anew by asking and telling once more from the start, with the same seeds, in the order
that the rule of `parallel` fixes; asks are cheap.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from sweep.searches import CmaesSearch, given_assignments
from sweep.spec import SweepSpec
from workers.driver.search.outcomes import Outcome, Seen
from workers.driver.search.proposals import SearchSpace, allowed, given
from workers.driver.search.samplers import make_sampler, make_study
from workers.driver.search.values import Told


class Generational:
    """Proposes from a study that goes on from proposal to proposal."""

    def __init__(self, spec: SweepSpec, history: Sequence[Seen]) -> None:
        self._spec = spec
        self._space = SearchSpace(spec)
        self._given = given_assignments(self._space.search)
        self._history = history
        self._source: Sequence[FrozenTrial] = ()
        if isinstance(spec.search, CmaesSearch):
            self._source = self._sources(history)
        self._restart()

    def propose(self, seen: Sequence[Seen], ended: int) -> Mapping[str, Any]:
        """The next assignment; of those after the first `ended` no outcome counts."""
        if len(self._asked) > len(seen) or list(seen[: len(self._outcomes)]) != self._outcomes:
            self._restart()
        while len(self._asked) < len(seen):
            self._repeat(seen, len(self._asked))
        self._tell(seen, ended)
        return self._ask(len(seen), seen[0].parameters)

    def _restart(self) -> None:
        self._study: Study = make_study(self._spec)
        self._told = Told(tuple(o.mode for o in self._spec.objectives))
        self._asked: list[tuple[Trial, Mapping[str, Any]]] = []
        self._outcomes: list[Seen] = []
        if not self._source:
            for n, shown in enumerate(self._history):
                self._seed(-1, n)
                assert shown.outcome is not None, "history has ended"
                trial = given(self._study, self._space, shown.parameters, f"history {n}")
                self._note(trial, shown.outcome)

    def _repeat(self, seen: Sequence[Seen], assignment: int) -> None:
        """Ask for an assignment that is there already."""
        parameters = seen[assignment].parameters
        if assignment >= self._given:
            self._tell(seen, max(0, assignment - self._space.search.parallel + 1))
            if self._ask(assignment, seen[0].parameters) == parameters:
                return
            trial, _ = self._asked.pop()  # another version of Optuna proposed it
            self._study.tell(trial, state=TrialState.FAIL)
        self._seed(assignment, 0)
        trial = given(self._study, self._space, parameters, assignment)
        self._asked.append((trial, parameters))

    def _tell(self, seen: Sequence[Seen], ended: int) -> None:
        for assignment in range(len(self._outcomes), ended):
            outcome = seen[assignment].outcome
            assert outcome is not None, "an assignment is told once it has ended"
            self._note(self._asked[assignment][0], outcome)
            self._outcomes.append(seen[assignment])

    def _note(self, trial: Trial, outcome: Outcome) -> None:
        values = self._told.take(outcome)
        state = TrialState.FAIL if values is None else TrialState.COMPLETE
        self._study.tell(trial, values, state=state)

    def _ask(self, assignment: int, otherwise: Mapping[str, Any]) -> Mapping[str, Any]:
        study, space = self._study, self._space

        def ask(n: int) -> Trial:
            self._seed(assignment, n)
            return study.ask()

        def refuse(trial: Trial) -> None:
            study.tell(trial, state=TrialState.FAIL)

        found: tuple[Trial, Mapping[str, Any]] | None = allowed(space, ask, refuse)
        if found is None:
            parameters = space.drawn(assignment, otherwise)
            found = given(study, space, parameters, assignment), parameters
        self._asked.append(found)
        return found[1]

    def _seed(self, assignment: int, n: int) -> None:
        space = self._space
        self._study.sampler = make_sampler(
            space.search,
            seed=space.seed(assignment, n),
            conditional=space.is_conditional,
            source=self._source,
        )

    def _sources(self, history: Sequence[Seen]) -> Sequence[FrozenTrial]:
        """What CMA-ES takes its first distribution from: numbers alone, all of them."""
        numbers = {
            dimension.name: dimension.distribution
            for dimension in self._space.dimensions.values()
            if not isinstance(dimension.distribution, CategoricalDistribution)
            and not dimension.distribution.single()
        }
        sources = []
        for n, shown in enumerate(history):
            inner = self._space.inner(shown.parameters, f"history {n}")
            assert shown.outcome is not None, "history has ended"
            known = {name: inner[name] for name in numbers}
            sources.append(
                create_trial(values=shown.outcome.values, params=known, distributions=numbers)
            )
        return sources
