"""TPE and GP: a proposal is a function of the trials that the sampler is shown.

So each one comes from a study that is made for it, of what is known then: the same
whatever was proposed before, and by whom.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from sweep.searches import TpeSearch
from sweep.spec import SweepSpec
from workers.driver.search.outcomes import Seen
from workers.driver.search.proposals import SearchSpace, allowed
from workers.driver.search.samplers import make_sampler, make_study
from workers.driver.search.values import Told


class Memoryless:
    """Proposes from a study that holds what was seen, and nothing else."""

    def __init__(self, spec: SweepSpec, history: Sequence[Seen]) -> None:
        self._spec = spec
        self._space = SearchSpace(spec)
        self._prunes = isinstance(spec.search, TpeSearch)
        self._history = history

    def propose(self, seen: Sequence[Seen], ended: int) -> Mapping[str, Any]:
        """The next assignment; of those after the first `ended` no outcome counts."""
        space, assignment = self._space, len(seen)
        study, told = make_study(self._spec), Told(tuple(o.mode for o in self._spec.objectives))
        for n, shown in enumerate(self._history):
            self._show(study, told, shown, f"history {n}")
        for n, shown in enumerate(seen[:ended]):
            self._show(study, told, shown, n)
        for n, waiting in enumerate(seen[ended:], start=ended):
            study.add_trial(self._frozen(waiting, n, TrialState.RUNNING))

        def ask(n: int) -> Trial:
            study.sampler = make_sampler(
                space.search,
                seed=space.seed(assignment, n),
                conditional=space.is_conditional,
            )
            return study.ask()

        def refuse(trial: Trial) -> None:
            state = TrialState.FAIL if told.worst is None else TrialState.COMPLETE
            study.tell(trial, told.worst, state=state)

        found = allowed(space, ask, refuse)
        return space.drawn(assignment, seen[0].parameters) if found is None else found[1]

    def _show(self, study: Study, told: Told, shown: Seen, name: str | int) -> None:
        assert shown.outcome is not None, "an assignment is shown once it has ended"
        values = told.take(shown.outcome)
        if values is None:
            return
        if self._prunes and shown.outcome.ending == "stopped":
            step = {shown.outcome.step: values[0]}
            study.add_trial(self._frozen(shown, name, TrialState.PRUNED, steps=step))
        else:
            study.add_trial(self._frozen(shown, name, TrialState.COMPLETE, values=values))

    def _frozen(
        self,
        shown: Seen,
        name: str | int,
        state: TrialState,
        *,
        values: Sequence[float] | None = None,
        steps: Mapping[int, float] | None = None,
    ) -> FrozenTrial:
        dimensions = self._space.dimensions
        inner = self._space.inner(shown.parameters, name)
        return create_trial(
            state=state,
            values=values,
            params=inner,
            distributions={d.name: d.distribution for d in dimensions.values() if d.name in inner},
            intermediate_values=dict(steps or {}),
        )
