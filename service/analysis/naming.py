"""Fields and metrics by the names that a request gives them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.query.ast import Compare, Field, Named, Source
from service.query.fields import TRIALS
from service.query.parse import parse_fields, parse_sort
from service.store.analysis import INDEX, TrialQuestion, Which
from service.store.interface import Store
from sweep.analysis import Mode
from sweep.errors import ParameterError, QueryError
from sweep.records import Origin, SweepRecord


@dataclass(frozen=True)
class NamedMetric:
    """A number of each trial that a request named."""

    text: str
    """As it is shown: `best accuracy`, `last loss`."""
    name: str
    """The metric's own name, as in reports."""
    field: Field
    mode: Mode | None
    """Whether larger or smaller is better; None where nothing tells."""

    def need_mode(self, parameter: str = "mode") -> Mode:
        """The mode.

        Raises:
            ParameterError: when nothing tells it.
        """
        if self.mode is None:
            raise ParameterError(
                f"is a larger or a smaller {self.text} better? Say max or min", parameter
            )
        return self.mode


def field_named(text: str, parameter: str) -> Field:
    """The field that a request's parameter names.

    Raises:
        ParameterError: when there is no such field.
    """
    try:
        keys = parse_sort(text)
    except QueryError as error:
        what = error.message.removeprefix(f"cannot sort by {text.strip()!r}: ")
        raise ParameterError(what, parameter) from None
    if len(keys) != 1 or keys[0].descending:
        raise ParameterError(f"{text!r} is not one field, such as parameters.task", parameter)
    found = keys[0].field
    if TRIALS.type_of(found) == "time":
        raise ParameterError(f"{text} is a time: name a number, a text or a parameter", parameter)
    return found


def fields_named(text: str, parameter: str) -> tuple[Named, ...]:
    """The fields, with commas between, that a request's parameter names, each once.

    Raises:
        ParameterError: when there is no such field.
    """
    try:
        found = parse_fields(text)
    except QueryError as error:
        raise ParameterError(error.message, parameter) from None
    return tuple(Named(one.name, field_named(one.name, parameter)) for one in found)


def metric_named(
    store: Store,
    sweep: SweepRecord,
    text: str | None,
    *,
    parameter: str = "metric",
    mode: Mode | None = None,
) -> NamedMetric:
    """The metric that a request's parameter names: the sweep's own when it names none.

    Raises:
        ParameterError: for what is no metric, or one that no trial has.
    """
    own = sweep.spec.metric
    if text in (None, "", "best", own.name):
        best = Field("column", ("best",))
        return NamedMetric(f"best {own.name}", own.name, best, mode or own.mode)
    assert text is not None
    first, dot, rest = text.partition(".")
    if dot and rest and TRIALS.mappings.get(first) in ("last", "min", "max"):
        found = field_named(text, parameter)
    else:
        _refuse_fields(text, first, parameter)
        found = Field("last", (text,))
    _check_reported(store, sweep, found, parameter)
    (name,) = found.path
    at = "" if found.step is None else f" at step {found.step:,}"
    shown = f"{'' if at else found.source + ' '}{name}{at}"
    return NamedMetric(shown, name, found, mode or _mode(sweep, found.source, name))


def metric_of_all(
    store: Store, sweeps: Sequence[SweepRecord], text: str | None, *, mode: Mode | None = None
) -> tuple[NamedMetric, ...]:
    """The same metric of several sweeps, better the same way: the first's own when none is named.

    The own metric of one sweep is read at its best in the others, too. The mode of a sweep
    whose spec tells it is that of all.

    Raises:
        ParameterError: for what is no metric of all, or when the sweeps do not agree on it.
    """
    asked = text or sweeps[0].spec.metric.name
    optimised = {(s.spec.metric.name, s.spec.metric.mode) for s in sweeps}
    if asked == "best":
        if len(optimised) > 1:
            raise ParameterError(_no_common_best(sweeps), "metric")
        asked = sweeps[0].spec.metric.name
    modes = {own for name, own in optimised if name == asked}
    if modes:
        better = mode or _agreed(modes, f"best {asked}")
        return tuple(_at_best(store, sweep, asked, better) for sweep in sweeps)
    named = [metric_named(store, sweep, asked, mode=mode) for sweep in sweeps]
    told = {each.mode for each in named if each.mode is not None}
    better = _agreed(told, named[0].text) if told else named[0].need_mode()
    return tuple(replace(each, mode=better) for each in named)


def has_value(metric: NamedMetric, which: Which) -> Which:
    """Those of the trials that have a value of the metric."""
    return which.that(Compare(metric.field, "!=", None))


def replicates_alone(which: Which) -> Which:
    """Those of the trials that are replicates: a winner trained once more ran for longer."""
    return which.that(Compare(Field("column", ("origin",)), "!=", Origin.RESTART.value))


def _refuse_fields(text: str, first: str, parameter: str) -> None:
    if text in TRIALS.columns or first == "parameters":
        raise ParameterError(
            f"{text!r} is a field of a trial and not a metric: name a metric, or best, last.NAME, "
            "min.NAME or max.NAME",
            parameter,
        )


def _mode(sweep: SweepRecord, source: Source, name: str) -> Mode | None:
    for metric in (*sweep.spec.objectives, sweep.spec.rung_metric):
        if name == metric.name:
            return metric.mode
    return source if source in ("min", "max") else None


def _at_best(store: Store, sweep: SweepRecord, name: str, mode: Mode) -> NamedMetric:
    own = sweep.spec.metric
    if (own.name, own.mode) == (name, mode):
        return metric_named(store, sweep, "best")
    found = Field(mode, (name,))
    _check_reported(store, sweep, found, "metric")
    return NamedMetric(f"{mode} {name}", name, found, mode)


def _agreed(modes: set[Mode], shown: str) -> Mode:
    if len(modes) > 1:
        raise ParameterError(
            f"some of the sweeps have it that a larger {shown} is better, others that a smaller "
            "one is: say max or min",
            "mode",
        )
    (mode,) = modes
    return mode


def _no_common_best(sweeps: Sequence[SweepRecord]) -> str:
    own = "; ".join(f"{s.id}: {s.spec.metric.name} ({s.spec.metric.mode})" for s in sweeps)
    return f"best is each sweep's own metric, and these are not the same ({own}): name a metric"


def _check_reported(store: Store, sweep: SweepRecord, field: Field, parameter: str) -> None:
    """Refuse a metric that no trial has, once some trial has reported."""
    some = TrialQuestion(fields=(INDEX,), which=Which(Compare(field, "!=", None)), limit=1)
    if list(store.read_trials(sweep.id, some)):
        return
    names = store.metric_names(sweep.id)
    if names and field.path[0] not in names:
        raise ParameterError(
            f"no trial of sweep {sweep.id} reports {field.path[0]!r}; there are {', '.join(names)}",
            parameter,
        )
