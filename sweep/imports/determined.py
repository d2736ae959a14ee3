"""A Determined experiment configuration as a spec.

The meaning of each field is the one of Determined's experiment configuration reference:
`int` and `double` include both ends, `log` takes exponents of `base`, `count` is for
grids alone, and `adaptive_asha` compares trials at max_length / divisor ** k.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sweep.imports.common import (
    MOST_POINTS,
    Imported,
    Names,
    Options,
    constant,
    finish,
    metric_of,
    nested,
    trainable_of,
    trials_of,
    until,
)
from sweep.imports.reading import Notes, Section, bad
from sweep.imports.rungs import Rungs, asha, factor_of, hyperband

_SEARCHERS = ("single", "random", "grid", "adaptive_asha", "asha", "async_halving")
_HALVING = ("adaptive_asha", "asha", "async_halving")
_LEAVES = ("const", "int", "double", "log", "categorical")
_UNITS = ("batches", "epochs", "records")
_FROM_ANOTHER = "a trial starts from its own weights here: load them in your training function"
_MOST_RUNGS = 1_000


def read(raw: object, options: Options) -> Imported:
    """Turn a configuration, as plain data, into a spec.

    Raises:
        SpecError: with the path of what cannot be read.
    """
    notes = Notes()
    source = Section(raw, "", notes)
    searcher = source.section("searcher")
    if searcher is None:
        raise bad("searcher", "is missing: an experiment needs one")
    name = searcher.one_of("name", _SEARCHERS)
    resources = _resources(source)
    document = {
        "name": source.text("name") or "imported from Determined",
        "description": source.text("description"),
        "tags": [str(label) for label in source.items("labels")] or None,
        "trainable": trainable_of(_entrypoint(source), "entrypoint", options, notes),
        "metric": _metric(searcher, options, notes),
        "parameters": _parameters(source, name, notes),
        "search": _search(source, searcher, name, options, notes),
        "early_stopping": _stopping(searcher, name, options, notes),
        "resources": {"cpu": 1, "gpu": resources.slots},
        "max_concurrent": _concurrent(searcher, name, resources.fit),
        "max_failures": source.count("max_restarts", 5),
        "weight": resources.weight,
        "checkpoints": _checkpoints(source),
    }
    searcher.leave("source_trial_id", _FROM_ANOTHER)
    searcher.leave("source_checkpoint_uuid", _FROM_ANOTHER)
    for section in (searcher, source):
        section.rest()
    return finish(document, notes)


def _entrypoint(source: Section) -> str | None:
    if isinstance(source.peek("entrypoint"), list):
        return " ".join(map(str, source.items("entrypoint")))
    return source.text("entrypoint")


def _metric(searcher: Section, options: Options, notes: Notes) -> Any:
    mode = "min" if searcher.flag("smaller_is_better", default=True) else "max"
    return metric_of(searcher.text("metric"), mode, "searcher.metric", options, notes)


def _search(
    source: Section, searcher: Section, name: str, options: Options, notes: Notes
) -> dict[str, Any]:
    reproducibility = source.section("reproducibility")
    seed = reproducibility.count("experiment_seed", 0) if reproducibility else 0
    if reproducibility:
        reproducibility.rest()
    if name in ("grid", "single"):
        return {"type": "grid", "seed": seed}
    given = searcher.count("max_trials", least=1) if "max_trials" in searcher else None
    number = trials_of(given, "searcher.max_trials", options, notes)
    return {"type": "random", "num_trials": number, "seed": seed}


def _parameters(source: Section, searcher: str, notes: Notes) -> dict[str, Any]:
    section = source.section("hyperparameters")
    return {} if section is None else _nested(section, searcher, Names(notes), "")


def _nested(section: Section, searcher: str, names: Names, within: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in section.names():
        raw = section.take(key)
        name = names.clean(key, section.at(key), within=within)
        if not isinstance(raw, dict):
            found[name] = constant(raw)
            continue
        one = Section(raw, section.at(key), section.notes)
        if isinstance(one.peek("type"), str):
            found[name] = _leaf(one, searcher)
            one.rest()
        else:
            deeper = _nested(one, searcher, names, f"{within}.{name}")
            found[name] = nested(deeper, one.path)
    return found


def _leaf(one: Section, searcher: str) -> Any:
    kind = one.one_of("type", _LEAVES)
    if kind == "const":
        return constant(one.take("val"))
    if searcher == "single":
        raise bad(one.path, "the single searcher takes constants alone: give it one value")
    if kind == "categorical":
        values = one.items("vals")
        if not values:
            raise bad(one.at("vals"), "is empty: give at least one value")
        return {"grid" if searcher == "grid" else "choice": values}
    low, high = one.number("minval"), one.number("maxval")
    if low > high:
        raise bad(one.path, f"minval {low!r} is above maxval {high!r}")
    base = one.number("base", 10) if kind == "log" else None
    if searcher != "grid":
        one.leave("count", "values are drawn, not listed: it has no effect")
        return _drawn(kind, low, high, base, one)
    count = one.take("count")
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_POINTS:
        raise bad(one.at("count"), f"is {count!r}: a grid needs one from 1 to {MOST_POINTS:,}")
    return {"grid": _points(kind, low, high, base, count, one)}


def _drawn(kind: str, low: float, high: float, base: float | None, one: Section) -> Any:
    if kind == "int":
        return {"randint": {"min": _whole(one, "minval"), "max": _whole(one, "maxval")}}
    if base is None:
        return {"uniform": {"min": low, "max": high}}
    power = _power(base, one)
    ends = sorted((power(low), power(high)))
    return {"loguniform": {"min": ends[0], "max": ends[1]}}


def _points(
    kind: str, low: float, high: float, base: float | None, count: int, one: Section
) -> list[Any]:
    """As many values as `count` says, evenly from end to end; one alone is the midpoint."""
    if kind == "int":
        count = min(count, _whole(one, "maxval") - _whole(one, "minval") + 1)
    if count == 1:
        even = [(low + high) / 2]
    else:
        even = [low + i * (high - low) / (count - 1) for i in range(count)]
    if kind == "int":
        return [_round(x) for x in even]
    if base is None:
        return even
    return [_power(base, one)(x) for x in even]


def _whole(one: Section, key: str) -> int:
    return one.count(key, least=-(2**53))


def _round(x: float) -> int:
    """To the nearest integer; a half goes away from zero."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def _power(base: float, one: Section) -> Callable[[float], float]:
    if base <= 0 or base == 1:
        raise bad(one.at("base"), f"is {base!r}: it must be above 0, and not 1")

    def power(exponent: float) -> float:
        try:
            value = math.pow(base, exponent)
        except OverflowError:
            value = math.inf
        if not 0 < value < math.inf:
            raise bad(
                one.path,
                f"minval and maxval are exponents, and {base!r} to the {exponent!r} is no number "
                "that fits: did you give the values themselves?",
            )
        return value

    return power


def _length(searcher: Section, options: Options, notes: Notes) -> int | None:
    """How many steps a trial trains at most; None where the source does not say."""
    raw, unit = searcher.take("max_length"), None
    if raw is not None:
        if isinstance(raw, dict):
            section = Section(raw, "searcher.max_length", notes)
            unit = next((key for key in _UNITS if key in section), None)
            if unit is None:
                raise bad(section.path, f"must have one of {', '.join(_UNITS)}")
            length = section.count(unit, least=1)
            section.rest()
        else:
            length = searcher.count("max_length", least=1)
    elif "max_time" in searcher:
        unit = searcher.text("time_metric")
        length = searcher.count("max_time", least=1)
    else:
        return options.max_t
    if unit is not None:
        notes.note(f"a step is what Determined counts as {unit}: report at that number of them")
    return options.max_t or length


def _stopping(searcher: Section, name: str, options: Options, notes: Notes) -> Any:
    length = _length(searcher, options, notes)
    if name not in _HALVING:
        return until(length)
    if length is None:
        raise bad("searcher", f"{name} needs max_length, or time_metric and max_time")
    divisor = factor_of(searcher, "divisor", 4)
    brackets = _brackets(searcher, name, length, divisor)
    if not searcher.flag("stop_once", default="max_time" in searcher):
        notes.warn(
            "searcher.stop_once",
            "is false: there a trial waits at a rung and may go on later; here a stopped trial "
            "is not resumed, as with stop_once: true",
        )
    most = max(brackets)
    below = [max(int(length / divisor**k), 1) for k in range(most - 1, 0, -1)]
    if below and "max_length" in searcher:
        *sums, end = accumulate((*below, length))
        notes.warn(
            "searcher.max_length",
            "most releases that take it add up the lengths of the rungs: with those they stand "
            f"at {_listed(sums)}, and a trial ends at {end}",
        )
    rungs = Rungs(tuple(dict.fromkeys(below)), length, divisor, "searcher", notes)
    if len(brackets) == 1:
        return asha(rungs, first=length / divisor ** (most - 1))
    return hyperband(rungs, brackets=most)


def _brackets(searcher: Section, name: str, length: int, divisor: float) -> list[int]:
    """How many rungs the trials of each bracket have, the end counted as one."""
    if name != "adaptive_asha":
        rungs = searcher.count("num_rungs" if "num_rungs" in searcher else "max_rungs", 5, least=1)
        return [min(rungs, _powers_in(length, divisor) + 1)]
    trials = searcher.count("max_trials", least=1) if "max_trials" in searcher else length
    most = min(_powers_in(length, divisor), _powers_in(trials, divisor))
    given = searcher.items("bracket_rungs")
    brackets = _given(given, searcher, most) if given else _by_mode(searcher, most)
    if len(brackets) > 1 and brackets != list(range(1, max(brackets) + 1)):
        searcher.notes.warn(
            "searcher.bracket_rungs" if given else "searcher.mode",
            f"trials have {_listed(brackets)} rungs there, each bracket its own number; here a "
            f"few have fewer, down to 1, as with mode: conservative",
        )
    return brackets


def _given(brackets: list[Any], searcher: Section, most: int) -> list[int]:
    for key in ("max_rungs", "mode"):
        searcher.leave(key, "has no effect beside bracket_rungs")
    if not all(isinstance(rungs, int) and 0 < rungs <= most for rungs in brackets):
        raise bad("searcher.bracket_rungs", f"{brackets!r:.100} must be integers from 1 to {most}")
    return sorted(brackets)


def _by_mode(searcher: Section, most: int) -> list[int]:
    most = min(most, searcher.count("max_rungs", 5, least=1))
    mode = searcher.one_of("mode", ("aggressive", "standard", "conservative"), "standard")
    first = {"aggressive": most, "standard": (most - 1) // 2 + 1, "conservative": 1}[mode]
    return list(range(first, most + 1))


def _powers_in(number: int, divisor: float) -> int:
    """How many of 1, divisor, divisor ** 2, ... are not above a number."""
    return next((k for k in range(1, _MOST_RUNGS) if divisor**k > number), _MOST_RUNGS)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


@dataclass(frozen=True)
class _Resources:
    slots: int = 1
    weight: float | None = None
    fit: int | None = None
    """How many trials fit into `max_slots`."""


def _resources(source: Section) -> _Resources:
    section = source.section("resources")
    if section is None:
        return _Resources()
    slots = section.count("slots_per_trial", 1)
    most = section.count("max_slots", least=1) if "max_slots" in section else None
    section.leave(
        "priority", "smaller numbers go first there and higher ones here: set priority yourself"
    )
    weight = section.number("weight") if "weight" in section else None
    section.rest()
    return _Resources(slots, weight, None if most is None else max(most // max(slots, 1), 1))


def _concurrent(searcher: Section, name: str, fit: int | None) -> int | None:
    """Trials at once: 16 where the file does not say, as many as fit for 0."""
    most = 0 if name == "single" else searcher.count("max_concurrent_trials", 16)
    limits = [limit for limit in (most, fit) if limit]
    return min(limits) if limits else None


def _checkpoints(source: Section) -> dict[str, Any] | None:
    section = source.section("checkpoint_storage")
    if section is None:
        return None
    latest = section.count("save_trial_latest", 1)
    best = section.count("save_trial_best", 1)
    if latest < 1:
        section.notes.warn(section.at("save_trial_latest"), "the newest state is always kept here")
    if best > 1:
        section.notes.warn(section.at("save_trial_best"), "one best state is kept here")
    for key in section.names():
        section.leave(key, "where states are kept is a setting of the service here")
    return {"keep_last": max(latest, 1), "keep_best": best > 0}
