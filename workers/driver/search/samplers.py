"""Optuna's sampler for a search: a fresh one for each proposal, with a seed of its own."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from sweep.searches import CmaesSearch, GpSearch, ModelSearch, Nsga2Search, TpeSearch
from sweep.spec import SweepSpec


def make_sampler(
    search: ModelSearch, *, seed: int, conditional: bool, source: Sequence[FrozenTrial] = ()
) -> BaseSampler:
    """The sampler of one proposal.

    Args:
        search: what the spec asks for.
        seed: for this proposal alone.
        conditional: whether parameters may be absent.
        source: what CMA-ES takes its first distribution from.
    """
    enough = max(1, search.startup_trials - search.parallel + 1)
    match search:
        case TpeSearch():
            return TPESampler(
                n_startup_trials=enough, seed=seed, multivariate=True, group=conditional
            )
        case GpSearch():
            return GPSampler(n_startup_trials=enough, seed=seed, warn_independent_sampling=False)
        case CmaesSearch():
            return CmaEsSampler(
                n_startup_trials=enough,
                seed=seed,
                warn_independent_sampling=False,
                source_trials=list(source) or None,
            )
        case Nsga2Search():
            return NSGAIISampler(population_size=search.population, seed=seed)
    raise AssertionError(f"there is no sampler for {search!r}")


def make_study(spec: SweepSpec) -> Study:
    """An empty study, in memory, of what a spec optimises.

    Optuna says nothing of its own progress then, nor that some of its parts are new.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    directions = [_DIRECTIONS[objective.mode] for objective in spec.objectives]
    return optuna.create_study(directions=directions)


_DIRECTIONS = {"min": "minimize", "max": "maximize"}


def is_generational(search: ModelSearch) -> bool:
    """Whether the sampler keeps a state between proposals: its generations."""
    return isinstance(search, CmaesSearch | Nsga2Search)
