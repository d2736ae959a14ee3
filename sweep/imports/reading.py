"""Reading a source with nothing forgotten, and the warnings that come of it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.errors import FieldProblem, SpecError


class SourceError(SpecError):
    """The file cannot be imported."""


class NotExact(SourceError):
    """The import would differ from its source, which --strict does not allow."""


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
        if isinstance(raw, int | float) and not isinstance(raw, bool) and fits(raw):
            return raw
        found = "is missing" if raw is None else f"is {raw!r:.100}"
        raise bad(self.at(key), f"{found}: it must be a finite number; an integer has 64 bits")

    def count(self, key: str, default: int | None = None, *, least: int = 0) -> int:
        """An integer, at least `least`. Required when there is no default."""
        raw = self.number(key, default)
        if raw != int(raw) or raw < least or not fits(int(raw)):
            raise bad(
                self.at(key), f"is {raw!r}: it must be an integer from {least} up, of 64 bits"
            )
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


def fits(number: float) -> bool:
    """Whether a spec can hold a number: it is finite, and has 64 bits where it is an integer."""
    return abs(number) < 2**63 if isinstance(number, int) else math.isfinite(number)


def bad(path: str, message: str) -> SourceError:
    """The error for a source that cannot be read."""
    return SourceError([FieldProblem(path, message)])
