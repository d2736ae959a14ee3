"""What stops or steers the trials of a Katib Experiment: early stopping, HyperBand, PBT."""

from collections.abc import Mapping
from typing import Any

from sweep.imports.common import Options, allowed_name, until
from sweep.imports.katib_parameters import number_or_text
from sweep.imports.reading import Section, bad
from sweep.rungs import MAX_RUNGS

_GUESSED_STEPS = 100
_GUESSED_GENERATIONS = 10


def settings_of(owner: Section) -> Section:
    """The algorithm's settings as a mapping; each is a name and a text."""
    found: dict[str, Any] = {}
    for i, raw in enumerate(owner.items("algorithmSettings")):
        one = Section(raw, f"{owner.at('algorithmSettings')}[{i}]", owner.notes)
        found[one.text("name") or ""] = number_or_text(one.take("value"))
    return Section(found, owner.at("algorithmSettings"), owner.notes)


def stopping(
    spec: Section, name: str, settings: Section, parameters: dict[str, Any], options: Options
) -> Any:
    """The rule of the spec.

    Args:
        spec: the Experiment's.
        name: the algorithm's.
        settings: the algorithm's.
        parameters: those of the spec that comes out; HyperBand's resource becomes a constant.
        options: what the file does not say.
    """
    if name in ("hyperband", "pbt"):
        spec.leave("earlyStopping", f"a sweep has one rule here, which is {name}'s")
        if name == "pbt":
            return _population(spec, settings, parameters, options)
        return _hyperband(settings, parameters, options)
    section = spec.section("earlyStopping")
    return until(options.max_t) if section is None else _median(spec, section, options)


def _max_t(section: Section, least: int, options: Options) -> int:
    if options.max_t is not None:
        return options.max_t
    guess = max(least, _GUESSED_STEPS)
    section.notes.warn(
        section.path,
        f"the length of a trial is not in the file, and max_t needs it: {guess} is a guess; "
        "say it with --max-t",
    )
    return guess


def _median(spec: Section, section: Section, options: Options) -> dict[str, Any]:
    section.one_of("algorithmName", ("medianstop",))
    rule = settings_of(section)
    start = rule.count("start_step", 4, least=1)
    max_t = _max_t(section, start, options)
    spec.notes.warn(
        section.path,
        "a trial is compared with every other trial that was at the rung here, and with those "
        "that have ended successfully alone in Katib: it may be stopped earlier",
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


def _population(
    spec: Section, settings: Section, parameters: Mapping[str, Any], options: Options
) -> Any:
    """Population based training: a generation of trials there is an interval of each trial here."""
    quantile = settings.number("truncation_threshold")
    if not 0 < quantile <= 0.5:
        raise bad(
            settings.at("truncation_threshold"),
            f"is {quantile!r}: the worst and the best are above 0 and at most half of all here",
        )
    resampled = _resampled(settings)
    settings.leave("suggestion_trial_dir", "where states are kept is a setting of the service here")
    generations = _generations(spec, settings)
    if generations < 2:
        spec.notes.warn(
            spec.at("maxTrialCount"),
            "is not above n_population, so that there is no second generation: it is a random "
            "search; raise it for population based training",
        )
        return until(options.max_t)
    max_t = _max_t(settings, generations, options)
    spec.notes.warn(
        settings.path,
        "every generation is of new trials there, each but the worst perturbed; here "
        f"n_population trials train on through {generations} intervals, and the worst alone go on "
        "from a state of the best, with its parameters perturbed",
    )
    spec.notes.note("a trial takes over what another has saved: save states with run.save")
    return {
        "type": "pbt",
        "interval": -(-max_t // generations),
        "max_t": max_t,
        "quantile": quantile,
        "resample_probability": resampled,
        "perturb": list(parameters),
    }


def _generations(spec: Section, settings: Section) -> int:
    members = settings.count("n_population", least=1)
    if "maxTrialCount" in spec:
        return -(-spec.count("maxTrialCount", least=1) // members)
    spec.notes.warn(
        spec.at("maxTrialCount"),
        f"is missing, and generations go on without end there: {_GUESSED_GENERATIONS} are a guess",
    )
    return _GUESSED_GENERATIONS


def _resampled(settings: Section) -> float:
    """How often an explored parameter is drawn anew: never, where the file does not say."""
    if "resample_probability" not in settings:
        return 0
    settings.notes.warn(
        settings.at("resample_probability"),
        "a parameter that is not drawn anew is perturbed here, and stays as it is there",
    )
    return settings.number("resample_probability")
