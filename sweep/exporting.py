"""A sweep's trials as CSV, a row at a time."""

import csv
import io
import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sweep.errors import SpecError
from sweep.metric import Metric
from sweep.parameters import Choice, Grid, Kind, unwrap
from sweep.plain import flatten
from sweep.records import TrialRecord
from sweep.spec import SweepSpec
from sweep.trainables import Trainable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
BEFORE = ("id", "index", "state", "reason")
AFTER = (
    *("best", "best_step", "step", "reports", "group", "assignment", "replicate"),
    *("seed", "max_t", "origin", "attempts", "node", "pack", "started_at", "ended_at"),
)
"""The columns of a trial's row before and after its parameters and metrics."""


def metric_names(
    spec: SweepSpec, trainable: Trainable | None, trials: Callable[[], Iterable[TrialRecord]]
) -> list[str]:
    """The metrics that a sweep's trials may have.

    Args:
        spec: the sweep's.
        trainable: what it trains; None when it is not registered.
        trials: looked through when the trainable does not say what it reports.
    """
    names = {spec.metric.name, spec.rung_metric.name}
    if trainable is not None and trainable.metrics:
        return sorted(names.union(trainable.metrics))
    for trial in trials():
        names.update(trial.metrics)
    return sorted(names)


def trials_csv(
    spec: SweepSpec, metrics: Sequence[str], trials: Iterable[TrialRecord]
) -> Iterator[str]:
    """One row a trial: its parameters (nested by dot), last metrics and summary."""
    parameters = list(dict.fromkeys(_leaves(spec.parameters, "")))
    names = [f"parameters.{name}" for name in parameters] + [f"metrics.{name}" for name in metrics]
    yield csv_line([*BEFORE, *names, *AFTER])
    for trial in trials:
        yield csv_line([csv_cell(value) for value in _trial_values(trial, parameters, metrics)])


def published_csv(
    trainable: Trainable, metric: Metric, trials: Iterable[TrialRecord]
) -> Iterator[str]:
    """One row an experiment, from its best trial, as the trainable's results were published.

    Raises:
        SpecError: when the trainable declares no such layout.
    """
    layout = trainable.published
    if layout is None:
        raise SpecError(
            f"trainable {trainable.name!r} declares no published layout: use layout=trials"
        )
    best: dict[Hashable, TrialRecord] = {}
    for trial in trials:
        key = layout.experiment(trial.parameters)
        if trial.best is None:
            continue
        held = best.get(key)
        if held is None or held.best is None or metric.is_better(trial.best.value, held.best.value):
            best[key] = trial
    yield csv_line(layout.columns)
    for trial in best.values():
        row = layout.row(trial)
        yield csv_line([row[column] for column in layout.columns])


def flat_row(trial: TrialRecord) -> dict[str, Any]:
    """One trial under the names of the columns: those that it has."""
    parameters = [name for name, _ in flatten(trial.parameters)]
    metrics = sorted(trial.metrics)
    names = [f"parameters.{name}" for name in parameters] + [f"metrics.{name}" for name in metrics]
    values = _trial_values(trial, parameters, metrics)
    return dict(zip([*BEFORE, *names, *AFTER], values, strict=True))


def _trial_values(
    trial: TrialRecord, parameters: Sequence[str], metrics: Sequence[str]
) -> Iterator[Any]:
    flat = dict(flatten(trial.parameters))
    last = {**trial.metrics, **trial.nonfinite}
    yield from (getattr(trial, name) for name in BEFORE)
    yield from (flat.get(name) for name in parameters)
    yield from (last.get(name) for name in metrics)
    best = trial.best
    yield from (best.value if best else None, best.step if best else None)
    yield from (getattr(trial, name) for name in AFTER[2:])


def _leaves(node: Any, path: str) -> Iterator[str]:
    node = unwrap(node)
    if isinstance(node, Grid | Choice):
        for value in node.values:
            yield from _leaves(value, path)
    elif isinstance(node, Mapping) and not isinstance(node, Kind):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path


def csv_cell(value: Any) -> Any:
    """A cell's value; text that a spreadsheet would run as a formula is quoted."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def csv_line(values: Iterable[Any]) -> str:
    """A line of cells."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()
