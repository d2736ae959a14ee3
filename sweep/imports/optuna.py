"""An Optuna study as a spec: its distributions, its direction, its finished trials.

Optuna is loaded when a study is read, and needed by this import alone.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sweep.errors import SweepError
from sweep.history import MAX_HISTORY
from sweep.imports.common import (
    ASK,
    Imported,
    Names,
    Options,
    finish,
    metric_of,
    trainable_of,
    trials_of,
    until,
)
from sweep.imports.optuna_parameters import accepted, distributions, joined
from sweep.imports.reading import Notes, bad
from sweep.parameters import Kind, kinds_in, parse_nodes
from sweep.values import canonical

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

_MOST_BYTES = 700_000
"""Of history, so that the spec stays within what a service reads."""
_MOST_NODES = 60_000
_STARTUP = 10
"""Trials that are drawn at random before a model is asked, those of the study among them."""
_PASSWORD = re.compile(r"://[^/:@]*:([^/]+)@")
_MODES = {"MINIMIZE": "min", "MAXIMIZE": "max"}


def read(storage: str, study_name: str, options: Options) -> Imported:
    """Turn a study into a spec.

    Args:
        storage: URL of the storage, such as `sqlite:///study.db`.
        study_name: the study's name in it.
        options: what the study does not say.

    Raises:
        SweepError: when Optuna is not installed or cannot open the storage.
        SpecError: when there is no such study, or it has no finished trial.
    """
    return from_study(_load(storage, study_name), options)


def from_study(study: "Study", options: Options) -> Imported:
    """Turn a loaded study into a spec, as `read` does."""
    notes = Notes()
    names, trials = Names(notes), study.get_trials(deepcopy=False)
    finished = [t for t in trials if t.state.name == "COMPLETE"]
    if not finished:
        raise bad("trials", f"study {study.study_name!r} has no finished trial to learn from")
    spaces = distributions(finished)
    called = {name: names.clean(name, f"distributions.{name}") for name in spaces}
    parameters = {
        called[name]: joined(found, len(finished), f"distributions.{name}", notes)
        for name, found in spaces.items()
    }
    kinds = {path[0]: kind for path, kind in kinds_in(parse_nodes(parameters, "parameters"))}
    metrics = _metrics(study, options, notes)
    _mention(study, trials, notes)
    search = {
        "type": "tpe" if len(metrics) == 1 else "nsga2",
        "num_trials": trials_of(None, "study", options, notes),
        "points_to_evaluate": _enqueued(trials, called, kinds, notes) or None,
        **_learned(finished, metrics, called, kinds, notes),
    }
    document = {
        "name": study.study_name or "imported from Optuna",
        "trainable": trainable_of(None, "study", options, notes),
        "metric": metrics[0],
        "parameters": parameters,
        "search": {key: value for key, value in search.items() if value is not None},
        "early_stopping": until(options.max_t),
    }
    return finish(document, notes)


def _load(storage: str, study_name: str) -> "Study":
    try:
        import optuna
    except ImportError:
        raise SweepError(
            "an Optuna study is read with Optuna, which is not installed: pip install optuna"
        ) from None
    _check_file(storage)
    try:
        return optuna.load_study(study_name=study_name, storage=storage)
    except KeyError:
        known = ", ".join(optuna.get_all_study_names(storage)) or "none"
        raise bad("study", f"there is no study {study_name!r} in it; there are: {known}") from None
    except ImportError as error:
        raise SweepError(f"the storage needs a database driver: {error}") from None
    except Exception as error:  # every storage's driver raises its own kinds
        message = f"the storage {storage!r} cannot be opened: {error}"
        raise SweepError(_without_password(message, storage)) from error


def _check_file(storage: str) -> None:
    """Refuse a file that is not there: opening it would make one.

    Raises:
        SpecError: when the storage is such a file.
    """
    dialect, _, rest = storage.partition("://")
    file = rest.removeprefix("/").partition("?")[0]
    if dialect.partition("+")[0] != "sqlite" or file in ("", ":memory:") or "file:" in file:
        return
    if not Path(file).is_file():
        raise bad("storage", f"{storage!r} cannot be opened: there is no file {file!r}")


def _without_password(message: str, storage: str) -> str:
    """A message about a storage that may be shown to anyone."""
    secret = _PASSWORD.search(storage)
    if secret is None:
        return message
    for written in (secret[1], unquote(secret[1])):
        message = message.replace(written, "***")
    return message


def _metrics(study: "Study", options: Options, notes: Notes) -> list[dict[str, Any]]:
    modes = [_MODES[d.name] for d in study.directions]
    names = list(study.metric_names or ())
    if not names:
        names = ["value"] if len(modes) == 1 else [f"value_{i}" for i in range(len(modes))]
        for i, name in enumerate(names):
            if i or options.metric is None:
                how = "name it in search.objectives" if i else f"{ASK}--metric"
                notes.warn("study", f"does not name what it optimises: {name!r} is a guess; {how}")
    first = metric_of(names[0], modes[0], "study", options, notes)
    return [first, *({"name": n, "mode": m} for n, m in zip(names[1:], modes[1:], strict=True))]


def _mention(study: "Study", trials: Sequence["FrozenTrial"], notes: Notes) -> None:
    notes.note("Optuna's storage does not keep the sampler: the search is TPE, its default")
    others = Counter(t.state.name.lower() for t in trials)
    for state in ("pruned", "fail", "running"):
        if others[state]:
            notes.warn("trials", f"{others[state]} of state {state!r} are not taken as history")
    if study.user_attrs or any(t.user_attrs for t in trials):
        notes.warn("user_attrs", "attributes of studies and trials have no equal here")


def _enqueued(
    trials: Sequence["FrozenTrial"],
    called: Mapping[str, str],
    kinds: Mapping[str, Kind],
    notes: Notes,
) -> list[dict[str, Any]]:
    """What was asked for and has not been tried."""
    waiting = [t.system_attrs.get("fixed_params", {}) for t in trials if t.state.name == "WAITING"]
    unknown = sorted({name for point in waiting for name in point} - called.keys())
    if unknown:
        names = ", ".join(map(repr, unknown))
        notes.warn("trials", f"enqueued ones name {names}, which no finished trial has: left out")
    named = [{called[n]: v for n, v in point.items() if n in called} for point in waiting]
    points = [accepted(point, kinds) for point in named if point]
    if None in points:
        notes.warn("trials", f"{points.count(None)} enqueued do not fit the parameters: left out")
    apart = {canonical(point): point for point in points if point is not None}
    if twins := len(points) - points.count(None) - len(apart):
        notes.warn("trials", f"{twins} enqueued are the same as others: left out")
    return list(apart.values())


def _learned(
    trials: Sequence["FrozenTrial"],
    metrics: Sequence[Mapping[str, Any]],
    called: Mapping[str, str],
    kinds: Mapping[str, Kind],
    notes: Notes,
) -> dict[str, Any]:
    if len(metrics) > 1:
        notes.warn("trials", f"{len(trials)} of several objectives are not taken as history")
        return {"objectives": [dict(metric) for metric in metrics[1:]]}
    ended = [t for t in trials if t.params and t.value is not None and math.isfinite(t.value)]
    if len(ended) < len(trials):
        notes.warn("trials", f"{len(trials) - len(ended)} without parameters or a finite value")
    points = [
        {"parameters": values, "value": t.value}
        for t in ended
        if (values := accepted({called[n]: v for n, v in t.params.items()}, kinds)) is not None
    ]
    if len(points) < len(ended):
        notes.warn(
            "trials",
            f"{len(ended) - len(points)} do not fit the parameters and are not taken as history",
        )
    kept = newest(points)
    if len(kept) < len(points):
        notes.warn(
            "trials", f"the newest {len(kept):,} of {len(points):,} fit into a spec as history"
        )
    return {"startup_trials": max(1, _STARTUP - len(kept)), "history": kept}


def newest(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last ones, as many as fit into a spec that a service reads."""
    size = nodes = 0
    kept: list[dict[str, Any]] = []
    for point in reversed(points[-MAX_HISTORY:]):
        size += len(json.dumps(point)) + 12
        nodes += 6 + 2 * len(point["parameters"])
        if size > _MOST_BYTES or nodes > _MOST_NODES:
            break
        kept.append(point)
    return kept[::-1]
