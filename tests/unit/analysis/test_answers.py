"""Fronts, importances, savings and comparisons."""

import random
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from service.analysis.comparison import compare, differences
from service.analysis.importance import LEAST_TRIALS, importance
from service.analysis.pareto import ParetoQuestion, front, pareto
from service.analysis.sampling import sampled
from service.analysis.savings import savings
from service.analysis.statistics import interval
from service.query.parse import parse_filter
from service.store.analysis import Which
from service.store.interface import Store, SweepQuery
from sweep.errors import NotFound, ParameterError
from sweep.rows import TrialRow
from sweep.states import TrialState
from sweep.wire import RungEntry
from tests.unit.analysis.conftest import Filled, trial
from tests.unit.store.builders import START, create

small = st.integers(-3, 3).map(float)
modes = st.sampled_from(["min", "max"])


@given(st.lists(st.tuples(small, small), max_size=20), modes, modes)
def test_a_front_is_what_nothing_beats(drawn: list[Any], x_mode: Any, y_mode: Any) -> None:
    points = [(i, x, y) for i, (x, y) in enumerate(drawn)]
    sx, sy = (1 if x_mode == "max" else -1), (1 if y_mode == "max" else -1)

    def beaten(p: Any) -> bool:
        return any(
            sx * q[1] >= sx * p[1] and sy * q[2] >= sy * p[2] and q[1:] != p[1:] for q in points
        )

    found = front(points, x_mode=x_mode, y_mode=y_mode)
    assert sorted(found) == [p for p in points if not beaten(p)]


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=30))
def test_an_interval_is_students(values: list[float]) -> None:
    found = interval(values)
    assert found.low is not None
    assert found.high is not None
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert found.high - found.low == pytest.approx(2 * half, rel=1e-6, abs=1e-5)


def test_an_interval_takes_the_largest_numbers() -> None:
    assert interval([1.7e308, 1.7e308]).mean == pytest.approx(1.7e308)
    assert interval([1.7e308, -1.7e308]).low is None


def test_the_front_of_stored_trials(filled: Filled) -> None:
    rows = [(0.9, 5.0), (0.8, 1.0), (0.7, 3.0), (0.95, 9.0)]
    filled.hold(
        [
            trial(i, best=b, best_step=1, reports=1, last={"loss": x})
            for i, (b, x) in enumerate(rows)
        ]
    )
    sweep = filled.store.get_sweep("s1")
    found, points = pareto(filled.store, sweep, ParetoQuestion("last.loss", x_mode="min"))
    assert [(item.index, item.x, item.y) for item in found.items] == [
        (1, 1.0, 0.8),
        (0, 5.0, 0.9),
        (3, 9.0, 0.95),
    ]
    assert len(points) == found.trials == 4
    with pytest.raises(ParameterError, match="x_mode: is a larger or a smaller last loss better"):
        pareto(filled.store, sweep, ParetoQuestion("last.loss"))


def test_the_front_of_steps_and_the_metric(filled: Filled) -> None:
    rows = [(0.9, 50), (0.8, 10), (0.7, 30), (None, 5)]
    filled.hold(
        [trial(i, best=b, best_step=b and 1, reports=1, step=s) for i, (b, s) in enumerate(rows)]
    )
    sweep = filled.store.get_sweep("s1")
    found, points = pareto(filled.store, sweep, ParetoQuestion("step"))
    assert (found.x, found.x_mode, found.y_mode) == ("steps", "min", "max")
    assert [(item.index, item.x, item.y) for item in found.items] == [(1, 10, 0.8), (0, 50, 0.9)]
    assert len(points) == 3
    most, _ = pareto(filled.store, sweep, ParetoQuestion("step", x_mode="max"))
    assert [item.index for item in most.items] == [0]


def test_the_parameter_that_matters_is_found(filled: Filled) -> None:
    rng = random.Random(0)
    rows = []
    for i in range(120):
        task, network = rng.choice("abc"), rng.choice(["dense", {"type": "gated"}])
        score = {"a": 0.1, "b": 0.5, "c": 0.9}[task] + rng.gauss(0, 0.01)
        parameters = {"task": task, "network": network}
        rows.append(trial(i, parameters=parameters, best=score, best_step=1, reports=1))
    filled.hold(rows)
    sweep = filled.store.get_sweep("s1")
    found = importance(filled.store, sweep)
    assert found.items[0].parameter == "task"
    assert found.score is not None
    assert found.score > 0.8
    assert found == importance(filled.store, sweep)  # seeded
    few = importance(filled.store, sweep, which=Which(parse_filter(f"index < {LEAST_TRIALS - 1}")))
    assert (few.items, few.trials) == ((), LEAST_TRIALS - 1)
    assert few.note == "19 trials have a value of the metric; 20 or more are needed"


def test_a_sample_of_a_grid_keeps_the_parameter_that_changes_with_every_trial(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.analysis.importance.MOST_TRIALS", 100)
    grid = [{"network": network, "task": task} for network in range(100) for task in "ab"]
    filled.hold(
        [
            trial(i, parameters=p, best=float(p["task"] == "a"), best_step=1, reports=1)
            for i, p in enumerate(grid)
        ]
    )
    found = importance(filled.store, filled.store.get_sweep("s1"))
    assert (found.trials, found.items[0].parameter) == (100, "task")


def test_a_sample_keeps_the_order_and_has_each_trial_once() -> None:
    rows = [({"lr": i}, float(i)) for i in range(50)]
    values = [value for _, value in sampled(rows, 20)]
    assert len(values) == 20
    assert values == sorted(set(values))
    assert values == [value for _, value in sampled(rows, 20)]
    assert sampled(rows, 50) == rows


def test_importance_says_why_it_has_none(filled: Filled) -> None:
    sweep = filled.store.get_sweep("s1")
    filled.hold([trial(i, best=i / 30, best_step=1, reports=1) for i in range(30)])
    assert importance(filled.store, sweep).note == "no parameter takes more than one value"
    filled.hold(
        [
            trial(i, parameters={"task": "ab"[i % 2]}, best=0.5, best_step=1, reports=1)
            for i in range(30)
        ]
    )
    assert importance(filled.store, sweep).note == "the metric is the same for all trials"


def test_savings_count_the_steps_that_stopped_trials_did_not_train(filled: Filled) -> None:
    filled.hold(
        [
            trial(0, step=27),
            trial(1, step=3, state=TrialState.STOPPED),
            trial(2, step=5, state=TrialState.DIVERGED),
            trial(3, state=TrialState.PENDING),
        ]
    )
    filled.decide(
        [
            RungEntry(
                step=step, trial=index, group="{}", value=0.5, peers=2, decision=what, time=START
            )
            for step, index, what in (
                (1, 0, "continue"),
                (1, 1, "continue"),
                (3, 0, "continue"),
                (3, 1, "stop"),
            )
        ]
    )
    found = savings(filled.store, filled.store.get_sweep("s1"))
    assert (found.trained, found.without, found.saved, found.stopped) == (35, 59, 24, 1)
    assert [(r.step, r.reached, r.stopped, r.continued) for r in found.rungs] == [
        (1, 2, 0, 2),
        (3, 2, 1, 1),
        (9, 0, 0, 0),
    ]


def test_two_sweeps_are_compared_by_assignment(filled: Filled) -> None:
    fields: dict[str, Any] = {
        "name": "second",
        "parameters": {"task": {"grid": ["a", "b"]}, "network": "dense"},
    }
    if "s2" not in {sweep.id for sweep in filled.store.list_sweeps(SweepQuery()).items}:
        create(filled.store, "s2", **fields)
    first = [("a", 0.1), ("a", 0.3), ("b", 0.5), ("c", 0.9)]
    second = [("b", 0.9), ("a", 0.4), ("d", 0.1)]
    for sweep_id, rows in (("s1", first), ("s2", second)):
        filled.hold(
            [
                trial(
                    i,
                    parameters={"task": task, "network": "dense"},
                    best=v,
                    best_step=1,
                    reports=1,
                )
                for i, (task, v) in enumerate(rows)
            ],
            sweep_id,
        )
    found = compare(filled.store, ["s1", "s2"], by="parameters.task")
    assert [(s.best, s.best_trial, s.count) for s in found.sweeps] == [
        (0.9, "s1-3", 4),
        (0.9, "s2-0", 3),
    ]
    assert found.sweeps[1].mean == pytest.approx(1.4 / 3)
    assert [(g.label, g.best) for g in found.sweeps[0].groups] == [
        ("b", 0.5),
        ("a", 0.3),
        ("c", 0.9),
    ]
    (other,) = found.matched
    assert (other.assignments, other.base, other.sweep) == (2, "s1", "s2")
    assert [p.difference for p in other.pairs] == [pytest.approx(0.4), pytest.approx(0.2)]
    assert other.difference == interval([p.difference for p in other.pairs])
    assert {"name", "parameters.task.grid"} <= {d.path for d in found.spec}


def reached(index: int, accuracy: float, loss: float, *, best: float) -> TrialRow:
    """A trial that reported both metrics, with another least and greatest than last value."""
    return trial(
        index,
        best=best,
        best_step=1,
        reports=2,
        last={"accuracy": accuracy - 0.1, "loss": loss + 1},
        minimum={"accuracy": accuracy - 0.1, "loss": loss},
        maximum={"accuracy": accuracy, "loss": loss + 1},
    )


@pytest.fixture
def differing(filled: Filled) -> Store:
    """The sweep most, which maximises accuracy, and least, which minimises loss."""
    known = {sweep.id for sweep in filled.store.list_sweeps(SweepQuery()).items}
    for sweep_id, name, mode in (("most", "accuracy", "max"), ("least", "loss", "min")):
        if sweep_id not in known:
            metric = {"name": name, "mode": mode}
            create(filled.store, sweep_id, name=sweep_id, metric=metric)
    filled.hold([reached(0, 0.9, 3.0, best=0.9)], "most")
    filled.hold([reached(0, 0.7, 2.0, best=2.0)], "least")
    return filled.store


@pytest.mark.parametrize(
    ("ids", "metric", "shown", "mode", "best"),
    [
        (["most", "least"], None, "best accuracy", "max", [0.9, 0.7]),
        (["least", "most"], None, "best loss", "min", [2.0, 3.0]),
        (["most", "least"], "loss", "min loss", "min", [3.0, 2.0]),
        (["most", "least"], "last.loss", "last loss", "min", [4.0, 3.0]),
        (["least", "most"], "last.accuracy", "last accuracy", "max", [0.6, 0.8]),
    ],
)
def test_sweeps_of_other_metrics_are_compared_by_one(
    differing: Store, ids: list[str], metric: str | None, shown: str, mode: str, best: list[float]
) -> None:
    found = compare(differing, ids, metric=metric)
    assert found.metric == shown
    assert [sweep.mode for sweep in found.sweeps] == [mode, mode]
    assert [sweep.best for sweep in found.sweeps] == pytest.approx(best)
    (pair,) = found.matched[0].pairs
    assert [pair.base, pair.other] == pytest.approx(best)


def test_the_best_of_different_metrics_is_no_comparison(differing: Store) -> None:
    says = r"metric: best is each .* \(most: accuracy \(max\); least: loss \(min\)\): name a metric"
    with pytest.raises(ParameterError, match=says):
        compare(differing, ["most", "least"], metric="best")


def test_a_mode_is_asked_for_where_no_spec_tells_it(filled: Filled, differing: Store) -> None:
    if "other" not in {sweep.id for sweep in differing.list_sweeps(SweepQuery()).items}:
        create(differing, "other", metric={"name": "accuracy", "mode": "max"})
    filled.hold([reached(0, 0.8, 1.0, best=0.8), reached(1, 0.7, 5.0, best=0.7)], "other")
    with pytest.raises(ParameterError, match="mode: is a larger or a smaller last loss better"):
        compare(differing, ["most", "other"], metric="loss")
    found = compare(differing, ["most", "other"], metric="loss", mode="min")
    assert [sweep.best for sweep in found.sweeps] == [4.0, 2.0]
    with pytest.raises(ParameterError, match="metric: no trial of sweep most reports 'nope'"):
        compare(differing, ["most", "other"], metric="nope", mode="min")


def test_a_mode_is_asked_for_where_the_specs_disagree(filled: Filled, differing: Store) -> None:
    if "worst" not in {sweep.id for sweep in differing.list_sweeps(SweepQuery()).items}:
        create(differing, "worst", metric={"name": "accuracy", "mode": "min"})
    filled.hold([reached(0, 0.5, 1.0, best=0.4)], "worst")
    for metric in (None, "last.accuracy"):
        with pytest.raises(ParameterError, match=r"mode: some of the sweeps .* say max or min"):
            compare(differing, ["most", "worst"], metric=metric)
    found = compare(differing, ["most", "worst"], mode="max")
    assert [sweep.best for sweep in found.sweeps] == [0.9, 0.5]


@pytest.mark.parametrize("ids", [["s1"], ["s1", "s1"], [f"s{i}" for i in range(9)]])
def test_a_comparison_takes_two_to_eight_sweeps(filled: Filled, ids: list[str]) -> None:
    with pytest.raises(ParameterError, match="2 to 8 different sweeps"):
        compare(filled.store, ids)


def test_a_comparison_with_a_sweep_that_is_not_there(filled: Filled) -> None:
    with pytest.raises(NotFound):
        compare(filled.store, ["s1", "nope"])


def test_differences_tell_null_from_missing() -> None:
    found = differences([{"a": {"b": None}, "c": 1}, {"c": 1.0}])
    assert [(d.path, d.values) for d in found] == [("a.b", (None, None))]
