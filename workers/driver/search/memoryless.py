"""TPE and GP: a proposal is a function of the trials that the sampler is shown.

So each one comes from a study that is made for it, of what is known then: the same
whatever was proposed before, and by whom. The trials in it are kept for the next.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from typing import Any, Self

from optuna.trial import FrozenTrial, Trial, TrialState

from sweep.searches import TpeSearch
from sweep.spec import SweepSpec
from workers.driver.search.outcomes import Seen
from workers.driver.search.proposals import SearchSpace, allowed
from workers.driver.search.samplers import make_sampler, make_study
from workers.driver.search.values import Told


class _Shown(FrozenTrial):  # type: ignore[misc]
    """A trial that changes no more.

    A study takes a deep copy of what it is given, which was most of a proposal's time; of
    these it takes a shallow one.
    """

    def __deepcopy__(self, memo: object) -> Self:
        return copy(self)


class Memoryless:
    """Proposes from a study that holds what was seen, and nothing else."""

    def __init__(self, spec: SweepSpec, history: Sequence[Seen]) -> None:
        self._spec = spec
        self._space = SearchSpace(spec)
        self._prunes = isinstance(spec.search, TpeSearch)
        self._history = history
        self._restart()

    def _restart(self) -> None:
        self._told = Told(tuple(objective.mode for objective in self._spec.objectives))
        self._ended: list[Seen] = []
        self._trials: list[FrozenTrial] = []
        """Of the history, and of those that have ended."""
        for n, shown in enumerate(self._history):
            self._take(shown, f"history {n}")

    def propose(self, seen: Sequence[Seen], ended: int) -> Mapping[str, Any]:
        """The next assignment; of those after the first `ended` no outcome counts."""
        space, assignment = self._space, len(seen)
        if len(self._ended) > ended or list(seen[: len(self._ended)]) != self._ended:
            self._restart()
        for n in range(len(self._ended), ended):
            self._take(seen[n], n)
            self._ended.append(seen[n])
        study, worst = make_study(self._spec), self._told.worst
        running = [
            self._shown(waiting, n, TrialState.RUNNING)
            for n, waiting in enumerate(seen[ended:], start=ended)
        ]
        for trial in (*self._trials, *running):
            study.add_trial(trial)

        def ask(n: int) -> Trial:
            study.sampler = make_sampler(
                space.search,
                seed=space.seed(assignment, n),
                conditional=space.is_conditional,
            )
            return study.ask()

        def refuse(trial: Trial) -> None:
            state = TrialState.FAIL if worst is None else TrialState.COMPLETE
            study.tell(trial, worst, state=state)

        found = allowed(space, ask, refuse)
        return space.drawn(assignment, seen[0].parameters) if found is None else found[1]

    def _take(self, shown: Seen, name: str | int) -> None:
        """Keep what the sampler is shown of an assignment that has ended."""
        assert shown.outcome is not None, "an assignment is shown once it has ended"
        values = self._told.take(shown.outcome)
        if values is None:
            return
        if self._prunes and shown.outcome.ending == "stopped":
            step = {shown.outcome.step: values[0]}
            self._trials.append(self._shown(shown, name, TrialState.PRUNED, steps=step))
        else:
            self._trials.append(self._shown(shown, name, TrialState.COMPLETE, values=values))

    def _shown(
        self,
        shown: Seen,
        name: str | int,
        state: TrialState,
        *,
        values: Sequence[float] | None = None,
        steps: Mapping[int, float] | None = None,
    ) -> FrozenTrial:
        dimensions, now = self._space.dimensions, datetime.now(UTC)
        inner = self._space.inner(shown.parameters, name)
        return _Shown(
            number=-1,
            trial_id=-1,
            state=state,
            value=None,
            values=values,
            datetime_start=now,
            datetime_complete=now if state.is_finished() else None,
            params=inner,
            distributions={d.name: d.distribution for d in dimensions.values() if d.name in inner},
            user_attrs={},
            system_attrs={},
            intermediate_values=dict(steps or {}),
        )
