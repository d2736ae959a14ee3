"""Trainables as descriptors: what the service knows of code that it never imports.

A package offers trainables through the entry-point group `sweep.trainables`. Each
entry is a `Trainable`; importing it must touch neither torch nor ray, so that the
service reads descriptors and only workers load the code they point to. A name with
a colon, `package.module:function`, is a user's own function, and a path that ends in
`.py` a user's own script; neither needs an entry.
"""

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from sweep.errors import FieldProblem, SpecError
from sweep.parameters import field_problems
from sweep.spec import Resources, SweepSpec

if TYPE_CHECKING:
    from sweep.records import TrialRecord

ENTRY_POINT_GROUP = "sweep.trainables"
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_SCRIPT = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*\.py")


@dataclass(frozen=True)
class PublishedLayout:
    """The CSV layout in which a trainable's results were published.

    `experiment` names the experiment that a trial's parameters belong to, one row
    each; `row` turns the experiment's best trial into that row.
    """

    columns: tuple[str, ...]
    experiment: Callable[[Mapping[str, Any]], Hashable]
    row: Callable[["TrialRecord"], Mapping[str, str]]


@dataclass(frozen=True)
class Trainable:
    """What a sweep may train."""

    name: str
    description: str
    code: str
    """The function that trains, as `package.module:function`, and takes (params, run); or a
    script's path."""
    parameters: type[BaseModel] | None = None
    """What the trainable accepts; None accepts anything."""
    metrics: tuple[str, ...] = ()
    """The metrics that it reports; empty when unknown."""
    default_resources: Resources = field(default_factory=Resources)
    needs_max_t: bool = False
    """Whether it trains until it is told to stop, so that a spec must name `max_t`."""
    reuse_actors: bool = False
    """Whether it leaves no state behind in its process."""
    fuse_key: Callable[[Mapping[str, Any]], Hashable] | None = None
    """Trials with equal keys have the same computation graph; None: never packed."""
    published: PublishedLayout | None = None


def registered() -> dict[str, Trainable]:
    """Every trainable that the installed packages offer, by name."""
    found: dict[str, Trainable] = {}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        trainable = entry.load()
        if not isinstance(trainable, Trainable):
            raise TypeError(f"entry point {entry.name!r} of {ENTRY_POINT_GROUP} is no Trainable")
        found[trainable.name] = trainable
    return found


def is_script(code: str) -> bool:
    """Whether a trainable's name or code is the path of a script."""
    return _SCRIPT.fullmatch(code) is not None


def is_function(code: str) -> bool:
    """Whether a trainable's name or code is a module's function, `package.module:function`."""
    return _FUNCTION.fullmatch(code) is not None


def find(name: str, known: Mapping[str, Trainable]) -> Trainable:
    """The trainable of that name, or one made up for a user's own function or script.

    Raises:
        SpecError: when the name is none of these.
    """
    if name in known:
        return known[name]
    if is_function(name):
        return Trainable(name=name, description="A user's own function.", code=name)
    if is_script(name):
        return Trainable(name=name, description="A user's own script.", code=name)
    raise SpecError(
        [
            FieldProblem(
                "trainable",
                f"there is no trainable {name!r}: there are {', '.join(sorted(known)) or 'none'}, "
                "or name your own function as 'package.module:function', or script as 'train.py'",
            )
        ]
    )


def check_spec(spec: SweepSpec, trainable: Trainable) -> None:
    """Check what a spec asks of its trainable, apart from the assignments themselves.

    Raises:
        SpecError: with the path of every bad field.
    """
    problems = []
    if trainable.needs_max_t and spec.early_stopping.max_t is None:
        problems.append(
            FieldProblem(
                "early_stopping.max_t",
                f"trainable {trainable.name!r} trains until it is told to stop: "
                "say at which step, for example early_stopping: {type: none, max_t: 1000}",
            )
        )
    own = trainable.code == trainable.name
    problems += _code_problems(spec, trainable, own=own)
    if spec.pack not in (None, "off", 1) and trainable.fuse_key is None and not own:
        problems.append(
            FieldProblem(
                "pack",
                f"is {spec.pack!r}, but trainable {trainable.name!r} cannot be packed: "
                "leave it out, or set it to off",
            )
        )
    asked = [("metric.name", spec.metric)]
    if spec.early_stopping.metric is not None:
        asked.append(("early_stopping.metric.name", spec.early_stopping.metric))
    for path, metric in asked:
        if trainable.metrics and metric.name not in trainable.metrics:
            problems.append(
                FieldProblem(
                    path,
                    f"trainable {trainable.name!r} does not report {metric.name!r}: "
                    f"it reports {', '.join(trainable.metrics)}",
                )
            )
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))


def _code_problems(spec: SweepSpec, trainable: Trainable, *, own: bool) -> list[FieldProblem]:
    """What does not fit between a spec's trainable and its archive of code."""
    if spec.code is not None and not own:
        message = f"trainable {trainable.name!r} is installed with the service: leave code out"
        return [FieldProblem("code", message)]
    if not own or not is_script(trainable.code):
        return []
    problems = []
    if spec.code is None:
        message = (
            f"trainable {trainable.name!r} is a script, which workers find in the sweep's code "
            "alone: submit it with `sweep submit FILE --code FOLDER`"
        )
        problems.append(FieldProblem("code", message))
    if spec.pack not in (None, "off", 1):
        message = f"is {spec.pack!r}, but a script cannot be packed: leave it out"
        problems.append(FieldProblem("pack", message))
    return problems


def check_parameters(parameters: Mapping[str, Any], trainable: Trainable) -> None:
    """Check one assignment against what the trainable accepts.

    Raises:
        SpecError: with the path of every bad parameter.
    """
    if trainable.parameters is None:
        return
    try:
        trainable.parameters.model_validate(parameters)
    except ValidationError as error:
        raise SpecError(field_problems(error, "parameters", parameters)) from None
