"""Which parameters a metric depends on: permutation importance over a random forest."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from service.analysis.labels import swept
from service.analysis.naming import NamedMetric, has_value, metric_named
from service.analysis.sampling import sampled
from service.store.analysis import ALL_PARAMETERS, ALL_TRIALS, TrialQuestion, Which, label_key
from service.store.interface import Store
from sweep.analysis import Importance, ParameterImportance
from sweep.records import SweepRecord
from sweep.space import lookup

if TYPE_CHECKING:
    import numpy

LEAST_TRIALS = 20
MOST_TRIALS = 5_000
"""Of more a random sample: the answer should take seconds."""

_TREES = 100
_REPEATS = 10
_HELD_OUT = 0.25
_WEAK = 0.1
_SEED = 0
METHOD = (
    f"how much R² falls on held-out trials when a parameter is shuffled ({_REPEATS} times); "
    f"random forest of {_TREES} trees, scikit-learn"
)

Sample = tuple[Mapping[str, Any], float]
"""A trial's parameters and its value."""


def importance(
    store: Store, sweep: SweepRecord, *, metric: str | None = None, which: Which = ALL_TRIALS
) -> Importance:
    """The parameters that vary, the most important first.

    Raises:
        ParameterError: naming the parameter that does not fit.
    """
    named = metric_named(store, sweep, metric)
    question = TrialQuestion(fields=(ALL_PARAMETERS, named.field), which=has_value(named, which))
    rows = [(row[0], row[1]) for row in store.read_trials(sweep.id, question)]
    names = swept(sweep.spec)
    samples = [
        ({name: lookup(parameters, name) for name in names}, value)
        for parameters, value in sampled(rows, MOST_TRIALS)
    ]
    return judge(samples, named)


def judge(samples: Sequence[Sample], metric: NamedMetric) -> Importance:
    """The importance of each parameter that takes several values among the samples."""
    columns = _varying(samples)
    problem = _too_little(samples, columns)
    if problem is not None:
        return Importance(
            metric=metric.text, method=METHOD, trials=len(samples), note=problem, items=()
        )
    score, items = _fit(columns, [value for _, value in samples])
    note = None
    if score < _WEAK:
        note = (
            f"the model explains little of what it was not shown (R² {score:.2f}): "
            "take the order with care"
        )
    return Importance(
        metric=metric.text, method=METHOD, trials=len(samples), score=score, note=note, items=items
    )


def _too_little(samples: Sequence[Sample], columns: Mapping[str, list[float]]) -> str | None:
    if len(samples) < LEAST_TRIALS:
        return (
            f"{len(samples)} trials have a value of the metric; {LEAST_TRIALS} or more are needed"
        )
    if not columns:
        return "no parameter takes more than one value"
    if len({value for _, value in samples}) == 1:
        return "the metric is the same for all trials"
    return None


def _varying(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """Parameters with several values, as numbers; what is no number by its place in order."""
    names = sorted({name for parameters, _ in samples for name in parameters})
    columns = {}
    for name in names:
        values = [parameters.get(name) for parameters, _ in samples]
        encoded = _encoded(values)
        if len(set(encoded)) > 1:
            columns[name] = encoded
    return columns


def _encoded(values: Sequence[Any]) -> list[float]:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) + sum(v is None for v in values) == len(values):
        absent = min(numbers, default=0) - 1.0
        return [absent if value is None else float(value) for value in values]
    places = {key: float(i) for i, key in enumerate(sorted({label_key(v) for v in values}))}
    return [places[label_key(value)] for value in values]


def _fit(
    columns: Mapping[str, list[float]], values: Sequence[float]
) -> tuple[float, tuple[ParameterImportance, ...]]:
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import train_test_split

    x: numpy.ndarray = np.asarray(list(columns.values()), dtype=float).T
    y = _scaled(np.asarray(values, dtype=float))
    seen_x, new_x, seen_y, new_y = train_test_split(x, y, test_size=_HELD_OUT, random_state=_SEED)
    forest = RandomForestRegressor(n_estimators=_TREES, random_state=_SEED, n_jobs=1)
    forest.fit(seen_x, seen_y)
    found = permutation_importance(
        forest, new_x, new_y, n_repeats=_REPEATS, random_state=_SEED, n_jobs=1
    )
    items = [
        ParameterImportance(parameter=name, importance=float(mean), std=float(std))
        for name, mean, std in zip(
            columns, found.importances_mean, found.importances_std, strict=True
        )
    ]
    items.sort(key=lambda item: (-item.importance, item.parameter))
    return float(forest.score(new_x, new_y)), tuple(items)


def _scaled(values: "numpy.ndarray") -> "numpy.ndarray":
    """To between -1 and 1, so that no square overflows; importances stay what they are."""
    largest = abs(values).max()
    return values / largest if largest > 0 else values
