"""Questions about many trials at once, and their figures, over REST."""

import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi.testclient import TestClient

from service.figures import picture
from service.store.interface import Store
from sweep.cli.output import front_of
from sweep.records import SweepRecord
from sweep.states import TrialState
from sweep.wire import RestartAsked, RungDecided, RungEntry
from tests.unit.api.conftest import Clock
from tests.unit.api.test_sweeps import post
from tests.unit.store.builders import START, drive, moved, reported, send, started

SWEEP = "/v1/sweeps/id1"
PIVOT = {"rows": "parameters.x", "columns": "parameters.kind"}

KINDS: dict[str, dict[str, str]] = {
    "curves": {},
    "pivot": PIVOT,
    "importance": {},
    "parallel": {},
    "savings": {},
    "pareto": {"x": "min.loss"},
    "resources": {},
    "duration": {},
}


@pytest.fixture
def trained(client: TestClient, store: Store) -> TestClient:
    """The sweep id1 of six trials; five ran, one of them was stopped at a rung."""
    post(client)
    driver = drive(store, "id1")
    for index, score in enumerate((0.5, 0.25, 0.75, 1.0, 0.125)):
        stopped = index == 4
        entry = RungEntry(
            step=1,
            trial=index,
            group="{}",
            value=score / 2,
            peers=3,
            decision="stop" if stopped else "continue",
            time=START,
        )
        steps = ((1, score / 2),) if stopped else ((1, score / 2), (2, score))
        send(
            store,
            driver,
            started(index),
            reported(*steps, trial=index, loss=1 - score),
            RungDecided(entry=entry),
            moved(
                TrialState.STOPPED if stopped else TrialState.COMPLETED, trial=index, reason="rung"
            ),
            known=6,
        )
    return client


def get(client: TestClient, path: str, **parameters: Any) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_pivot(trained: TestClient) -> None:
    found = get(trained, f"{SWEEP}/pivot", **PIVOT)
    assert (found["rows"], found["columns"]) == ([1, 2, 3], ["a", "b"])
    values = [[cell and cell["value"] for cell in row] for row in found["cells"]]
    assert values == [[0.5, 0.25], [0.75, 1.0], [0.0625, None]]
    share = get(
        trained, f"{SWEEP}/pivot", rows="state", columns="group", aggregate="share", threshold=0.75
    )
    assert share["rows"] == ["completed", "pending", "stopped"]
    assert share["cells"][0][0] == {"value": 0.5, "count": 2, "low": None, "high": None}


def test_groups(trained: TestClient) -> None:
    found = get(trained, f"{SWEEP}/groups", by="parameters.kind", filter="reports > 0")
    assert [item["labels"] for item in found["items"]] == [
        {"parameters.kind": "a"},
        {"parameters.kind": "b"},
    ]
    a = found["items"][0]
    assert (a["trials"], a["states"]) == (3, {"completed": 2, "stopped": 1})
    assert a["best"] == {"trial": "id1-2", "index": 2, "value": 0.75}
    assert a["low"] < a["mean"] < a["high"]
    (lone,) = get(trained, f"{SWEEP}/groups", by="assignment", filter="index == 2")["items"]
    assert (lone["labels"], lone["mean"], lone["low"]) == ({"assignment": 2}, 0.75, None)


def test_a_winner_that_trained_once_more_counts_in_no_mean_over_replicates(
    client: TestClient, store: Store
) -> None:
    for sweep_id in ("id1", "id2"):
        post(client, parameters={"x": {"grid": [1]}, "kind": "a"}, replicates=3)
        driver = drive(store, sweep_id)
        for index, score in enumerate((0.75, 0.875, 1.0)):
            send(store, driver, started(index), reported((1, score), trial=index))
            send(store, driver, moved(TrialState.COMPLETED, trial=index))
        send(store, driver, RestartAsked(parent=2, max_t=9))
        send(store, driver, started(3), reported((1, 5.0), trial=3), known=4)
    (one,) = get(client, f"{SWEEP}/groups", by="assignment")["items"]
    assert (one["trials"], one["mean"], one["best"]["value"]) == (3, 0.875, 1.0)
    assert get(client, f"{SWEEP}/groups", by="state")["items"][1]["best"]["value"] == 5.0
    means = get(client, f"{SWEEP}/pivot", **PIVOT, aggregate="mean", replicates="mean")
    assert means["cells"][0][0]["value"] == 0.875
    assert get(client, f"{SWEEP}/pivot", **PIVOT)["cells"][0][0]["value"] == 5.0
    (pair,) = get(client, "/v1/compare", sweeps="id1,id2")["matched"][0]["pairs"]
    assert (pair["base"], pair["other"]) == (0.875, 0.875)


def test_the_other_questions(trained: TestClient) -> None:
    front = get(trained, f"{SWEEP}/pareto", x="min.loss")
    assert [item["trial"] for item in front["items"]] == ["id1-3"]
    cheapest = get(trained, f"{SWEEP}/pareto", x="step", y="best")
    assert [item["trial"] for item in cheapest["items"]] == ["id1-4", "id1-3"]
    figure = get(trained, f"{SWEEP}/figures/pareto", x="step")
    assert figure["layout"]["xaxis"]["title"]["text"] == "steps (lower is better)"
    assert "20 or more" in get(trained, f"{SWEEP}/importance")["note"]
    savings = get(trained, f"{SWEEP}/savings")
    assert (savings["trained"], savings["saved"], savings["rungs"][0]["stopped"]) == (9, 8, 1)
    curves = get(trained, f"{SWEEP}/curves", metric="loss", trials=2)
    assert [item["trial"] for item in curves["items"]] == ["id1-3", "id1-2"]
    assert curves["items"][0]["values"] == [0.0, 0.0]


def test_a_further_objective_is_better_the_way_that_the_spec_says(
    client: TestClient, store: Store
) -> None:
    objectives = [{"name": "loss", "mode": "min"}, {"name": "speed", "mode": "max"}]
    search = {"type": "nsga2", "num_trials": 12, "objectives": objectives}
    post(client, search=search)
    driver = drive(store, "id1")
    for index, (score, loss, speed) in enumerate(((0.5, 0.1, 1.0), (0.9, 0.2, 3.0))):
        told = reported((1, score), trial=index, loss=loss, speed=speed)
        send(store, driver, started(index), told, known=10)
    told_by_command = front_of(SweepRecord.model_validate(get(client, SWEEP)))
    assert told_by_command is not None
    by_loss, by_speed = (
        client.get(one.removeprefix("GET ")).json() for one in told_by_command.split(" and ")
    )
    assert (by_loss["x"], by_loss["x_mode"], by_loss["y_mode"]) == ("last loss", "min", "max")
    assert [point["index"] for point in by_loss["items"]] == [0, 1]
    assert (by_speed["x_mode"], [point["index"] for point in by_speed["items"]]) == ("max", [1])


def test_all_rungs_of_hyperband_are_told_and_none_of_population_training(
    client: TestClient,
) -> None:
    hyperband = {"type": "hyperband", "max_t": 81, "reduction_factor": 1.5}
    pbt = {"type": "pbt", "interval": 2, "max_t": 8, "perturb": ["x"]}
    population = {"x": {"uniform": {"min": 1, "max": 2}}}
    post(client, early_stopping=hyperband)
    search = {"type": "random", "num_trials": 6}
    post(client, early_stopping=pbt, parameters=population, search=search)
    told = [rung["step"] for rung in get(client, f"{SWEEP}/savings")["rungs"]]
    assert told == [2, 3, 4, 5, 8, 11, 16, 24, 36, 54]
    assert get(client, f"{SWEEP}/curves")["rungs"] == told
    assert get(client, "/v1/sweeps/id2/savings")["rungs"] == []
    assert get(client, "/v1/sweeps/id2/curves")["rungs"] == []


def test_two_sweeps_side_by_side(trained: TestClient) -> None:
    post(trained, name="second")
    found = get(trained, "/v1/compare", sweeps="id1,id2", by="parameters.kind")
    assert [sweep["best"] for sweep in found["sweeps"]] == [1.0, None]
    assert found["spec"] == [{"path": "name", "values": ["first", "second"]}]
    assert found["matched"][0]["assignments"] == 0
    by_loss = {"sweeps": "id1,id2", "metric": "loss", "mode": "min"}
    assert [s["best"] for s in get(trained, "/v1/compare", **by_loss)["sweeps"]] == [0.0, None]
    assert get(trained, "/v1/compare/figure", **by_loss)["data"][0]["y"] == [0.0, None]
    unsaid = trained.get("/v1/compare", params={"sweeps": "id1,id2", "metric": "loss"})
    assert [problem["path"] for problem in unsaid.json()["problems"]] == ["query.mode"]
    figure = get(trained, "/v1/compare/figure", sweeps="id1,id2")
    assert figure["data"][0]["customdata"] == ["id1-3", None]


@pytest.mark.parametrize(
    ("path", "parameters", "field", "says"),
    [
        ("pivot", {"rows": "parameters.x"}, "query.columns", "required"),
        ("pivot", {**PIVOT, "rows": "nope"}, "query.rows", "there is no field 'nope'"),
        ("pivot", {**PIVOT, "rows": "-index"}, "query.rows", "not one field"),
        ("pivot", {**PIVOT, "metric": "state"}, "query.metric", "is a field of a trial"),
        ("pivot", {**PIVOT, "metric": "nope"}, "query.metric", "there are loss, score"),
        ("pivot", {**PIVOT, "aggregate": "sum"}, "query.aggregate", "'max'"),
        ("pivot", {**PIVOT, "aggregate": "share"}, "query.threshold", "is needed"),
        ("pivot", {**PIVOT, "threshold": "nan"}, "query.threshold", "finite"),
        ("pivot", {**PIVOT, "threshold": "1"}, "query.threshold", "share alone"),
        ("groups", {"by": "nope"}, "query.by", "nope"),
        ("groups", {"by": "index,state,node,group,pack,seed"}, "query.by", "at most 5"),
        ("groups", {"by": "state", "metric": "loss"}, "query.mode", "max or min"),
        ("pareto", {"x": "last.loss"}, "query.x_mode", "max or min"),
        ("curves", {"points": "50"}, "query.points", "too few"),
        ("curves", {"trials": "0"}, "query.trials", "greater than or equal"),
        ("figures/curves", {"colour_by": "state"}, "query.colour_by", "no parameter"),
        ("figures/pivot", {**PIVOT, "theme": "pink"}, "query.theme", "'light' or 'dark'"),
        ("figures/savings", {"width": "9"}, "query.width", "200"),
    ],
)
def test_what_does_not_fit_is_a_problem_that_names_the_parameter(
    trained: TestClient, path: str, parameters: dict[str, str], field: str, says: str
) -> None:
    answer = trained.get(f"{SWEEP}/{path}", params=parameters)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert [p["path"] for p in problem["problems"]] == [field]
    assert says.lower() in problem["problems"][0]["message"].lower()


@pytest.mark.parametrize("path", [*(f"figures/{kind}" for kind in KINDS), "pivot", "savings"])
def test_a_sweep_that_is_not_there(client: TestClient, path: str) -> None:
    asked = {**PIVOT, "x": "min.loss"}
    assert client.get(f"/v1/sweeps/nope/{path}", params=asked).status_code == 404


@pytest.mark.parametrize(
    ("path", "asked", "count"),
    [
        ("pivot", PIVOT, lambda found: sum(c["count"] for r in found["cells"] for c in r if c)),
        ("groups", {"by": "state"}, lambda found: sum(g["trials"] for g in found["items"])),
        ("curves", {}, lambda found: len(found["items"])),
        ("pareto", {"x": "min.loss"}, lambda found: found["trials"]),
    ],
)
def test_filters_know_the_time(
    trained: TestClient, clock: Clock, path: str, asked: Any, count: Any
) -> None:
    def found(condition: str) -> int:
        asked_now = {**asked, "filter": f"reports > 0 and {condition}"}
        return int(count(get(trained, f"{SWEEP}/{path}", **asked_now)))

    assert (found("started_at > now-1h"), found("duration < 1m")) == (5, 5)
    clock.pass_by(7200)
    assert (found("started_at > now-1h"), found("duration > 1m")) == (0, 0)


def test_a_filter_that_cannot_be_read_says_where(trained: TestClient) -> None:
    answer = trained.get(f"{SWEEP}/pivot", params={**PIVOT, "filter": "best >"})
    assert answer.status_code == 422
    assert "column 7" in answer.json()["detail"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_one_that_plotly_takes(trained: TestClient, kind: str, theme: str) -> None:
    import plotly.graph_objects as go

    figure = get(trained, f"{SWEEP}/figures/{kind}", theme=theme, width=700, **KINDS[kind])
    drawn = go.Figure(figure)
    assert drawn.layout.width == 700
    assert drawn.layout.title.text


def test_traces_tell_the_trials_that_they_show(trained: TestClient) -> None:
    curves = get(trained, f"{SWEEP}/figures/curves")["data"]
    assert {trial for trace in curves for trial in trace.get("customdata", ())} == {
        f"id1-{i}" for i in range(5)
    }
    parallel = get(trained, f"{SWEEP}/figures/parallel")["data"]
    assert set(parallel[0]["customdata"]) == {f"id1-{i}" for i in range(5)}
    one = get(trained, "/v1/trials/id1-3/figures/curves")
    assert [trace["customdata"] for trace in one["data"]] == [["id1-3", "id1-3"]]


def test_curves_are_coloured_by_a_name_in_quotes(trained: TestClient) -> None:
    figure = get(trained, f"{SWEEP}/figures/curves", colour_by="parameters.'kind'")
    assert [t["name"] for t in figure["data"] if t["x"] == [None]] == ["a", "b"]


def test_a_sweep_without_results_has_figures_that_say_so(client: TestClient) -> None:
    import plotly.graph_objects as go

    post(client)
    for kind, asked in KINDS.items():
        figure = get(client, f"{SWEEP}/figures/{kind}", **asked)
        go.Figure(figure)
        assert figure["data"] == []
        assert figure["layout"]["annotations"][0]["text"]


@pytest.mark.slow
@pytest.mark.skipif(picture.find_browser() is None, reason="needs Chromium")
def test_a_figure_as_png(trained: TestClient) -> None:
    answer = trained.get(
        f"{SWEEP}/figures/pivot", params={**PIVOT, "format": "png", "width": 500, "height": 300}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG\r\n")
    width, height = (int.from_bytes(answer.content[i : i + 4], "big") for i in (16, 20))
    assert (width, height) == (1000, 600)  # twice as fine


def test_without_a_browser_png_is_a_problem(
    trained: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    answer = trained.get(f"{SWEEP}/figures/savings", params={"format": "png"})
    assert answer.status_code == 503
    assert "Chromium or Chrome" in answer.json()["detail"]


def test_a_browser_that_hangs_is_ended(
    trained: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    browser = tmp_path / "chromium"
    mark = tmp_path / "pid"
    browser.write_text(f"#!/bin/sh\necho $$ > {mark}\nexec sleep 60\n")
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(browser))
    monkeypatch.setattr(picture, "_LIMIT_S", 5.0)
    answer = trained.get(f"{SWEEP}/figures/savings", params={"format": "png"})
    assert answer.status_code == 503
    assert str(browser) in answer.json()["detail"]
    assert not psutil.pid_exists(int(mark.read_text()))


def test_a_browser_that_does_not_start_is_a_problem(
    trained: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")
    answer = trained.get(f"{SWEEP}/figures/savings", params={"format": "png"})
    assert answer.status_code == 503
    assert "/nowhere/chromium" in answer.json()["detail"]
