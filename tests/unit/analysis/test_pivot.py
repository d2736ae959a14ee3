"""Pivots and groups answer what plain Python computes, on both databases."""

import math
import statistics
import zlib
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from service.analysis.groups import GroupsQuestion, groups
from service.analysis.pivot import PivotQuestion, pivot
from service.query.parse import parse_filter
from service.store.analysis import Which, label_key
from sweep.analysis import Cell, Pivot
from sweep.errors import ParameterError
from sweep.rows import TrialRow
from sweep.states import TrialState
from tests.unit.analysis.conftest import Filled, trial
from tests.unit.store.builders import START

MISSING = "missing"
labels = st.sampled_from(
    ["a", "1", 1, 1.0, 2.5, True, None, MISSING, {"type": "x", "n": 1}, {"n": 1.0, "type": "x"}]
)
numbers = st.none() | st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-3, 3).map(float)


def parameters(task: Any, network: Any) -> dict[str, Any]:
    named = {"task": task, "network": network}
    return {name: value for name, value in named.items() if value is not MISSING}


def make(index: int, drawn: tuple[Any, ...]) -> TrialRow:
    task, network, part, best, loss, state, reported = drawn
    known_text = f"{task!r} {network!r} {part}"  # replicates have the very same parameters
    has = reported or best is not None
    return trial(
        index,
        parameters=parameters(task, network),
        assignment=zlib.crc32(known_text.encode()) >> 1,
        best=best,
        best_step=None if best is None else 1,
        reports=3 if has else 0,
        last={"loss": loss} if has else {},
        state=state,
    )


trials_drawn = st.lists(
    st.tuples(
        labels,
        labels,
        st.integers(0, 3),
        numbers,
        numbers,
        st.sampled_from([TrialState.COMPLETED, TrialState.DIVERGED]),
        st.booleans(),
    ),
    max_size=14,
)

aggregates = st.sampled_from(["max", "min", "mean", "median", "count", "share"])


def value_of(row: TrialRow, metric: str) -> float | None:
    return row.best if metric == "best" else row.last.get("loss")


def expected(rows: list[TrialRow], question: PivotQuestion, metric: str) -> dict[Any, Any]:
    """Each cell's value and count, straight from the definition."""
    cells: dict[Any, list[TrialRow]] = defaultdict(list)
    for row in rows:
        key = [label_key(row.parameters.get(name)) for name in ("task", "network")]
        cells[tuple(key)].append(row)
    return {key: cell(found, question, metric) for key, found in cells.items()}


def cell(rows: list[TrialRow], question: PivotQuestion, metric: str) -> Any:
    units = [[row] for row in rows]
    if question.replicates == "mean":
        by_assignment: dict[int, list[TrialRow]] = defaultdict(list)
        for row in rows:
            by_assignment[row.assignment].append(row)
        units = list(by_assignment.values())
    values, reported = [], 0
    for unit in units:
        found = [v for row in unit if (v := value_of(row, metric)) is not None]
        values += [statistics.fmean(found)] if found else []
        reported += any(row.reports for row in unit)
    match question.aggregate:
        case "count":
            return len(units), len(units)
        case "share":
            assert question.threshold is not None
            reached = sum(value >= question.threshold for value in values)
            return (reached / reported, reported) if reported else None
        case _:
            pick: Any = {
                "max": max,
                "min": min,
                "mean": statistics.fmean,
                "median": statistics.median,
            }[question.aggregate]
            return (pick(values), len(values)) if values else None


def by_labels(found: Pivot) -> dict[Any, Cell | None]:
    return {
        (label_key(row), label_key(column)): found.cells[i][j]
        for i, row in enumerate(found.rows)
        for j, column in enumerate(found.columns)
    }


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    trials_drawn,
    aggregates,
    st.sampled_from(["each", "mean"]),
    st.sampled_from(["best", "last.loss"]),
    st.sampled_from([None, "state == 'completed'"]),
)
def test_a_pivot_is_what_its_definition_says(
    filled: Filled, drawn: list[Any], aggregate: Any, replicates: Any, metric: str, filter: Any
) -> None:
    rows = [make(index, one) for index, one in enumerate(drawn)]
    filled.hold(rows)
    if filter:
        rows = [row for row in rows if row.state is TrialState.COMPLETED]
    question = PivotQuestion(
        rows="parameters.task",
        columns="parameters.network",
        metric=metric,
        aggregate=aggregate,
        threshold=0.5 if aggregate == "share" else None,
        mode="max",
        replicates=replicates,
        which=Which(parse_filter(filter) if filter else None),
    )
    found = by_labels(pivot(filled.store, filled.store.get_sweep("s1"), question))
    wanted = expected(rows, question, metric)
    assert set(wanted) <= set(found)
    for key, got in found.items():
        want = wanted.get(key)
        if want is None:
            assert got is None, key
        else:
            assert got is not None, key
            assert got.value == pytest.approx(want[0], rel=1e-9, abs=1e-9)
            assert got.count == want[1]


def pivoted(filled: Filled, **fields: Any) -> Pivot:
    question = PivotQuestion(**{"rows": "parameters.task", "columns": "group", **fields})
    return pivot(filled.store, filled.store.get_sweep("s1"), question)


def test_a_mean_has_students_interval(filled: Filled) -> None:
    values = [0.2, 0.5, 0.9, 0.4]
    filled.hold([trial(i, best=v, best_step=1, reports=1) for i, v in enumerate(values)])
    ((got,),) = pivoted(filled, aggregate="mean").cells
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=statistics.fmean(values), scale=stats.sem(values)
    )
    assert got is not None
    assert got.low == pytest.approx(low)
    assert got.high == pytest.approx(high)
    filled.hold([trial(0, best=0.5, best_step=1, reports=1)])
    ((alone,),) = pivoted(filled, aggregate="mean").cells
    assert alone == Cell(value=0.5, count=1)


def test_values_come_back_to_the_last_bit(filled: Filled) -> None:
    value = math.nextafter(0.1, 1)
    filled.hold([trial(0, best=value, best_step=1, reports=1)])
    for aggregate in ("max", "mean", "median"):
        ((got,),) = pivoted(filled, aggregate=aggregate).cells
        assert got is not None
        assert got.value == value


def test_labels_stand_in_the_grid_s_order(filled: Filled) -> None:
    tasks = ["c", "zero", 3, "a", "b", None]
    filled.hold([trial(i, parameters={"task": task}) for i, task in enumerate(tasks)])
    found = pivoted(filled, aggregate="count")
    assert found.rows == ("b", "a", "c", 3, "zero", None)


@pytest.mark.parametrize(
    ("fields", "parameter", "says"),
    [
        ({"rows": "nonsense"}, "rows", "nonsense"),
        ({"columns": "state,node"}, "columns", "not one field"),
        ({"metric": "state"}, "metric", "not a metric"),
        ({"metric": "parameters.task"}, "metric", "not a metric"),
        ({"metric": "nope"}, "metric", "there are loss"),
        ({"aggregate": "share"}, "threshold", "is needed"),
        ({"threshold": 0.5}, "threshold", "share alone"),
        ({"aggregate": "share", "threshold": 1.0, "metric": "loss"}, "mode", "max or min"),
        ({"rows": "index"}, "rows", "1,001 values"),
    ],
)
def test_what_does_not_fit_is_named(
    filled: Filled, fields: dict[str, Any], parameter: str, says: str
) -> None:
    filled.hold([trial(i, reports=1, last={"loss": 1.0}) for i in range(1001)])
    with pytest.raises(ParameterError, match=says) as caught:
        pivoted(filled, **fields)
    assert [p.path for p in caught.value.problems] == [f"query.{parameter}"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(trials_drawn, st.sampled_from(["max", "min"]))
def test_groups_are_what_their_definition_says(filled: Filled, drawn: list[Any], mode: Any) -> None:
    rows = [make(index, one) for index, one in enumerate(drawn)]
    filled.hold(rows)
    found = groups(
        filled.store,
        filled.store.get_sweep("s1"),
        GroupsQuestion(by="parameters.task, parameters.network", metric="best", mode=mode),
    )
    wanted: dict[Any, list[TrialRow]] = defaultdict(list)
    for row in rows:
        key = [label_key(row.parameters.get(name)) for name in ("task", "network")]
        wanted[tuple(key)].append(row)
    assert len(found.items) == len(wanted)
    for group in found.items:
        mine = wanted[tuple(label_key(label) for label in group.labels.values())]
        values = [(row.best, row.index) for row in mine if row.best is not None]
        sign = -1 if mode == "max" else 1
        assert group.trials == len(mine)
        assert sum(group.states.values()) == len(mine)
        assert group.count == len(values)
        if not values:
            assert (group.mean, group.median, group.best) == (None, None, None)
            continue
        assert group.mean == pytest.approx(statistics.fmean(v for v, _ in values), abs=1e-9)
        assert group.median == pytest.approx(statistics.median(v for v, _ in values))
        best = min(values, key=lambda pair: (sign * pair[0], pair[1]))
        assert group.best is not None
        assert (group.best.value, group.best.index) == best


def test_trials_can_be_grouped_by_columns(filled: Filled) -> None:
    filled.hold(
        [
            trial(0, node="n2", best=1.0, best_step=1, started_at=START),
            trial(1, node="n1", state=TrialState.FAILED),
            trial(2, node=None),
        ]
    )
    found = groups(filled.store, filled.store.get_sweep("s1"), GroupsQuestion(by="node,state"))
    assert [tuple(group.labels.values()) for group in found.items] == [
        ("n1", "failed"),
        ("n2", "completed"),
        (None, "completed"),
    ]


def test_groups_come_in_the_order_and_number_that_are_asked_for(filled: Filled) -> None:
    best = {0: (0.25, 0.75), 1: (1.0, 0.25), 2: (None, None), 3: (0.75, None), 4: (0.5, 0.5)}
    cells = [(name, value) for name, values in best.items() for value in values]
    filled.hold(
        [
            trial(i, assignment=name, parameters={"x": name}, best=value, best_step=value and 1)
            for i, (name, value) in enumerate(cells)
        ]
    )
    sweep = filled.store.get_sweep("s1")

    def asked(by: str = "assignment", **changes: Any) -> list[int]:
        found = groups(filled.store, sweep, GroupsQuestion(by=by, **changes))
        assert found.total == 5
        assert [g.parameters for g in found.items] == [
            {"x": g.labels["assignment"]} for g in found.items
        ]
        assert [g.trials for g in found.items] == [2] * len(found.items)
        return [group.labels["assignment"] for group in found.items]

    assert asked() == [0, 1, 2, 3, 4]
    assert asked(sort="-assignment", limit=2) == [4, 3]
    assert asked(sort="-mean") == [3, 1, 0, 4, 2]
    assert asked(sort="mean") == [0, 4, 1, 3, 2]
    assert asked(sort="-best", limit=3) == [1, 0, 3]
    assert asked(sort="count", by="assignment,state") == [2, 3, 0, 1, 4]
    assert asked(sort="-mean", limit=2, offset=1) == [1, 0]
    assert asked(limit=2, offset=4) == [4]
    assert asked(limit=2, offset=5) == []
    with pytest.raises(ParameterError, match="sort: groups are not sorted by 'state'; there are"):
        asked(sort="state")


def test_more_groups_than_one_answer_holds_are_told_in_parts(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.analysis.groups.MAX_GROUPS", 10)
    filled.hold([trial(i, best=float(i), best_step=1) for i in range(11)])
    sweep = filled.store.get_sweep("s1")
    asked = GroupsQuestion(by="assignment", sort="-best", limit=2)
    found = groups(filled.store, sweep, asked)
    assert (found.total, [g.mean for g in found.items]) == (11, [10.0, 9.0])
    with pytest.raises(ParameterError, match=r"by: makes more than 10 groups: ask .* with limit"):
        groups(filled.store, sweep, replace(asked, limit=None))


@pytest.mark.parametrize("name", ["it's", 'say "x"', "größe", "a b", "x`y", "a'b.c\"d"])
def test_parameters_of_any_name_group_trials(filled: Filled, name: str) -> None:
    path = name.split(".")
    nested: dict[str, Any] = {path[-1]: 1, "other": 0}
    other: dict[str, Any] = {path[-1]: 2, "other": 0}
    for part in reversed(path[:-1]):
        nested, other = {part: nested}, {part: other}
    filled.hold([trial(0, parameters=nested), trial(1, parameters=other)])
    quoted = [part.replace("'", "''") for part in path]
    asked = ".".join(["parameters", *(f"'{part}'" for part in quoted)])
    found = groups(filled.store, filled.store.get_sweep("s1"), GroupsQuestion(by=asked))
    assert [tuple(group.labels.values()) for group in found.items] == [(1,), (2,)]


def test_groups_are_by_any_fields_that_can_be_asked_for(filled: Filled) -> None:
    filled.hold([trial(i, parameters={"a,b": i // 2}, reports=1) for i in range(4)])
    for index in range(4):
        filled.report(index, "loss", [(2, 0.25 + index % 2)])
    by = "parameters.'a,b', at(loss, 2),  state"
    found = groups(filled.store, filled.store.get_sweep("s1"), GroupsQuestion(by=by))
    assert found.by == ("parameters.'a,b'", "at(loss, 2)", "state")
    assert [tuple(group.labels.values()) for group in found.items] == [
        (0, 0.25, "completed"),
        (0, 1.25, "completed"),
        (1, 0.25, "completed"),
        (1, 1.25, "completed"),
    ]


@pytest.mark.parametrize(
    ("by", "says"),
    [
        ("at(loss", "by: cannot read the fields"),
        ("state,", "by: cannot read the fields"),
        ("parameters", "by: "),
        ("state,created_at", "by: created_at is a time"),
        ("index,state,node,group,assignment,replicate", "by: names 6 fields; at most 5"),
    ],
)
def test_groups_by_what_is_no_field_are_refused(filled: Filled, by: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        groups(filled.store, filled.store.get_sweep("s1"), GroupsQuestion(by=by))


def test_a_metric_at_a_step_can_be_pivoted(filled: Filled) -> None:
    filled.hold([trial(i, best=0.5, best_step=1, reports=2, last={"loss": 9.0}) for i in range(2)])
    for index in range(2):
        filled.report(index, "loss", [(1, 0.25 + index), (2, 9.0)])
    ((got,),) = pivoted(filled, metric="metrics.loss@1", mode="min", aggregate="min").cells
    assert got is not None
    assert (got.value, got.count) == (0.25, 2)
