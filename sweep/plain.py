"""Plain data: what JSON can say, a database can hold and a page can show."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.errors import FieldProblem, SpecError

MAX_DEPTH = 50

_INTEGERS = range(-(2**63), 2**63)
_ABSENT = object()


def check_plain(raw: object) -> None:
    """Refuse what is no plain data.

    Plain data are null, booleans, integers of 64 bits, finite numbers, texts without
    NUL characters or lone surrogates, and lists and mappings of those with text keys.

    Raises:
        SpecError: with the path of everything that is not.
    """
    problems = list(_problems(raw, "", 0))
    if problems:
        raise SpecError(problems)


def flatten(raw: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings with their paths, parts joined by dots."""
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            yield from flatten(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, raw


def find(raw: object, path: Sequence[str], default: Any = None) -> Any:
    """What stands at a path in nested mappings; `default` where nothing does."""
    for part in path:
        if not isinstance(raw, Mapping) or part not in raw:
            return default
        raw = raw[part]
    return raw


def has(raw: object, path: Sequence[str]) -> bool:
    """Whether anything, null too, stands at a path in nested mappings."""
    return find(raw, path, _ABSENT) is not _ABSENT


def _problems(raw: object, path: str, depth: int) -> Iterator[FieldProblem]:
    if depth > MAX_DEPTH:
        yield FieldProblem(path, f"is nested more than {MAX_DEPTH} deep")
    elif isinstance(raw, str):
        yield from _text_problems(raw, path)
    elif isinstance(raw, float):
        if not math.isfinite(raw):
            yield FieldProblem(path, f"{raw!r} is not a finite number")
    elif raw is None or isinstance(raw, int):
        if raw is not None and raw not in _INTEGERS:
            yield FieldProblem(path, "an integer must fit into 64 bits")
    elif isinstance(raw, Mapping):
        for key, value in raw.items():
            here = f"{path}.{key}" if path else str(key)
            if isinstance(key, str):
                yield from _text_problems(key, path)
            else:
                yield FieldProblem(here, f"the key {key!r:.100} is no text: put it in quotes")
            yield from _problems(value, here, depth + 1)
    elif isinstance(raw, list | tuple):
        for i, value in enumerate(raw):
            yield from _problems(value, f"{path}[{i}]", depth + 1)
    else:
        yield FieldProblem(path, f"{raw!r:.100} is a {type(raw).__name__}, not a JSON value")


def _text_problems(text: str, path: str) -> Iterator[FieldProblem]:
    if "\x00" in text:
        yield FieldProblem(path, "a text may not hold the NUL character")
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        yield FieldProblem(path, "a text may not hold half of a surrogate pair")
