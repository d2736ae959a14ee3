"""Trials by the values of some fields."""

import statistics
from collections.abc import Mapping
from typing import Any

from service.analysis.labels import ordered
from service.analysis.naming import fields_named, metric_named, replicates_alone
from service.analysis.statistics import interval
from service.query.ast import Field
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
from sweep.states import TrialState

MAX_GROUPS = 10_000
MAX_FIELDS = 5
_ASSIGNMENT = "assignment"


def groups(
    store: Store,
    sweep: SweepRecord,
    *,
    by: str,
    metric: str | None = None,
    mode: Mode | None = None,
    which: Which = ALL_TRIALS,
) -> Groups:
    """States, mean with its interval, median and best trial of each group.

    By assignment, each is of its replicates: winners that trained once more are none.

    Raises:
        ParameterError: naming the parameter that does not fit.
    """
    named_by = fields_named(by, "by")
    if len(named_by) > MAX_FIELDS:
        raise ParameterError(f"names {len(named_by)} fields; at most {MAX_FIELDS} are taken", "by")
    names = tuple(one.name for one in named_by)
    fields = tuple(one.field for one in named_by)
    named = metric_named(store, sweep, metric, mode=mode)
    better = named.need_mode()
    if _ASSIGNMENT in names:
        which = replicates_alone(which)
    grouping = Grouping(by=fields, value=named.field, which=which, limit=MAX_GROUPS + 1)
    values = store.group_values(sweep.id, grouping)
    if len(values) > MAX_GROUPS:
        raise ParameterError(
            f"makes more than {MAX_GROUPS:,} groups: choose fields with fewer values, or narrow "
            "the filter",
            "by",
        )
    states: dict[str, dict[TrialState, int]] = {}
    for labels, state, count in store.group_states(sweep.id, grouping):
        states.setdefault(label_key(labels), {})[state] = count
    best = {
        label_key(labels): BestTrial(trial=trial_id(sweep.id, index), index=index, value=value)
        for labels, index, value in store.group_best(sweep.id, grouping, better)
    }
    own = names.index(_ASSIGNMENT) if _ASSIGNMENT in names else None
    assigned = {} if own is None else _parameters(store, sweep.id, which)
    places = [
        {label_key(x): i for i, x in enumerate(ordered(column, field, sweep.spec))}
        for field, column in zip(fields, zip(*(v[0] for v in values), strict=True), strict=False)
    ]

    def place(labels: tuple[Label, ...]) -> list[int]:
        return [order[label_key(x)] for order, x in zip(places, labels, strict=True)]

    items = []
    for labels, found in sorted(values, key=lambda pair: place(pair[0])):
        key = label_key(labels)
        counts = states.get(key, {})
        of_mean = interval(found) if found else None
        items.append(
            Group(
                labels=dict(zip(names, labels, strict=True)),
                parameters=assigned.get(labels[own]) if own is not None else None,
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
    return Groups(by=names, metric=named.text, mode=better, items=tuple(items))


def _parameters(store: Store, sweep_id: str, which: Which) -> dict[int, Mapping[str, Any]]:
    """The parameters of each assignment."""
    assignment = Field("column", (_ASSIGNMENT,))
    question = TrialQuestion(fields=(assignment, ALL_PARAMETERS), which=which)
    found = store.read_trials(sweep_id, question)
    return {row[0]: row[1] for row in found}
