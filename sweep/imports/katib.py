"""A Katib Experiment (`kubeflow.org/v1beta1`) as a spec.

The meaning of each field is the one of Kubeflow's documentation. Every number of a
feasible space is a text there; `step` counts from `min`; a normal distribution is
centred in the range, whose ends lie three standard deviations away.
"""

from typing import Any

from sweep.imports.common import (
    Imported,
    Options,
    finish,
    metric_of,
    trainable_of,
    trials_of,
)
from sweep.imports.katib_parameters import read_parameters
from sweep.imports.katib_stopping import settings_of, stopping
from sweep.imports.reading import Notes, Section, bad

_SEARCHES = {
    "random": "random",
    "grid": "grid",
    "sobol": "sobol",
    "tpe": "tpe",
    "multivariate-tpe": "tpe",
    "bayesianoptimization": "gp",
    "cmaes": "cmaes",
    "hyperband": "random",
    "pbt": "random",
}
_MODEL_BASED = frozenset({"tpe", "gp", "cmaes"})
_STARTUP = ("n_startup_trials", "n_initial_points")


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
    settings = settings_of(algorithm)
    parameters = read_parameters(spec, grid=name == "grid", ordered=_SEARCHES[name] in _MODEL_BASED)
    document = {
        "name": _name(source) or "imported from Katib",
        "trainable": _trainable(spec, options, notes),
        "metric": _metric(spec, options, notes),
        "parameters": parameters,
        **_search(spec, name, settings, options, notes),
        "early_stopping": stopping(spec, name, settings, parameters, options),
        "max_concurrent": spec.count("parallelTrialCount", 3, least=1),
        "max_failures": 0,  # a trial that fails is not tried again there
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
    if name == "pbt":
        members = settings.count("n_population", least=1)
        most = min(members, most or members)
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


def _leave(spec: Section) -> None:
    spec.leave(
        "maxFailedTrialCount",
        "limits the failed trials of the experiment; max_failures here says how often one trial "
        "is tried again",
    )
    spec.leave("metricsCollectorSpec", "metrics are reported by run.report, not read from a file")
    if spec.take("resumePolicy") not in (None, "Never"):
        spec.notes.warn("spec.resumePolicy", "every sweep can be resumed here")
