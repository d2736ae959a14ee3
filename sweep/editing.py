"""Changing a sweep while it runs: what may change, what may not and why. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

from pydantic import Field, ValidationError

from sweep.assembling import Assembler, Path
from sweep.errors import FieldProblem, SpecError, SpecTooLarge
from sweep.expressions import ConditionEvaluator
from sweep.metric import SpecModel
from sweep.parameters import Grid, Kind, Value, field_problems, leaves_in
from sweep.plain import check_plain, find, has
from sweep.points import Point, read_point
from sweep.searches import GridSearch, ModelSearch
from sweep.space import PlannedTrial, Space, derive, group_key
from sweep.spec import Budget, SweepSpec, parse_spec
from sweep.trainables import Trainable, check_parameters
from sweep.values import canonical

_FIXED = {
    "name": "a sweep is found by it",
    "tags": "a sweep is found by them",
    "description": "it says what was asked for at first",
    "schema_version": "it says how the spec is read",
    "trainable": "trials that were trained by another code could not be compared",
    "code": "trials that were trained by another code could not be compared",
    "metric": "trials have been judged by it",
    "parameters": "trials are a function of them: use add.grid or add.trials to have more",
    "exclude": "trials are a function of it",
    "search": "trials are a function of it: use add.trials to have more",
    "early_stopping": "trials have been stopped by it",
    "replicates": "trials are a function of it: use add.trials to have more",
    "resources": "its trials have been placed by them: pause it and post another sweep",
    "pack": "its trials have been placed by it",
    "max_failures": "trials have failed by it: use retry to have failed trials tried again",
    "reuse_actors": "its processes have been started by it",
    "checkpoints": "states have been kept by it",
}
"""The fields of a spec that an edit cannot change, and why."""

MAX_ADDED = 100_000


class AddTrials(SpecModel):
    """Trials to add to a sweep."""

    grid: Mapping[str, tuple[Any, ...]] = Field(
        default={},
        description="More values of grid parameters (nested by dot); every new point of the "
        "grid is added.",
    )
    trials: tuple[Mapping[str, Any], ...] = Field(
        default=(),
        max_length=MAX_ADDED,
        description="Assignments. Constants of the spec need not be named; every other parameter "
        "whose condition holds must be, and none whose condition does not. Values need not be on "
        "a grid.",
    )


class SweepEdit(SpecModel):
    """What of a sweep is to change; what is not named stays as it is."""

    max_concurrent: Annotated[int, Field(ge=1, strict=True)] | None = None
    priority: Annotated[int, Field(ge=-(2**31), lt=2**31, strict=True)] | None = None
    weight: Annotated[float, Field(gt=0, le=1_000)] | None = None
    budget: Budget | None = None
    add: AddTrials = AddTrials()


@dataclass(frozen=True)
class Edited:
    """A sweep's spec after an edit, and the trials that it adds, not yet numbered."""

    spec: SweepSpec
    changed: Mapping[str, Any]
    """The fields that changed, with their new values, for the audit."""
    assignments: Sequence[Mapping[str, Value]]


def read_edit(raw: object) -> SweepEdit:
    """Check plain data and make an edit of it.

    Raises:
        SpecError: with the path of every bad field; for one of the spec that cannot
            change, with the reason.
    """
    if not isinstance(raw, Mapping):
        raise SpecError(f"an edit is a mapping of fields to values; got {raw!r:.100}")
    check_plain(raw)
    problems = [
        FieldProblem(name, f"cannot be changed: {why}; post another sweep otherwise")
        for name, why in _FIXED.items()
        if name in raw
    ]
    try:
        edit = SweepEdit.model_validate({k: v for k, v in raw.items() if k not in _FIXED})
    except ValidationError as error:
        problems.extend(field_problems(error, raw=raw))
    if problems:
        raise SpecError(problems)
    if not raw:
        raise SpecError(
            f"the edit names nothing to change: name one of {', '.join(SweepEdit.model_fields)}"
        )
    return edit


def apply_edit(edit: SweepEdit, spec: SweepSpec, *, trainable: Trainable, room: int) -> Edited:
    """Work out what an edit makes of a sweep.

    Args:
        edit: what is to change; a limit that it names as null is taken away.
        spec: the sweep's, as it is.
        trainable: its own.
        room: how many trials may be added.

    Raises:
        SpecError: when a value is null that must not be, or what is added does not fit.
        SpecTooLarge: when it is too much.
    """
    changes = _changes(edit)
    after = spec.model_copy(update=changes)
    wider = _with_grid(after, edit.add.grid)
    added = list(islice(_new_points(after, wider, edit.add.grid), room + 1))
    adding = _Adding(after)
    added += [adding.whole(t, f"add.trials[{i}]") for i, t in enumerate(edit.add.trials)]
    if len(added) * spec.replicates > room:
        raise SpecTooLarge(
            f"the edit adds {len(added) * spec.replicates:,} trials or more, and this sweep may "
            f"get {room:,} more: add fewer"
        )
    from_grid = len(added) - len(edit.add.trials)
    for i, parameters in enumerate(added):
        where = "add.grid" if i < from_grid else f"add.trials[{i - from_grid}]"
        with _placed(where):
            check_parameters(parameters, trainable)
    shown = {name: wider.model_dump(mode="json")[name] for name in changes}
    return Edited(wider, shown, added)


def _changes(edit: SweepEdit) -> dict[str, Any]:
    """The fields of the spec that change, with their new values."""
    changes: dict[str, Any] = {}
    for name in edit.model_fields_set - {"add"}:
        value = getattr(edit, name)
        if name == "budget":
            changes[name] = value or Budget()
        elif value is not None or name == "max_concurrent":
            changes[name] = value
        else:
            raise SpecError([FieldProblem(name, "is null: name a number, or leave it out")])
    return changes


def first_added(spec: SweepSpec, last: int | None) -> int:
    """The number of the next assignment that a user adds; those to be proposed keep theirs."""
    after = 0 if last is None else last + 1
    return max(after, spec.search.num_trials) if isinstance(spec.search, ModelSearch) else after


def number(edited: Edited, *, next_index: int, next_assignment: int) -> Iterator[PlannedTrial]:
    """The trials that an edit adds, with the next free numbers."""
    spec, index = edited.spec, next_index
    for assignment, parameters in enumerate(edited.assignments, start=next_assignment):
        group = group_key(parameters, spec.early_stopping.group_by)
        for replicate in range(spec.replicates):
            seed = derive(spec.search.seed, "trial", index) % 2**31
            yield PlannedTrial(index, assignment, replicate, seed, group, parameters)
            index += 1


def _with_grid(spec: SweepSpec, grid: Mapping[str, tuple[Any, ...]]) -> SweepSpec:
    """The spec with more values in its grid."""
    if not grid:
        return spec
    if not isinstance(spec.search, GridSearch):
        raise SpecError(
            [
                FieldProblem(
                    "add.grid",
                    f"the sweep's search is {spec.search.type}, whose trials are drawn: "
                    "use add.trials",
                )
            ]
        )
    raw = spec.model_dump(mode="json")
    for path, values in grid.items():
        node = find(raw["parameters"], path.split("."))
        if not isinstance(node, dict) or set(node) - {"when"} != {"grid"}:
            raise SpecError(
                [FieldProblem(f"add.grid.{path}", "is no grid parameter of this sweep")]
            )
        there = set(map(canonical, node["grid"]))
        twice = [v for v in values if canonical(v) in there]
        if twice or not values:
            problem = f"{twice[0]!r:.100} is there already" if twice else "names no value"
            raise SpecError([FieldProblem(f"add.grid.{path}", problem)])
        node["grid"] = [*node["grid"], *values]
    return parse_spec(raw)


def _new_points(
    before: SweepSpec, after: SweepSpec, grid: Mapping[str, tuple[Any, ...]]
) -> Iterator[Mapping[str, Value]]:
    if not grid:
        return
    Space(after).check()
    old = {canonical(trial.parameters) for trial in Space(before).trials()}
    for trial in Space(after).trials():
        if trial.replicate == 0 and canonical(trial.parameters) not in old:
            yield trial.parameters


class _Adding:
    """Makes whole assignments of those that a user adds to a sweep."""

    def __init__(self, spec: SweepSpec) -> None:
        self._nodes = spec.parameters
        self._assembler = Assembler(spec.parameters)
        self._excluded = ConditionEvaluator(spec.exclude, spec.parameters)

    def whole(self, trial: Mapping[str, Any], where: str) -> Mapping[str, Value]:
        """The assignment with the spec's constants in it.

        Raises:
            SpecError: for what is missing, no parameter, absent or excluded.
        """
        point, problems = read_point(trial, self._nodes, where=where, accept=_off_the_grid)
        missing = [path for path in self._assembler.always if not has(trial, path)]
        problems += [FieldProblem(".".join((where, *path)), "is missing") for path in missing]
        if problems:
            raise SpecError(problems)
        with _placed(where):
            found = self._assembler(lambda path, _: _given(point, path))
            self._refuse_absent(trial, found)
            condition = self._excluded.first_true(found)
        if condition is not None:
            raise SpecError([FieldProblem(where, f"is left out by `exclude`: {condition}")])
        return found

    def _refuse_absent(self, trial: Mapping[str, Any], found: Mapping[str, Value]) -> None:
        absent = "is absent: its `when` does not hold; leave it out"
        problems = [
            FieldProblem(".".join(path), absent)
            for path, _ in leaves_in(self._nodes)
            if has(trial, path) and not has(found, path)
        ]
        if problems:
            raise SpecError(problems)


def _off_the_grid(kind: Kind, value: Any) -> Value:
    """A value of the kind; of a grid also one that is not listed."""
    try:
        return kind.accept(value)
    except ValueError as error:
        if isinstance(kind, Grid):
            added: Value = value
            return added
        raise ValueError(f"{error}; got {value!r:.100}") from None


def _given(point: Point, path: Path) -> Value:
    if path not in point:
        raise SpecError([FieldProblem(".".join(path), "is missing: its `when` holds")])
    return point[path]


@contextmanager
def _placed(where: str) -> Iterator[None]:
    """Put a place before the paths of problems with an assignment."""
    try:
        yield
    except SpecError as error:
        paths = [p.path.removeprefix("parameters.") for p in error.problems]
        problems = [
            FieldProblem(f"{where}.{path}" if path else where, p.message)
            for path, p in zip(paths, error.problems, strict=True)
        ]
        raise SpecError(problems) from None
