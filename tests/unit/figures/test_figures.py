"""Figures are made of data alone, and whatever the data is, plotly takes them."""

from datetime import timedelta
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.figures.comparison import comparison_figure
from service.figures.curves import curves_figure
from service.figures.parallel import parallel_figure
from service.figures.pivot import pivot_figure
from service.figures.running import duration_figure, resources_figure
from service.figures.style import Look, amount, number, plain, plain_distinct
from service.figures.summary import importance_figure, savings_figure
from sweep.analysis import (
    Cell,
    ComparedGroup,
    ComparedSweep,
    Comparison,
    Curve,
    Curves,
    Importance,
    ParameterImportance,
    Pivot,
    RungSavings,
    Savings,
    TrialSpan,
)
from sweep.states import SweepState, TrialState
from tests.unit.store.builders import START

LOOK = Look()
HOSTILE = "<script>alert(1)</script>%{x}"

finite = st.floats(-1e9, 1e9, allow_nan=False)
labels = st.none() | st.booleans() | finite | st.text(max_size=5) | st.just({"a": [1, "x"]})


def curve(index: int, **fields: Any) -> Curve:
    known: dict[str, Any] = {
        "trial": f"s-{index}",
        "index": index,
        "state": TrialState.COMPLETED,
        "reports": 2,
        "steps": (1, 2),
        "values": (0.1, 0.2),
    }
    return Curve(**{**known, **fields})


def drawn_curves(*items: Curve, rungs: tuple[int, ...] = (), **options: Any) -> dict[str, Any]:
    found = Curves(metric="score", rungs=rungs, points=2 * len(items), items=items)
    return curves_figure(found, look=LOOK, **options)


def test_stopped_trials_end_in_a_cross_at_their_last_step() -> None:
    figure = drawn_curves(curve(0, best=True), curve(1, state=TrialState.STOPPED, steps=(1, 7)))
    last = figure["data"][-1]
    assert (last["mode"], last["marker"]["symbol"]) == ("markers", "x-thin")
    assert (last["x"], last["y"], last["customdata"]) == ([7], [0.2], ["s-1"])


def test_the_best_trial_is_drawn_last_of_the_lines_and_widest() -> None:
    figure = drawn_curves(curve(0, best=True), curve(1), curve(2))
    widths = [trace["line"]["width"] for trace in figure["data"]]
    assert widths == [1.6, 1.6, 3.5]
    assert figure["data"][-1]["customdata"] == ["s-0", "s-0"]


@pytest.mark.parametrize(("log", "at"), [("none", 100), ("x", 2.0)])
def test_rungs_are_lines_with_their_step_at_the_place_that_the_axis_has(
    log: Any, at: float
) -> None:
    figure = drawn_curves(curve(0), rungs=(100,), log=log)
    (line,), (label,) = figure["layout"]["shapes"], figure["layout"]["annotations"]
    assert (line["x0"], line["x1"]) == (100, 100)
    assert (label["x"], label["text"]) == (pytest.approx(at), "rung 100")


def test_curves_coloured_by_a_parameter_share_its_colours() -> None:
    items = [curve(i, parameters={"task": "ab"[i % 2]}) for i in range(4)]
    figure = drawn_curves(*items, colour_by=("task",))
    colours = [trace["line"]["color"] for trace in figure["data"][:4]]
    assert colours[0] == colours[2] != colours[1] == colours[3]
    assert [t["name"] for t in figure["data"] if t["x"] == [None]] == ["a", "b"]


def test_curves_are_coloured_by_a_parameter_of_any_name() -> None:
    items = [curve(i, parameters={"odd name": {"a.b": "ab"[i % 2]}}) for i in range(4)]
    figure = drawn_curves(*items, colour_by=("odd name", "a.b"))
    assert [t["name"] for t in figure["data"] if t["x"] == [None]] == ["a", "b"]


def test_curves_coloured_by_many_numbers_are_on_a_scale() -> None:
    rates = [10.0 ** (-i / 4) for i in range(17)]
    items = [curve(i, parameters={"lr": lr}) for i, lr in enumerate(rates)]
    figure = drawn_curves(*items, curve(17), colour_by=("lr",))
    go.Figure(figure)
    colours = [trace["line"]["color"] for trace in figure["data"][:18]]
    assert len(set(colours)) == 18
    assert (colours[0], colours[16]) == ("rgb(253, 231, 37)", "rgb(68, 1, 84)")
    assert colours[17] == LOOK.soft
    (bar,) = [trace for trace in figure["data"] if trace["x"] == [None]]
    assert bar["marker"]["colorbar"]["ticktext"][0] == "1e-4"
    assert not any(trace["name"] == "others" for trace in figure["data"] if "name" in trace)


ALIKE = ["x" * 70 + "a", "x" * 70 + "b", "y", "y" + "z" * 80]


def test_labels_that_start_alike_stay_apart() -> None:
    cut = "x" * 59 + "…"
    assert plain_distinct(ALIKE) == [f"{cut} (1)", f"{cut} (2)", "y", "y" + "z" * 58 + "…"]
    assert plain_distinct(["y", "y (1)", "y"]) == ["y (2)", "y (1)", "y (3)"]


def test_a_heatmap_of_long_labels_has_a_row_for_each() -> None:
    cell = Cell(value=0.5, count=1)
    found = Pivot(
        row_field="parameters.path",
        column_field="parameters.task",
        metric="best score",
        aggregate="max",
        rows=tuple(ALIKE),
        columns=("a",),
        cells=((cell,),) * len(ALIKE),
    )
    heat, texts = pivot_figure(found, look=LOOK)["data"]
    assert len(set(heat["y"])) == len(ALIKE)
    assert texts["y"] == heat["y"]


def test_bars_of_a_comparison_are_apart_where_labels_are_alike() -> None:
    alike = [*ALIKE, 1, "1"]
    groups = tuple(ComparedGroup(label=label, count=1, best=0.5) for label in alike)
    sweeps = tuple(
        ComparedSweep(
            id=name,
            name=name,
            state=SweepState.COMPLETED,
            mode="max",
            trials=1,
            count=1,
            groups=groups,
        )
        for name in ("one", "two")
    )
    found = Comparison(
        metric="best score", by="parameters.path", sweeps=sweeps, spec=(), matched=()
    )
    first, second = comparison_figure(found, look=LOOK)["data"]
    assert len(set(first["x"])) == len(alike)
    assert first["x"] == second["x"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(labels, min_size=1, max_size=5, unique_by=repr),
    st.lists(labels, min_size=1, max_size=4, unique_by=repr),
    st.data(),
    st.sampled_from(["max", "mean", "count", "share"]),
)
def test_a_heatmap_has_every_cell_once(
    rows: list[Any], columns: list[Any], data: st.DataObject, aggregate: Any
) -> None:
    drawn = st.none() | st.builds(Cell, value=finite, count=st.just(3))
    cells = tuple(tuple(data.draw(drawn) for _ in columns) for _ in rows)
    found = Pivot(
        row_field="parameters.task",
        column_field="parameters.network",
        metric="best score",
        aggregate=aggregate,
        threshold=0.5,
        rows=tuple(rows),
        columns=tuple(columns),
        cells=cells,
    )
    figure = pivot_figure(found, look=LOOK)
    go.Figure(figure)
    filled = [cell for row in cells for cell in row if cell is not None]
    if filled:
        heat, texts = figure["data"]
        assert heat["z"] == [
            [None if cell is None else cell.value for cell in row] for row in cells
        ]
        assert len(set(heat["x"])) == len(columns)
        assert len(set(heat["y"])) == len(rows)
        assert len(texts["text"]) == len(filled)
    else:
        assert figure["data"] == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(labels, st.floats(1e-6, 1e3), finite), max_size=12),
    st.sampled_from(["light", "dark"]),
)
def test_parallel_coordinates_have_an_axis_for_each_parameter_that_varies(
    drawn: list[Any], theme: Any
) -> None:
    lines = [(f"s-{i}", {"kind": k, "lr": lr}, v) for i, (k, lr, v) in enumerate(drawn)]
    figure = parallel_figure(
        lines, names=["kind", "lr"], metric="best score", look=Look(theme, 600, 400)
    )
    go.Figure(figure)
    if lines:
        (trace,) = figure["data"]
        assert trace["dimensions"][-1]["label"] == "best score"
        names = [dimension["label"] for dimension in trace["dimensions"][:-1]]
        assert ("lr" in names) == (len({lr for _, lr, _ in drawn}) > 1)
        assert all(len(d["values"]) == len(lines) for d in trace["dimensions"])


def test_long_labels_that_start_alike_stay_apart_on_an_axis_too() -> None:
    lines = [(f"s-{i}", {"path": label}, float(i)) for i, label in enumerate(ALIKE)]
    (trace,) = parallel_figure(lines, names=["path"], metric="best score", look=LOOK)["data"]
    cut = "x" * 17 + "…"
    wanted = [f"{cut} (1)", f"{cut} (2)", "y", "y" + "z" * 16 + "…"]
    assert trace["dimensions"][0]["ticktext"] == wanted


def test_of_very_many_trials_the_best_and_all_of_a_grids_values_are_drawn() -> None:
    lines = [(f"s-{i}", {"depth": i % 6}, float(i % 6 == 0) * i) for i in range(12_000)]
    figure = parallel_figure(lines, names=["depth"], metric="best score", look=LOOK)
    (trace,) = figure["data"]
    depth, score = (dimension["values"] for dimension in trace["dimensions"])
    assert len(score) == 2_000
    assert sorted(score)[-50:] == sorted(value for _, _, value in lines)[-50:]
    assert set(depth) == set(range(6))


spans = st.lists(
    st.builds(
        lambda node, state, start, took: TrialSpan(
            node=node,
            state=state,
            started_at=START + timedelta(seconds=start),
            ended_at=None if took is None else START + timedelta(seconds=start + took),
        ),
        st.sampled_from([None, *(f"n{i}" for i in range(12))]),
        st.sampled_from([TrialState.COMPLETED, TrialState.STOPPED, TrialState.RUNNING]),
        st.floats(0, 1e4),
        st.none() | st.floats(0, 1e6),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(spans)
def test_trials_are_counted_once_where_and_as_long_as_they_ran(found: list[TrialSpan]) -> None:
    now = START + timedelta(days=20)
    running = resources_figure(found, now=now, look=LOOK)
    lengths = duration_figure(found, look=LOOK)
    go.Figure(running)
    go.Figure(lengths)
    nodes = {span.node for span in found}
    assert len(running["data"]) == min(len(nodes), 8)
    if found:
        most = max(sum(trace["y"][0] for trace in running["data"]), 0)
        assert 1 <= most <= len(found)
    ended = [s for s in found if s.ended_at is not None and s.state is not TrialState.RUNNING]
    assert sum(sum(trace["y"]) for trace in lengths["data"]) == len(ended)


def test_running_trials_stack_up_over_time() -> None:
    found = [
        TrialSpan(
            node="n",
            state=TrialState.COMPLETED,
            started_at=START + timedelta(seconds=start),
            ended_at=START + timedelta(seconds=end),
        )
        for start, end in ((0, 100), (50, 100), (50.5, 60))
    ]
    (trace,) = resources_figure(found, now=START, look=LOOK)["data"]
    assert (trace["y"][0], max(trace["y"]), trace["y"][-2]) == (1, 3, 2)


def test_savings_say_what_share_was_spared() -> None:
    rungs = (RungSavings(step=1, reached=4, stopped=3, continued=1),)
    found = Savings(rule="asha", trained=25, without=100, saved=75, stopped=3, rungs=rungs)
    figure = savings_figure(found, look=LOOK)
    assert figure["layout"]["title"]["text"] == "Early stopping spared 75% of the training"
    none = savings_figure(found.model_copy(update={"rule": "none"}), look=LOOK)
    assert "no early stopping" in none["layout"]["annotations"][0]["text"]


def test_what_users_wrote_is_shown_as_text() -> None:
    importance = Importance(
        metric=HOSTILE,
        method="m",
        trials=30,
        items=(ParameterImportance(parameter=HOSTILE, importance=1.0, std=0.1),),
    )
    pivot = Pivot(
        row_field=f"parameters.{HOSTILE}",
        column_field="state",
        metric=HOSTILE,
        aggregate="max",
        rows=(HOSTILE,),
        columns=("x",),
        cells=((Cell(value=1, count=1),),),
    )
    figures = [
        importance_figure(importance, look=LOOK),
        pivot_figure(pivot, look=LOOK),
        drawn_curves(curve(0, parameters={HOSTILE: HOSTILE})),
    ]
    for figure in figures:
        assert "<script" not in str(figure)
        assert "%{x}</script>" not in str(figure)


def test_texts_are_cut_and_escaped() -> None:
    assert plain("a<b>&%{y}") == "a&lt;b&gt;&amp;%&#123;y}"
    assert len(plain("x" * 100)) == 60


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.12345, "0.123"), (1e-4, "1e-4"), (12345.6, "12,346"), (2.5e7, "2.5e7")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_amounts_are_short() -> None:
    assert [amount(v) for v in (999, 9_999, 12_345, 2.5e6, 3e9)] == [
        "999",
        "9,999",
        "12.3k",
        "2.5M",
        "3G",
    ]
