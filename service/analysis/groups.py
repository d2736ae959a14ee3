"""Trials by the values of some fields."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.analysis.labels import ordered
from service.analysis.naming import fields_named, metric_named, replicates_alone
from service.analysis.statistics import interval
from service.query.ast import Field, In, Named
from service.store.analysis import (
    ALL_PARAMETERS,
    ALL_TRIALS,
    Grouping,
    Label,
    TrialQuestion,
    Which,
    label_key,
)
from service.store.interface import Store
from sweep.analysis import BestTrial, Group, Groups, Mode
from sweep.errors import ParameterError
from sweep.records import SweepRecord
from sweep.rows import trial_id
from sweep.space import MAX_TRIALS
from sweep.states import TrialState

MAX_GROUPS = 10_000
"""Groups in one answer at most."""

MAX_FIELDS = 5
_ASSIGNMENT = "assignment"
_OWN = Field("column", (_ASSIGNMENT,))
_FEW = 1_000
"""So many assignments may be named in SQL."""

_SORTS: Mapping[str, Callable[[Sequence[float], Mode], float | None]] = {
    "mean": lambda numbers, _: statistics.fmean(numbers) if numbers else None,
    "median": lambda numbers, _: statistics.median(numbers) if numbers else None,
    "best": lambda numbers, mode: (max if mode == "max" else min)(numbers, default=None),
    "count": lambda numbers, _: len(numbers),
}

Values = tuple[tuple[Label, ...], list[float]]
"""A group's labels and its values of the metric."""


@dataclass(frozen=True)
class GroupsQuestion:
    """Which groups, in what order, and which of them to answer."""

    by: str
    metric: str | None = None
    mode: Mode | None = None
    which: Which = ALL_TRIALS
    sort: str | None = None
    """By the fields' own order when None."""
    limit: int | None = None
    """All of them when None, of which there may be MAX_GROUPS."""
    offset: int = 0


def groups(store: Store, sweep: SweepRecord, question: GroupsQuestion) -> Groups:
    """States, mean with its interval, median and best trial of each group.

    By assignment, each is of its replicates: winners that trained once more are none.

    Raises:
        ParameterError: naming the parameter that does not fit.
    """
    named = _fields(question.by)
    names = tuple(one.name for one in named)
    metric = metric_named(store, sweep, question.metric, mode=question.mode)
    better = metric.need_mode()
    all_of_them = question.limit is None
    grouping = Grouping(
        by=tuple(one.field for one in named),
        value=metric.field,
        which=replicates_alone(question.which) if _ASSIGNMENT in names else question.which,
        limit=MAX_GROUPS + 1 if all_of_them else MAX_TRIALS,
    )
    values = store.group_values(sweep.id, grouping)
    if all_of_them and len(values) > MAX_GROUPS:
        raise ParameterError(
            f"makes more than {MAX_GROUPS:,} groups: ask for the first with limit, choose fields "
            "with fewer values, or narrow the filter",
            "by",
        )
    ranked = _sorted(values, named, sweep, question.sort, better)
    end = None if question.limit is None else question.offset + question.limit
    shown = ranked[question.offset : end]
    if len(shown) < len(ranked):
        grouping = _narrowed(grouping, names, shown)
    items = _described(store, sweep.id, names, shown, grouping=grouping, better=better)
    return Groups(by=names, metric=metric.text, mode=better, total=len(values), items=items)


def _narrowed(grouping: Grouping, names: Sequence[str], shown: Sequence[Values]) -> Grouping:
    """With only the trials of the groups that are shown, or all where these are not told apart."""
    if _ASSIGNMENT not in names or not 0 < len(shown) <= _FEW:
        return grouping
    own = names.index(_ASSIGNMENT)
    wanted = In(_OWN, tuple({labels[own] for labels, _ in shown}))
    return replace(grouping, which=grouping.which.that(wanted))


def _described(
    store: Store,
    sweep_id: str,
    names: Sequence[str],
    shown: Sequence[Values],
    *,
    grouping: Grouping,
    better: Mode,
) -> tuple[Group, ...]:
    states: dict[str, dict[TrialState, int]] = {}
    for labels, state, count in store.group_states(sweep_id, grouping):
        states.setdefault(label_key(labels), {})[state] = count
    best = {
        label_key(labels): BestTrial(trial=trial_id(sweep_id, index), index=index, value=value)
        for labels, index, value in store.group_best(sweep_id, grouping, better)
    }
    assigned = _parameters(store, sweep_id, grouping.which) if _ASSIGNMENT in names else {}
    items = []
    for labels, found in shown:
        key, named = label_key(labels), dict(zip(names, labels, strict=True))
        counts = states.get(key, {})
        of_mean = interval(found) if found else None
        items.append(
            Group(
                labels=named,
                parameters=assigned.get(named[_ASSIGNMENT]) if assigned else None,
                trials=sum(counts.values()),
                states=counts,
                count=len(found),
                mean=None if of_mean is None else of_mean.mean,
                low=None if of_mean is None else of_mean.low,
                high=None if of_mean is None else of_mean.high,
                median=statistics.median(found) if found else None,
                best=best.get(key),
            )
        )
    return tuple(items)


def _fields(by: str) -> tuple[Named, ...]:
    named = fields_named(by, "by")
    if len(named) > MAX_FIELDS:
        raise ParameterError(f"names {len(named)} fields; at most {MAX_FIELDS} are taken", "by")
    return named


def _sorted(
    values: Sequence[Values],
    named: Sequence[Named],
    sweep: SweepRecord,
    sort: str | None,
    better: Mode,
) -> list[Values]:
    """Ties, and all when no order is asked for, as the labels stand; no value comes last.

    Raises:
        ParameterError: for what groups are not sorted by.
    """
    columns = list(zip(*(labels for labels, _ in values), strict=True)) or [()] * len(named)
    places = [
        {label_key(label): i for i, label in enumerate(ordered(column, one.field, sweep.spec))}
        for one, column in zip(named, columns, strict=True)
    ]

    def place(one: Values) -> list[int]:
        return [order[label_key(x)] for order, x in zip(places, one[0], strict=True)]

    found = sorted(values, key=place)
    if not sort:
        return found
    key, down = sort.removeprefix("-"), sort.startswith("-")
    names = [one.name for one in named]
    if key in names:
        i = names.index(key)
        return sorted(found, key=lambda one: places[i][label_key(one[0][i])], reverse=down)
    if key not in _SORTS:
        raise ParameterError(
            f"groups are not sorted by {key!r:.100}; there are {', '.join((*_SORTS, *names))}",
            "sort",
        )
    keyed = [(_SORTS[key](numbers, better), (labels, numbers)) for labels, numbers in found]
    there = [(number, one) for number, one in keyed if number is not None]
    there.sort(key=lambda pair: pair[0], reverse=down)
    return [one for _, one in there] + [one for number, one in keyed if number is None]


def _parameters(store: Store, sweep_id: str, which: Which) -> dict[int, Mapping[str, Any]]:
    """The parameters of each assignment."""
    found = store.read_trials(sweep_id, TrialQuestion(fields=(_OWN, ALL_PARAMETERS), which=which))
    return {row[0]: row[1] for row in found}
