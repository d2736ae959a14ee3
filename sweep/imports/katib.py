"""A Katib Experiment (`kubeflow.org/v1beta1`) as a spec.

The meaning of each field is the one of Kubeflow's documentation. Every number of a
feasible space is a text there; `step` counts from `min`; a normal distribution is
centred in the range, whose ends lie three standard deviations away.
"""

import math
from typing import Any

from sweep.imports import quantised
from sweep.imports.common import (
    Imported,
    Names,
    Options,
    allowed_name,
    finish,
    metric_of,
    trainable_of,
    trials_of,
    until,
)
from sweep.imports.quantised import Place
from sweep.imports.reading import Notes, Section, bad
from sweep.rungs import MAX_RUNGS

_SEARCHES = {
    "random": "random",
    "grid": "grid",
    "sobol": "sobol",
    "tpe": "tpe",
    "multivariate-tpe": "tpe",
    "bayesianoptimization": "gp",
    "cmaes": "cmaes",
    "hyperband": "random",
}
_MODEL_BASED = frozenset({"tpe", "gp", "cmaes"})
_DISTRIBUTIONS = ("uniform", "logUniform", "normal", "logNormal")
_STARTUP = ("n_startup_trials", "n_initial_points")
_MOST_POINTS = 10_000
_GUESSED_STEPS = 100


def read(raw: object, options: Options) -> Imported:
    """Turn an Experiment, as plain data, into a spec.

    Raises:
        SpecError: with the path of what cannot be read.
    """
    notes = Notes()
    source = Section(raw, "", notes)
    source.take("apiVersion")
    source.one_of("kind", ("Experiment",))
    spec = source.section("spec")
    if spec is None:
        raise bad("spec", "is missing")
    if "nasConfig" in spec:
        raise bad("spec.nasConfig", "neural architecture search has no equal here")
    algorithm = spec.section("algorithm") or Section({}, "spec.algorithm", notes)
    name = algorithm.one_of("algorithmName", _SEARCHES)
    settings = _settings(algorithm)
    parameters = _parameters(spec, name, notes)
    document = {
        "name": _name(source) or "imported from Katib",
        "trainable": _trainable(spec, options, notes),
        "metric": _metric(spec, options, notes),
        "parameters": parameters,
        **_search(spec, name, settings, options, notes),
        "early_stopping": _stopping(spec, name, settings, parameters, options),
        "max_concurrent": spec.count("parallelTrialCount", 3, least=1),
    }
    _leave(spec)
    for section in (settings, algorithm, spec, source):
        section.rest()
    return finish(document, notes)


def _name(source: Section) -> str | None:
    metadata = source.section("metadata")
    if metadata is None:
        return None
    name = metadata.text("name") or metadata.text("generateName")
    for key in metadata.names():
        metadata.take(key)  # where it lives in Kubernetes is no part of the search
    return name


def _settings(owner: Section) -> Section:
    """The algorithm's settings as a mapping; each is a name and a text."""
    found: dict[str, Any] = {}
    for i, raw in enumerate(owner.items("algorithmSettings")):
        one = Section(raw, f"{owner.at('algorithmSettings')}[{i}]", owner.notes)
        found[one.text("name") or ""] = _number_or_text(one.take("value"))
    return Section(found, owner.at("algorithmSettings"), owner.notes)


def _trainable(spec: Section, options: Options, notes: Notes) -> str:
    template = spec.section("trialTemplate")
    if template is None or options.trainable is None:
        path = "spec.trialTemplate"
        if template is not None:
            notes.warn(path, "a container's command, image and resources are not imported")
        return trainable_of(None, path, options, notes)
    notes.warn(
        template.path,
        "a container's command, image and resources are not imported: "
        "set resources and max_failures yourself",
    )
    return options.trainable


def _metric(spec: Section, options: Options, notes: Notes) -> Any:
    section = spec.section("objective")
    if section is None:
        raise bad("spec.objective", "is missing")
    kind = section.one_of("type", ("minimize", "maximize"))
    name = section.text("objectiveMetricName")
    metric = metric_of(name, kind[:3], section.path, options, notes)
    if "goal" in section:
        metric["target"] = section.number("goal")
        notes.warn(
            section.at("goal"),
            "a trial that reaches it ends here, and others go on; "
            "there the experiment starts no further trials",
        )
    section.take("additionalMetricNames")  # all that a trial reports is kept
    for i, raw in enumerate(section.items("metricStrategies")):
        strategy = Section(raw, f"{section.at('metricStrategies')}[{i}]", notes)
        if strategy.text("name") == name and strategy.take("value") != kind[:3]:
            notes.warn(strategy.path, "trials are ranked by their best value here")
    section.rest()
    return metric


def _search(
    spec: Section, name: str, settings: Section, options: Options, notes: Notes
) -> dict[str, Any]:
    most = spec.count("maxTrialCount", least=1) if "maxTrialCount" in spec else None
    kind = _SEARCHES[name]
    search: dict[str, Any] = {"type": kind}
    if "random_state" in settings:
        search["seed"] = settings.count("random_state")
    if kind == "grid":
        return {"search": search, "budget": {"trials": most} if most else None}
    search["num_trials"] = trials_of(most, "spec.maxTrialCount", options, notes)
    if kind in _MODEL_BASED:
        search["parallel"] = spec.count("parallelTrialCount", 3, least=1)
        for key in _STARTUP:
            if key in settings:
                search["startup_trials"] = settings.count(key, least=1)
    if name == "tpe":
        notes.note("search: TPE models parameters jointly here, and one by one in Katib's tpe")
    if kind == "gp":
        _take_if(settings, "base_estimator", "GP")
    return {"search": search}


def _take_if(section: Section, key: str, value: str) -> None:
    """Count a key as read where it says what is so here anyway."""
    if section.peek(key) == value:
        section.take(key)


def _parameters(spec: Section, algorithm: str, notes: Notes) -> dict[str, Any]:
    names, found = Names(notes), {}
    for i, raw in enumerate(spec.items("parameters")):
        one = Section(raw, f"spec.parameters[{i}]", notes)
        given = one.text("name")
        if given is None:
            raise bad(one.at("name"), "is missing")
        found[names.clean(given, one.at("name"))] = _parameter(one, algorithm)
        one.rest()
    if not found:
        raise bad("spec.parameters", "has no parameter")
    return found


def _parameter(one: Section, algorithm: str) -> Any:
    kind = one.one_of("parameterType", ("double", "int", "discrete", "categorical"))
    space = one.section("feasibleSpace")
    if space is None:
        raise bad(one.at("feasibleSpace"), "is missing")
    if kind in ("discrete", "categorical"):
        values = [_element(v, kind, one) for v in space.items("list")]
        if not values:
            raise bad(space.at("list"), "is empty: give at least one value")
        node: Any = {"grid" if algorithm == "grid" else "choice": values}
    elif algorithm == "grid":
        node = {"grid": _points(space, kind)}
    else:
        node = _range(space, kind, ordered=_SEARCHES[algorithm] in _MODEL_BASED)
    space.rest()
    return node


def _element(raw: Any, kind: str, one: Section) -> Any:
    """A value of a list: a number where the list is discrete, else the text as it is."""
    text = raw if isinstance(raw, str) else str(raw)
    number = _number_or_text(text)
    if kind == "discrete":
        if isinstance(number, str):
            raise bad(one.path, f"{text!r} is no number, and a discrete list has numbers alone")
        return number
    if not isinstance(number, str):
        one.notes.note(f"{one.path}: categorical values such as {text!r} are texts, as in Katib")
    return text


def _ends(space: Section, kind: str) -> tuple[float, float, float | None]:
    """Min, max and step, from their texts: integers for an int, else real numbers."""
    low, high = _end(space, "min", kind), _end(space, "max", kind)
    step = None if space.take("step") in (None, "") else _end(space, "step", kind)
    if low > high:
        raise bad(space.path, f"min {low!r} is above max {high!r}")
    if step is not None and step <= 0:
        raise bad(space.at("step"), f"is {step!r}: it must be above 0")
    return low, high, step


def _end(space: Section, key: str, kind: str) -> float:
    raw = space.take(key)
    number = _number_or_text(raw)
    if isinstance(number, int | float) and not isinstance(number, bool):
        if kind == "double":
            return float(number)
        if number == int(number):
            return int(number)
    found = "is missing" if raw is None else f"is {raw!r:.100}"
    wanted = "a number" if kind == "double" else "an integer"
    raise bad(space.at(key), f"{found}: it must be {wanted}, written as a text")


def _number_or_text(raw: Any) -> Any:
    """A text that spells a number as that number."""
    if not isinstance(raw, str):
        return raw
    for number in (int, float):
        try:
            value = number(raw)
        except ValueError:
            continue
        return value if math.isfinite(value) else raw
    return raw


def _points(space: Section, kind: str) -> list[float]:
    low, high, step = _ends(space, kind)
    if step is None and kind == "double":
        raise bad(space.at("step"), "is missing: a grid needs it for a double")
    space.leave("distribution", "a grid takes every value once: it has no effect")
    step = step or 1
    count = math.floor((high - low) / step * (1 + 1e-12) + 1e-12) + 1
    if count > _MOST_POINTS:
        raise bad(space.path, f"the grid has {count:,} values of it: at most {_MOST_POINTS:,}")
    return [low + quantised.times(k, step) for k in range(count)]


def _range(space: Section, kind: str, *, ordered: bool) -> Any:
    low, high, step = _ends(space, kind)
    name = space.one_of("distribution", _DISTRIBUTIONS, "uniform")
    whole = kind == "int"
    if name in ("logUniform", "logNormal") and low <= 0:
        raise bad(space.at("min"), f"is {low!r}: a logarithmic range lies above 0")
    if name in ("normal", "logNormal"):
        place = Place(space.path, space.notes, ordered=ordered)
        return _normal(name, low, high, step or (1 if whole else None), place)
    prefix = "log" if name == "logUniform" else ""
    ends: dict[str, Any] = {"min": low, "max": high}
    if step is None or (whole and step == 1):
        return {f"{prefix}{'randint' if whole else 'uniform'}": ends}
    if prefix:
        return {f"q{prefix}{'randint' if whole else 'uniform'}": {**ends, "step": step}}
    return {"qrandint" if whole else "quniform": {**ends, "step": step}}


def _normal(name: str, low: float, high: float, step: float | None, place: Place) -> Any:
    if name == "logNormal":
        low, high = math.log(low), math.log(high)
    mean, std = (low + high) / 2, (high - low) / 6
    if std == 0:
        raise bad(place.path, "min and max are equal, so that nothing varies: give a list")
    if step is None:
        return {name.lower(): {"mean": mean, "std": std}}
    rounded = quantised.normal if name == "normal" else quantised.lognormal
    return rounded(mean, std, step, place)


def _stopping(
    spec: Section, name: str, settings: Section, parameters: dict[str, Any], options: Options
) -> Any:
    section = spec.section("earlyStopping")
    if name == "hyperband":
        return _hyperband(settings, parameters, options)
    if section is None:
        return until(options.max_t)
    section.one_of("algorithmName", ("medianstop",))
    rule = _settings(section)
    start = rule.count("start_step", 4, least=1)
    max_t = options.max_t or max(start, _GUESSED_STEPS)
    if options.max_t is None:
        spec.notes.warn(
            section.path,
            f"the length of a trial is not in the file, and max_t needs it: {max_t} is a guess; "
            "say it with --max-t",
        )
    spec.notes.note("early_stopping counts steps; Katib counts reported results: report at 1, 2, …")
    peers = rule.count("min_trials_required", 3, least=1)
    rule.rest()
    section.rest()
    return {
        "type": "median",
        "grace_period": start,
        "interval": -(-max_t // MAX_RUNGS),
        "max_t": max_t,
        "min_peers": peers,
    }


def _hyperband(settings: Section, parameters: dict[str, Any], options: Options) -> Any:
    length = settings.count("r_l", least=1)
    resource = settings.text("resource_name")
    if resource is None or allowed_name(resource) not in parameters:
        raise bad(settings.at("resource_name"), f"{resource!r} is no parameter")
    parameters[allowed_name(resource)] = length
    settings.notes.warn(
        settings.at("resource_name"),
        f"{resource!r} is set anew for every rung there, and trials start over; here it is "
        f"{length} for all, and a trial goes on past a rung or is stopped there",
    )
    return {
        "type": "hyperband",
        "max_t": options.max_t or length,
        "reduction_factor": settings.number("eta", 3),
    }


def _leave(spec: Section) -> None:
    spec.leave(
        "maxFailedTrialCount",
        "limits the failed trials of the experiment; max_failures here says how often one trial "
        "is tried again",
    )
    spec.leave("metricsCollectorSpec", "metrics are reported by run.report, not read from a file")
    if spec.take("resumePolicy") not in (None, "Never"):
        spec.notes.warn("spec.resumePolicy", "every sweep can be resumed here")
