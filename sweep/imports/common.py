"""What every import has: reading with nothing forgotten, warnings, and the spec that comes out."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from sweep.errors import FieldProblem, SpecError
from sweep.parameters import parse_node
from sweep.spec import parse_spec

DEFAULT_TRIALS = 100
"""Assignments of a search whose source names no number of them."""

_ASK = "say it with "
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_SCRIPT = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*\.py")
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
        document = {**self.document, "parameters": _Block(self.document["parameters"])}
        history = document["search"].get("history", [])
        if history:
            document["search"] = _Block({**document["search"], "history": []})
        body = yaml.dump(
            _Block(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
        )
        # JSON is YAML too, and written a hundred times as fast.
        lines = "".join(f"\n  - {json.dumps(point, ensure_ascii=False)}" for point in history)
        body = body.replace("\n  history: []", f"\n  history:{lines}", 1) if history else body
        return head + body


@dataclass
class Notes:
    """Collects what an import has to say."""

    warnings: list[FieldProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def warn(self, path: str, message: str) -> None:
        """Something at that path of the source has no exact equal."""
        self.warnings.append(FieldProblem(path, message))

    def note(self, message: str) -> None:
        """Something worth knowing of the spec that comes out."""
        if message not in self.notes:
            self.notes.append(message)


class SourceError(SpecError):
    """The file cannot be imported."""


class NotExact(SourceError):
    """The import would differ from its source, which --strict does not allow."""


class Section:
    """A mapping of the source, which remembers what was read of it."""

    def __init__(self, raw: object, path: str, notes: Notes) -> None:
        if not isinstance(raw, Mapping):
            raise bad(path, f"must be a mapping; got {raw!r:.100}")
        self._raw = raw
        self._left = dict.fromkeys(raw)
        self.path = path
        self.notes = notes

    def __contains__(self, key: str) -> bool:
        return key in self._raw

    def names(self) -> Iterable[str]:
        """The names in it, in order; each must be a text."""
        for key in self._raw:
            if not isinstance(key, str):
                raise bad(self.at(repr(key)), "the name is no text: put it in quotes")
        return tuple(self._raw)

    def at(self, key: str) -> str:
        """The path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str, default: Any = None) -> Any:
        """The value, which counts as read from now on."""
        self._left.pop(key, None)
        return self._raw.get(key, default)

    def peek(self, key: str) -> Any:
        """The value, which does not count as read by this."""
        return self._raw.get(key)

    def section(self, key: str) -> "Section | None":
        """The mapping at a key; None where there is nothing."""
        raw = self.take(key)
        return None if raw is None else Section(raw, self.at(key), self.notes)

    def text(self, key: str) -> str | None:
        """A text, or None."""
        raw = self.take(key)
        if raw is None or isinstance(raw, str):
            return raw
        raise bad(self.at(key), f"must be a text; got {raw!r:.100}")

    def one_of(self, key: str, allowed: Iterable[str], default: str | None = None) -> str:
        """One of some words."""
        raw = self.take(key, default)
        allowed = tuple(allowed)
        if isinstance(raw, str) and raw in allowed:
            return raw
        found = "is missing" if raw is None else f"is {raw!r:.100}"
        raise bad(self.at(key), f"{found}: it must be one of {', '.join(allowed)}")

    def number(self, key: str, default: float | None = None) -> float:
        """A number; an integer stays one. Required when there is no default."""
        raw = self.take(key, default)
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            return raw
        found = "is missing" if raw is None else f"is {raw!r:.100}"
        raise bad(self.at(key), f"{found}: it must be a number")

    def count(self, key: str, default: int | None = None, *, least: int = 0) -> int:
        """An integer, at least `least`. Required when there is no default."""
        raw = self.number(key, default)
        if raw != int(raw) or raw < least:
            raise bad(self.at(key), f"is {raw!r}: it must be an integer from {least} up")
        return int(raw)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        raw = self.take(key, default)
        if isinstance(raw, bool):
            return raw
        raise bad(self.at(key), f"is {raw!r:.100}: it must be true or false")

    def items(self, key: str) -> list[Any]:
        """A list, empty where there is nothing."""
        raw = self.take(key)
        if raw is None:
            return []
        if isinstance(raw, list):
            return raw
        raise bad(self.at(key), f"must be a list; got {raw!r:.100}")

    def leave(self, key: str, why: str) -> None:
        """Warn, where the key is there, that it has no equal."""
        if key in self._left:
            self._left.pop(key)
            self.notes.warn(self.at(key), why)

    def rest(self) -> None:
        """Warn of every key that was not read."""
        for key in self._left:
            self.notes.warn(self.at(str(key)), "has no equal here and is left out")


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


def bad(path: str, message: str) -> SourceError:
    """The error for a source that cannot be read."""
    return SourceError([FieldProblem(path, message)])


def constant(value: Any) -> Any:
    """A value as a parameter that never varies, whatever its form."""
    if not isinstance(value, Mapping):
        return value
    try:
        same = parse_node(value, "") == value and bool(value)
    except SpecError:
        same = False
    return dict(value) if same else {"grid": [dict(value)]}


def metric_of(name: str | None, mode: str, path: str, options: Options, notes: Notes) -> Any:
    """The metric of the spec: as the person says, else as the file says."""
    chosen = options.metric or name
    if chosen is None:
        chosen = "loss"
        notes.warn(path, f"names no metric: {chosen!r} is a guess; {_ASK}--metric")
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
        f"{_ASK}--num-trials",
    )
    return DEFAULT_TRIALS


def trainable_of(program: str | None, path: str, options: Options, notes: Notes) -> str:
    """What trains: as the person says, else the script or function that the source names."""
    if options.trainable is not None:
        return options.trainable
    words = [word.removeprefix("./") for word in (program or "").split()]
    scripts = [word for word in words if _SCRIPT.fullmatch(word)]
    if scripts:
        _mention_script(scripts[0], words, path, notes)
        return scripts[0]
    functions = [word for word in words if _FUNCTION.fullmatch(word)]
    if functions:
        notes.warn(path, f"{functions[0]!r} must be a function train(params, run) here")
        return functions[0]
    found = "names no program" if program is None else f"is {program!r:.100}"
    notes.warn(path, f"{found}: {_SCRIPT_GUESS!r} is a guess; {_ASK}--trainable")
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
    """The import's result, once it is a valid spec.

    Raises:
        SpecError: when what came out cannot be run, with the spec's paths.
    """
    kept = {key: value for key, value in document.items() if value is not None}
    try:
        parse_spec(kept)
    except SpecError as error:
        raise SourceError(
            [
                FieldProblem(p.path, f"the imported spec cannot be run: {p.message}")
                for p in error.problems
            ]
        ) from None
    return Imported(kept, tuple(notes.warnings), tuple(notes.notes))


class _Block(dict[str, Any]):
    """A mapping that is written over several lines however small it is."""


class _Dumper(yaml.SafeDumper):
    """Writes kinds and other small mappings on one line, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_mapping(dumper: _Dumper, data: Mapping[str, Any]) -> yaml.Node:
    flow = not isinstance(data, _Block) and len(str(data)) < _SHORT
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=flow)


def _represent_list(dumper: _Dumper, data: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


def _represent_text(dumper: _Dumper, data: str) -> yaml.Node:
    # A spec is read as YAML 1.2, where 1e-4 is a number; PyYAML would leave it bare.
    style = '"' if _LIKE_A_NUMBER.fullmatch(data) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_SHORT = 110
_LIKE_A_NUMBER = re.compile(r"[-+]?\.?[0-9][-+.0-9eE]*")

_Dumper.add_multi_representer(dict, _represent_mapping)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_text)
