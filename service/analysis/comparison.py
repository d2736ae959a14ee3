"""Sweeps side by side."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.analysis.labels import leaves, ordered
from service.analysis.naming import (
    NamedMetric,
    field_named,
    has_value,
    metric_of_all,
    replicates_alone,
)
from service.analysis.statistics import interval
from service.query.ast import Field
from service.store.analysis import (
    ALL_PARAMETERS,
    ALL_TRIALS,
    Grouping,
    TrialQuestion,
    Which,
    label_key,
)
from service.store.interface import Store
from sweep.analysis import (
    ComparedGroup,
    ComparedSweep,
    Comparison,
    Matched,
    MatchedPair,
    Mode,
    SpecDifference,
)
from sweep.errors import ParameterError
from sweep.records import SweepRecord
from sweep.rows import trial_id

MAX_SWEEPS = 8
MAX_LABELS = 1_000
_MAX_PAIRS = 1_000
_MISSING = object()

Means = Mapping[str, tuple[Mapping[str, Any], float]]
"""By their canonical text: parameters, and the mean of the trials that have them."""


def compare(
    store: Store,
    sweep_ids: Sequence[str],
    *,
    metric: str | None = None,
    mode: Mode | None = None,
    by: str | None = None,
    which: Which = ALL_TRIALS,
) -> Comparison:
    """Two to eight sweeps; assignments are matched with the first sweep's.

    Raises:
        NotFound: when there is no such sweep.
        ParameterError: naming the parameter that does not fit.
    """
    if not 2 <= len(sweep_ids) <= MAX_SWEEPS or len(set(sweep_ids)) < len(sweep_ids):
        raise ParameterError(
            f"takes 2 to {MAX_SWEEPS} different sweeps with commas between; "
            f"got {','.join(sweep_ids)!r:.300}",
            "sweeps",
        )
    found = [store.get_sweep(sweep_id) for sweep_id in sweep_ids]
    named = metric_of_all(store, found, metric, mode=mode)
    field = None if by is None else field_named(by, "by")
    shown = [
        _compared(store, sweep, metric=each, field=field, which=which)
        for sweep, each in zip(found, named, strict=True)
    ]
    means = [_means(store, sweep, each, which) for sweep, each in zip(found, named, strict=True)]
    return Comparison(
        metric=named[0].text,
        by=by,
        sweeps=tuple(shown),
        spec=differences([sweep.spec.model_dump(mode="json") for sweep in found]),
        matched=tuple(
            matched(means[0], other, base_id=found[0].id, other_id=sweep.id)
            for sweep, other in zip(found[1:], means[1:], strict=True)
        ),
    )


def differences(specs: Sequence[Mapping[str, Any]]) -> tuple[SpecDifference, ...]:
    """The fields, without nesting, that are not the same in all specs; names come first."""
    flat = [leaves(spec) for spec in specs]
    paths = sorted({path for spec in flat for path in spec})
    found = []
    for path in paths:
        values = [spec.get(path, _MISSING) for spec in flat]
        texts = {"missing" if v is _MISSING else label_key(v) for v in values}
        if len(texts) > 1:
            plain = tuple(None if v is _MISSING else v for v in values)
            found.append(SpecDifference(path=path, values=plain))
    return tuple(found)


def matched(base: Means, other: Means, *, base_id: str, other_id: str) -> Matched:
    """One sweep against another over the assignments that both have."""
    pairs = [
        MatchedPair(
            parameters=base[key][0],
            base=base[key][1],
            other=other[key][1],
            difference=other[key][1] - base[key][1],
        )
        for key in base
        if key in other
    ]
    pairs.sort(key=lambda pair: -abs(pair.difference))
    return Matched(
        sweep=other_id,
        base=base_id,
        assignments=len(pairs),
        difference=interval([pair.difference for pair in pairs]) if pairs else None,
        pairs=tuple(pairs[:_MAX_PAIRS]),
    )


def _compared(
    store: Store,
    sweep: SweepRecord,
    *,
    metric: NamedMetric,
    field: Field | None,
    which: Which,
) -> ComparedSweep:
    mode = metric.need_mode()
    whole = Grouping(by=(), value=metric.field, which=which)
    values = [v for _, found in store.group_values(sweep.id, whole) for v in found]
    best = next(iter(store.group_best(sweep.id, whole, mode)), None)
    return ComparedSweep(
        id=sweep.id,
        name=sweep.spec.name,
        state=sweep.state,
        mode=mode,
        trials=sweep.num_trials,
        count=len(values),
        best=None if best is None else best[2],
        best_trial=None if best is None else trial_id(sweep.id, best[1]),
        mean=statistics.fmean(values) if values else None,
        groups=() if field is None else _groups(store, sweep, metric, field, which),
    )


def _groups(
    store: Store, sweep: SweepRecord, metric: NamedMetric, field: Field, which: Which
) -> tuple[ComparedGroup, ...]:
    pick = max if metric.mode == "max" else min
    grouping = Grouping(by=(field,), value=metric.field, which=which, limit=MAX_LABELS + 1)
    found = {
        label_key(x[0]): (x[0], values) for x, values in store.group_values(sweep.id, grouping)
    }
    if len(found) > MAX_LABELS:
        raise ParameterError(f"has more than {MAX_LABELS:,} values in sweep {sweep.id}", "by")
    items = []
    for label in ordered((label for label, _ in found.values()), field, sweep.spec):
        values = found[label_key(label)][1]
        items.append(
            ComparedGroup(
                label=label,
                count=len(values),
                best=pick(values, default=None),
                mean=statistics.fmean(values) if values else None,
            )
        )
    return tuple(items)


def _means(store: Store, sweep: SweepRecord, metric: NamedMetric, which: Which) -> Means:
    replicates = has_value(metric, replicates_alone(which))
    question = TrialQuestion(fields=(ALL_PARAMETERS, metric.field), which=replicates)
    return _averaged((row[0], row[1]) for row in store.read_trials(sweep.id, question))


def _averaged(rows: Iterable[tuple[Mapping[str, Any], float]]) -> Means:
    found: dict[str, tuple[Mapping[str, Any], list[float]]] = {}
    for parameters, value in rows:
        key = label_key(parameters)
        found.setdefault(key, (parameters, []))[1].append(value)
    return {key: (first, statistics.fmean(values)) for key, (first, values) in found.items()}
