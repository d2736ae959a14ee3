"""What every import has: reading with nothing forgotten, warnings, and the spec that comes out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sweep.errors import FieldProblem, SpecError
from sweep.imports.reading import Notes, SourceError, bad
from sweep.imports.writing import to_yaml
from sweep.parameters import kinds_named, parse_node
from sweep.space import Space
from sweep.spec import parse_spec
from sweep.trainables import is_function, is_script

DEFAULT_TRIALS = 100
"""Assignments of a search whose source names no number of them."""

MOST_POINTS = 10_000
"""Values of one parameter that a grid takes, where the source gives a range and not a list."""

ASK = "say it with "
_SCRIPT_GUESS = "train.py"
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class Options:
    """What the person who imports knows and the file may not say."""

    trainable: str | None = None
    metric: str | None = None
    mode: Literal["min", "max"] | None = None
    num_trials: int | None = None
    max_t: int | None = None


@dataclass(frozen=True)
class Imported:
    """A spec as plain data, and how it differs from its source."""

    document: Mapping[str, Any]
    warnings: tuple[FieldProblem, ...] = ()
    """What has no exact equal here, each with its path in the source."""
    notes: tuple[str, ...] = ()
    """What to know about the spec; nothing is lost by these."""

    def to_yaml(self) -> str:
        """The spec as YAML, the notes and warnings as comments before it."""
        comments = [*self.notes, *(f"{w.path}: {w.message}" for w in self.warnings)]
        head = "".join(f"# {' '.join(line.split())}\n" for line in comments)
        return head + to_yaml(self.document)


def allowed_name(name: str) -> str:
    """The nearest name that a parameter may have."""
    allowed = _NOT_A_NAME.sub("_", name.lstrip("-"))
    return allowed if allowed and not allowed[0].isdigit() else f"p_{allowed}"


class Names:
    """Gives the parameters names that a spec allows."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._taken: dict[str, str] = {}

    def clean(self, name: str, path: str, *, within: str = "") -> str:
        """The name, or the nearest that is allowed, with a warning.

        Raises:
            SpecError: when another parameter has that name already.
        """
        allowed = allowed_name(name)
        full = f"{within}.{allowed}"
        if self._taken.setdefault(full, name) != name:
            raise bad(path, f"{name!r} and {self._taken[full]!r} would both be called {allowed!r}")
        if allowed != name:
            self._notes.warn(path, f"is called {allowed!r} here: names have letters, digits and _")
        return allowed


def constant(value: Any) -> Any:
    """A value as a parameter that never varies, whatever its form."""
    if not isinstance(value, Mapping):
        return value
    try:
        same = parse_node(value, "") == value and bool(value)
    except SpecError:
        same = False
    return dict(value) if same else {"grid": [dict(value)]}


def nested(found: dict[str, Any], path: str) -> dict[str, Any]:
    """Nested parameters, which stay parameters where their names say something else here.

    `{normal: {mean: 0.5}}` would be a draw, and `{when: x, value: 1}` a condition.

    Raises:
        SpecError: when there is such a name, and not all of them are constants.
    """
    names = [*kinds_named(found), *(name for name in found if name == "when")]
    if not names:
        return found
    try:
        return {"grid": [{name: _plain(node) for name, node in found.items()}]}
    except _VariesError:
        listed = ", ".join(map(repr, names))
        raise bad(
            path,
            f"has parameters called {listed}, which a spec reads as a kind or a condition: "
            "rename them, or give all beside them one value",
        ) from None


class _VariesError(Exception):
    """A parameter is no constant."""


def _plain(node: Any) -> Any:
    """The only value that a parameter takes."""
    if not isinstance(node, Mapping):
        return node
    match node:
        case {"grid": [only]}:
            return only
    if kinds_named(node):
        raise _VariesError
    return {key: _plain(value) for key, value in node.items()}


def metric_of(name: str | None, mode: str, path: str, options: Options, notes: Notes) -> Any:
    """The metric of the spec: as the person says, else as the file says."""
    chosen = options.metric or name
    if chosen is None:
        chosen = "loss"
        notes.warn(path, f"names no metric: {chosen!r} is a guess; {ASK}--metric")
    return {"name": chosen, "mode": options.mode or mode}


def trials_of(number: int | None, path: str, options: Options, notes: Notes) -> int:
    """How many assignments a search draws: as the person says, else as the file says."""
    if options.num_trials is not None:
        return options.num_trials
    if number is not None:
        return number
    notes.warn(
        path,
        f"the search has no end there and needs a number here: {DEFAULT_TRIALS} is a guess; "
        f"{ASK}--num-trials",
    )
    return DEFAULT_TRIALS


def trainable_of(program: str | None, path: str, options: Options, notes: Notes) -> str:
    """What trains: as the person says, else the script or function that the source names."""
    if options.trainable is not None:
        return options.trainable
    words = [word.removeprefix("./") for word in (program or "").split()]
    scripts = [word for word in words if is_script(word)]
    if scripts:
        _mention_script(scripts[0], words, path, notes)
        return scripts[0]
    functions = [word for word in words if is_function(word)]
    if functions:
        notes.warn(path, f"{functions[0]!r} must be a function train(params, run) here")
        return functions[0]
    found = "names no program" if program is None else f"is {program!r:.100}"
    notes.warn(path, f"{found}: {_SCRIPT_GUESS!r} is a guess; {ASK}--trainable")
    return _SCRIPT_GUESS


def _mention_script(script: str, words: list[str], path: str, notes: Notes) -> None:
    others = [word for word in words if word != script and word not in ("python", "python3")]
    if others:
        notes.warn(path, f"{' '.join(others)!r:.200} is left out: the script runs by itself here")
    notes.note(
        f"{script} gets its trial by sweep.run(); submit the spec with --code and its folder"
    )


def until(max_t: int | None) -> dict[str, Any] | None:
    """No early stopping; a trial is completed at that step, where one is given."""
    return None if max_t is None else {"type": "none", "max_t": max_t}


def finish(document: Mapping[str, Any], notes: Notes) -> Imported:
    """The import's result, once it is a valid spec whose trials can be counted.

    Raises:
        SpecError: when what came out cannot be run, with the spec's paths.
        SpecTooLarge: when it has more trials than a service takes.
    """
    kept = {key: value for key, value in document.items() if value is not None}
    try:
        Space(parse_spec(kept)).check()
    except SpecError as error:
        raise SourceError(
            [
                FieldProblem(p.path, f"the imported spec cannot be run: {p.message}")
                for p in error.problems
            ]
        ) from None
    return Imported(kept, tuple(notes.warnings), tuple(notes.notes))
