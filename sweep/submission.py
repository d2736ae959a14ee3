"""From a posted document to a stored sweep, or to a dry run of it."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from sweep.assembling import Path
from sweep.errors import FieldProblem, SpecError
from sweep.estimating import NOTHING_PAST, PastTraining, estimate, places_on, plan_budget
from sweep.parameters import Kind, kinds_in
from sweep.plain import has
from sweep.population import replaced
from sweep.records import DryRun, Estimate, GroupPlan, RungPlan
from sweep.rungs import plan_rungs, trial_steps
from sweep.searches import ModelSearch, given_assignments
from sweep.space import PlannedTrial, Space
from sweep.spec import SweepSpec, parse_spec
from sweep.stopping import Halving, Pbt
from sweep.trainables import Trainable, check_parameters, check_spec, find

_MAX_PROBLEMS = 10
_SHOWN_ASSIGNMENTS = 10
_SHOWN_GROUPS = 100
_LOOKED_THROUGH = 1_000
_UNITS = tuple((i + 0.5) / 16 for i in range(16))


@dataclass(frozen=True)
class Submission:
    """A spec that was checked against its trainable and the service's limits."""

    spec: SweepSpec
    trainable: Trainable
    max_trials: int

    @cached_property
    def space(self) -> Space:
        """What the spec enumerates, set up once."""
        return Space(self.spec)

    def trials(self) -> Iterator[PlannedTrial]:
        """Every trial, each checked against the trainable's parameter model.

        Raises:
            SpecError: with the first bad assignments.
        """
        problems: dict[FieldProblem, None] = {}
        assignment = -1
        for trial in self.space.trials():
            if trial.assignment != assignment:
                assignment = trial.assignment
                problems.update(self._problems(trial.parameters))
            if len(problems) >= _MAX_PROBLEMS:
                break
            if not problems:
                yield trial
        if problems:
            raise SpecError(tuple(problems)[:_MAX_PROBLEMS])

    def _problems(self, parameters: Mapping[str, Any]) -> dict[FieldProblem, None]:
        try:
            check_parameters(parameters, self.trainable)
        except SpecError as error:
            return dict.fromkeys(error.problems)
        return {}


def read_submission(
    raw: object, *, trainables: Mapping[str, Trainable], max_trials: int
) -> Submission:
    """Check a document as far as that goes without enumerating its trials.

    Raises:
        SpecError, SpecTooLarge: with every bad field.
    """
    spec = parse_spec(raw)
    trainable = find(spec.trainable, trainables)
    check_spec(spec, trainable)
    submission = Submission(spec, trainable, max_trials)
    submission.space.check(max_trials)
    _check_packed_population(submission.space, spec, trainable)
    return submission


def _check_packed_population(space: Space, spec: SweepSpec, trainable: Trainable) -> None:
    """Refuse to explore, in a pack, what all members of a pack share.

    Raises:
        SpecError: naming the parameters.
    """
    rule, fuse_key = spec.early_stopping, trainable.fuse_key
    if not isinstance(rule, Pbt) or fuse_key is None or spec.pack in ("off", 1):
        return
    perturbed = [(p, kind) for p, kind in kinds_in(spec.parameters) if ".".join(p) in rule.perturb]
    found = _first_with(space, [path for path, _ in perturbed])
    shared = [
        ".".join(path)
        for path, kind in perturbed
        if path in found and len(_fuse_keys(fuse_key, found[path], path, kind)) > 1
    ]
    if shared:
        text = (
            "is part of the computation that all members of a pack share, so that a trial "
            "could not change it in training: leave it out, or set pack to off"
        )
        where = "early_stopping.perturb"
        raise SpecError([FieldProblem(f"{where}.{name}", text) for name in shared])


def _first_with(space: Space, paths: Sequence[Path]) -> dict[Path, Mapping[str, Any]]:
    """Those of the first trial that has a parameter, for each that the first thousand have."""
    found: dict[Path, Mapping[str, Any]] = {}
    for trial in islice(space.trials(), _LOOKED_THROUGH):
        for path in paths:
            if path not in found and has(trial.parameters, path):
                found[path] = trial.parameters
        if len(found) == len(paths):
            break
    return found


def _fuse_keys(
    fuse_key: Callable[[Mapping[str, Any]], Hashable],
    parameters: Mapping[str, Any],
    path: Path,
    kind: Kind,
) -> set[Hashable]:
    """The keys that values of a parameter give; those that the trainable refuses give none."""
    keys: set[Hashable] = set()
    for unit in _UNITS:
        with suppress(ValueError):
            keys.add(fuse_key(replaced(parameters, path, kind.sample(unit))))
    return keys


@dataclass(frozen=True)
class Known:
    """What is known of the time that a sweep would take."""

    past: PastTraining = NOTHING_PAST
    cluster: Mapping[str, float] = field(default_factory=dict)
    """What the cluster offers; empty when nobody has said."""


def dry_run(submission: Submission, known: Known | None = None) -> DryRun:
    """What the spec would run, and how long that would take by what is known."""
    spec, rule = submission.spec, submission.spec.early_stopping
    groups: Counter[str] = Counter()
    shown: list[Mapping[str, Any]] = []
    last = -1
    for trial in submission.trials():
        groups[trial.group] += 1
        if trial.assignment != last and len(shown) < _SHOWN_ASSIGNMENTS:
            shown.append(trial.parameters)
        last = trial.assignment
    if isinstance(spec.search, ModelSearch):
        groups = _in_proportion(groups, submission.space.upper_bound)
    replicates = spec.replicates
    sizes = Counter(count // replicates for count in groups.values())
    rungs: Counter[int] = Counter()
    steps: int | None = 0
    for size, times in sizes.items():
        for rung in plan_rungs(rule, size):
            rungs[rung.step] += rung.keeps * times * replicates
        planned = trial_steps(rule, size)
        steps = None if planned is None or steps is None else steps + planned * times * replicates
    restarts = isinstance(rule, Halving) and rule.restart_winner is not None
    estimated = _estimate(submission, steps, known or Known())
    trials, given = groups.total(), None
    if isinstance(spec.search, ModelSearch):
        trials, given = submission.space.upper_bound, given_assignments(spec.search)
    budget = plan_budget(spec.budget, trials=trials, trial_steps=steps, estimated=estimated)
    return DryRun(
        trials=trials,
        num_assignments=trials // spec.replicates,
        startup_trials=given,
        assignments=tuple(shown),
        groups=tuple(
            GroupPlan(group=group, trials=count)
            for group, count in list(groups.items())[:_SHOWN_GROUPS]
        ),
        num_groups=len(groups),
        rungs=tuple(RungPlan(step=step, keeps=keeps) for step, keeps in sorted(rungs.items())),
        restarts=len(groups) * replicates if restarts else 0,
        trial_steps=steps,
        budget=tuple(budget),
        estimate=estimated,
    )


def _in_proportion(groups: Counter[str], total: int) -> Counter[str]:
    """About how many trials each group comes to, by those of the first assignments.

    Which groups the proposals will be of, the search decides.
    """
    share = total / groups.total()
    return Counter({group: round(count * share) for group, count in groups.items()})


def _estimate(submission: Submission, steps: int | None, known: Known) -> Estimate | None:
    spec = submission.spec
    resources = spec.resources or submission.trainable.default_resources
    limits = (places_on(known.cluster, resources), spec.max_concurrent)
    places = min((limit for limit in limits if limit is not None), default=None)
    return estimate(steps, known.past, places=places, gpus=resources.gpu)
