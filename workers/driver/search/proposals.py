"""A proposal: an assignment of the space that a sampler chose and that nothing excludes."""

from collections.abc import Callable, Mapping
from typing import Any

from optuna.study import Study
from optuna.trial import Trial

from sweep.assembling import Assembler, Choose
from sweep.errors import SpecError
from sweep.expressions import ConditionEvaluator
from sweep.parameters import Kind, Value
from sweep.searches import ModelSearch
from sweep.space import derive, unit
from sweep.spec import SweepSpec
from workers.driver.search.dimensions import Dimensions

MOST_ASKS = 20
"""How often a sampler is asked again for one assignment, when what it says is excluded."""

_MOST_DRAWS = 1_000


class SearchSpace:
    """The space of a spec, from which samplers choose."""

    def __init__(self, spec: SweepSpec) -> None:
        assert isinstance(spec.search, ModelSearch)
        self.search: ModelSearch = spec.search
        self.dimensions = Dimensions(spec.parameters)
        self._assembler = Assembler(spec.parameters)
        self._excluded = ConditionEvaluator(spec.exclude, spec.parameters)
        self.is_conditional = self._assembler.is_conditional
        """Whether any parameter may be absent."""

    def seed(self, assignment: int, ask: int) -> int:
        """What the sampler's own randomness starts from, for one ask."""
        return derive(self.search.seed, "proposal", assignment, ask) % 2**32

    def suggested(self, trial: Trial) -> dict[str, Value] | None:
        """The assignment that the sampler of a trial's study chooses; None if not allowed."""
        return self._made(lambda path, kind: self.dimensions[path].suggest(trial))

    def _made(self, choose: Choose) -> dict[str, Value] | None:
        """An assignment of chosen values, if its conditions hold good and none excludes it.

        One for which a condition cannot be evaluated counts as excluded: not every assignment
        was seen when the spec was checked, and a search that raised would never go on.
        """
        try:
            parameters = self._assembler(choose)
            return None if self._excluded.any_true(parameters) else parameters
        except SpecError:
            return None

    def drawn(self, assignment: int, otherwise: Mapping[str, Any]) -> Mapping[str, Any]:
        """A random assignment that is allowed; `otherwise` where none is found."""
        for draw in range(_MOST_DRAWS):

            def choose(path: tuple[str, ...], kind: Kind, draw: int = draw) -> Value:
                return kind.sample(unit(self.search.seed, "draw", assignment, draw, *path))

            parameters = self._made(choose)
            if parameters is not None:
                return parameters
        return otherwise


def given(study: Study, space: SearchSpace, parameters: Mapping[str, Any]) -> Trial:
    """A trial of the study with the parameters that somebody else chose."""
    inner = space.dimensions.inner(parameters)
    study.enqueue_trial(inner)
    trial = study.ask()
    for dimension in space.dimensions.values():
        if dimension.name in inner:
            dimension.suggest(trial)
    return trial


def allowed(
    space: SearchSpace,
    ask: Callable[[int], Trial],
    refuse: Callable[[Trial], None],
) -> tuple[Trial, dict[str, Value]] | None:
    """The first trial that a sampler chooses an allowed assignment for; None after many.

    Args:
        space: of the spec.
        ask: asks the sampler for the n-th time.
        refuse: lets the sampler know that a trial will not be trained.
    """
    for n in range(MOST_ASKS):
        trial = ask(n)
        parameters = space.suggested(trial)
        if parameters is not None:
            return trial, parameters
        refuse(trial)
    return None
