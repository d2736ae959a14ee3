"""A proposal: an assignment of the space that a sampler chose and that nothing excludes."""

from collections.abc import Callable, Mapping
from typing import Any

from optuna.study import Study
from optuna.trial import Trial

from sweep.assembling import Assembler, Choose
from sweep.errors import SpecError
from sweep.expressions import ConditionEvaluator
from sweep.parameters import Kind, Value
from sweep.searches import ModelSearch, TpeSearch
from sweep.space import derive, unit
from sweep.spec import SweepSpec
from workers.driver.search.dimensions import Dimensions, Inner

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
        self._is_whole = not isinstance(spec.search, TpeSearch)
        """Whether every trial that the sampler sees must have every parameter: all but TPE
        search over those alone that all trials have.
        """

    def seed(self, assignment: int, ask: int) -> int:
        """What the sampler's own randomness starts from, for one ask."""
        return derive(self.search.seed, "proposal", assignment, ask) % 2**32

    def fits(self, parameters: Mapping[str, Any]) -> bool:
        """Whether a trial of elsewhere teaches the sampler something.

        Every parameter that it has must be of its kind, and one must be there; for samplers
        that search over whole assignments, every one without a condition.
        """
        missing = self.dimensions.missing(parameters)
        if self._is_whole and any(path in missing for path in self._assembler.always):
            return False
        there = len(self.dimensions) - len(missing)
        return there > 0 and len(self.dimensions.inner(parameters)) == there

    def inner(self, parameters: Mapping[str, Any], name: str | int) -> dict[str, Inner]:
        """What the sampler is shown of an assignment.

        A whole one has a value at random for each parameter that is absent, so that the
        sampler sees that it makes no difference there; one and the same value would leave
        the rest of its range to be explored for ever.

        Args:
            parameters: the assignment.
            name: tells it from others: its number, or a word for what is of elsewhere.
        """
        known = self.dimensions.inner(parameters)
        if not self._is_whole:
            return known
        seed = self.search.seed
        for path, dimension in self.dimensions.items():
            if dimension.name not in known:
                known[dimension.name] = dimension.at(unit(seed, "absent", name, *path))
        return known

    def suggested(self, trial: Trial) -> dict[str, Value] | None:
        """The assignment that the sampler of a trial's study chooses; None if not allowed."""
        if self._is_whole:
            chosen = {path: found.suggest(trial) for path, found in self.dimensions.items()}
            return self._made(lambda path, kind: chosen[path])
        return self._made(lambda path, kind: self.dimensions[path].suggest(trial))

    def _made(self, choose: Choose) -> dict[str, Value] | None:
        """An assignment of chosen values, if its conditions can be told and none excludes it."""
        try:
            parameters = self._assembler(choose)
        except SpecError:  # as for `exclude`: a search that raised would never go on
            return None
        return parameters if self._excluded.allows(parameters) else None

    def drawn(self, assignment: int, otherwise: Mapping[str, Any]) -> Mapping[str, Any]:
        """A random assignment that is allowed; `otherwise` where none is found."""
        for draw in range(_MOST_DRAWS):

            def choose(path: tuple[str, ...], kind: Kind, draw: int = draw) -> Value:
                return kind.sample(unit(self.search.seed, "draw", assignment, draw, *path))

            parameters = self._made(choose)
            if parameters is not None:
                return parameters
        return otherwise


def given(
    study: Study, space: SearchSpace, parameters: Mapping[str, Any], name: str | int
) -> Trial:
    """A trial of the study with the parameters that somebody else chose."""
    inner = space.inner(parameters, name)
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
