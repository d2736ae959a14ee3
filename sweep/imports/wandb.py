"""A W&B sweep configuration as a spec.

The meaning of each field is the one of W&B's documentation ("Sweep configuration
options"): `log_uniform` takes exponents of e, `log_uniform_values` real values,
integers as `min` and `max` give integers with both ends, `q_…` rounds to the nearest
multiple of `q`, and early termination compares runs at brackets of logged values.
"""

import math
from collections.abc import Mapping
from typing import Any

from sweep.imports.common import (
    Imported,
    Options,
    finish,
    metric_of,
    trainable_of,
    trials_of,
    until,
)
from sweep.imports.reading import Notes, Section, bad
from sweep.imports.rungs import Rungs, asha, factor_of
from sweep.imports.wandb_parameters import endless, read_parameters

_SEARCHES = {"grid": "grid", "random": "random", "bayes": "gp"}
_PLAIN_WORDS = frozenset({"python", "python3", "/usr/bin/env", "-u"})
_GUESSED_BRACKETS = 4
_MOST_BRACKETS = 1_000


def read(raw: object, options: Options) -> Imported:
    """Turn a configuration, as plain data, into a spec.

    Raises:
        SpecError: with the path of what cannot be read.
    """
    notes = Notes()
    source = Section(raw, "", notes)
    source.take("kind"), source.take("apiVersion")
    method = source.one_of("method", _SEARCHES)
    parameters = read_parameters(source, method, notes)
    document = {
        "name": source.text("name") or "imported from W&B",
        "description": source.text("description"),
        "tags": [project] if (project := source.text("project")) else None,
        "trainable": trainable_of(source.text("program"), "program", options, notes),
        "metric": _metric(source, options, notes),
        "parameters": parameters,
        **_search(source, method, parameters, options, notes),
        "early_stopping": _early_terminate(source, options, notes),
        "max_failures": 0,  # a run that fails is not tried again there
    }
    _command(source)
    source.rest()
    return finish(document, notes)


def _metric(source: Section, options: Options, notes: Notes) -> Any:
    section = source.section("metric") or Section({}, "metric", notes)
    goal = section.one_of("goal", ("minimize", "maximize"), "minimize")
    metric = metric_of(section.text("name"), goal[:3], "metric", options, notes)
    if "target" in section:
        metric["target"] = section.number("target")
        notes.warn(
            section.at("target"),
            "a trial that reaches it ends here, and others go on; "
            "there the sweep starts no further runs",
        )
    section.rest()
    return metric


def _search(
    source: Section, method: str, parameters: Mapping[str, Any], options: Options, notes: Notes
) -> dict[str, Any]:
    cap = source.count("run_cap", least=1) if "run_cap" in source else None
    ranges = endless(parameters) if method == "grid" else []
    if method == "grid" and not ranges:
        return {"search": {"type": "grid"}, "budget": {"trials": cap} if cap else None}
    if ranges:
        notes.warn(
            "method",
            f"a grid over the ranges of {', '.join(ranges)} never ends: "
            "they are drawn at random here, and the other values are cycled through",
        )
        method = "random"
    number = trials_of(cap, "run_cap", options, notes)
    return {"search": {"type": _SEARCHES[method], "num_trials": number}}


def _early_terminate(source: Section, options: Options, notes: Notes) -> Any:
    section = source.section("early_terminate")
    if section is None:
        return until(options.max_t)
    section.one_of("type", ("hyperband",))
    eta = factor_of(section, "eta", 3)
    if not section.flag("strict", default=False):
        notes.warn(section.at("strict"), "trials are always stopped strictly here")
    rule = _backwards(section, eta, options) if "s" in section else _forwards(section, eta, options)
    notes.note(
        "early_stopping counts steps; W&B counts logged values of the metric: "
        "report it at steps 1, 2, 3, ..."
    )
    section.rest()
    return rule


def _backwards(section: Section, eta: float, options: Options) -> Any:
    """Brackets at max_iter / eta, max_iter / eta^2, ..., `s` of them."""
    top, number = section.count("max_iter", least=1), section.count("s", least=1)
    section.leave("min_iter", "has no effect beside max_iter and s")
    brackets: list[int] = []
    while len(brackets) < number and (bracket := top / eta ** (len(brackets) + 1)) >= 1:
        brackets.insert(0, int(bracket))
        _check_number(brackets, section)
    if not brackets:
        raise bad(section.path, f"has no bracket: max_iter {top} is below eta {eta!r}")
    theirs = tuple(dict.fromkeys(brackets))
    _mention_end(section, options)
    rungs = Rungs(theirs, options.max_t or top, eta, section.path, section.notes)
    return asha(rungs, first=top / eta ** len(brackets))


def _forwards(section: Section, eta: float, options: Options) -> Any:
    """Brackets at min_iter, min_iter eta, min_iter eta^2, ... without end."""
    if "min_iter" not in section:
        raise bad(section.path, "needs min_iter, or max_iter and s")
    first = section.count("min_iter", least=1)
    _mention_end(section, options)
    max_t = options.max_t or _guessed_end(section, first, eta)
    brackets: list[int] = []
    while (bracket := int(first * eta ** len(brackets))) < max_t:
        brackets.append(bracket)
        _check_number(brackets, section)
    theirs = tuple(dict.fromkeys(brackets))
    return asha(Rungs(theirs, max_t, eta, section.path, section.notes), first=first)


def _mention_end(section: Section, options: Options) -> None:
    if section.take("max_iter") is not None and options.max_t is None:
        section.notes.warn(
            section.at("max_iter"),
            "every trial is completed at that step here; there it sets brackets alone, and runs "
            "go on to their own end: say it with --max-t",
        )


def _check_number(brackets: list[int], section: Section) -> None:
    if len(brackets) > _MOST_BRACKETS:
        raise bad(section.path, f"has more than {_MOST_BRACKETS:,} brackets: raise eta")


def _guessed_end(section: Section, first: int, eta: float) -> int:
    if "max_iter" in section:
        return section.count("max_iter", least=1)
    guess = math.ceil(first * eta**_GUESSED_BRACKETS)
    section.notes.warn(
        section.at("min_iter"),
        f"the length of a run is not in the file, and max_t needs it: {guess} is a guess; "
        "say it with --max-t",
    )
    return guess


def _command(source: Section) -> None:
    words = source.take("command")
    if words is None:
        return
    words = words.split() if isinstance(words, str) else words
    if not isinstance(words, list):
        raise bad("command", f"must be a list of words; got {words!r:.100}")
    own = [str(w) for w in words if str(w) not in _PLAIN_WORDS and not str(w).startswith("${")]
    if own:
        source.notes.warn(
            "command",
            f"trials get their parameters as a mapping here; {' '.join(own)!r:.200} is left out: "
            "make parameters of it",
        )
