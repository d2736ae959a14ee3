"""Sweeps and trials over REST."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.store.interface import Store
from service.store.open import open_store
from sweep.states import TrialState
from tests.unit.api.conftest import Clock, make_app
from tests.unit.store.builders import drive, moved, reported, send, started

SPEC: dict[str, Any] = {
    "name": "first",
    "trainable": "toy",
    "metric": {"name": "score", "mode": "max"},
    "parameters": {"x": {"grid": [1.0, 2.0, 3.0]}, "kind": {"grid": ["a", "b"]}},
    "early_stopping": {"type": "asha", "max_t": 9, "grace_period": 1, "group_by": ["kind"]},
}


def post(client: TestClient, **changes: Any) -> str:
    answer = client.post("/v1/sweeps", json={**SPEC, **changes})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_posted_sweep_can_be_read_listed_cancelled_and_deleted(client: TestClient) -> None:
    answer = client.post("/v1/sweeps", json=SPEC)
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/sweeps/id1"
    sweep = client.get("/v1/sweeps/id1").json()
    assert sweep == answer.json()
    assert (sweep["state"], sweep["trials"]["pending"], sweep["created_by"]) == (
        "queued",
        6,
        "local",
    )
    assert [s["id"] for s in client.get("/v1/sweeps?state=queued").json()["items"]] == ["id1"]
    assert client.post("/v1/sweeps/id1/cancel").status_code == 202
    assert client.delete("/v1/sweeps/id1").status_code == 204
    assert client.get("/v1/sweeps/id1").status_code == 404
    kinds = [e["kind"] for e in client.get("/v1/sweeps/id1/audit").json()["items"]]
    assert kinds == ["sweep.created", "sweep.cancelled", "sweep.deleted"]


def deleted(client: TestClient) -> list[dict[str, Any]]:
    """What the audit says of a sweep after it was deleted."""
    sweep_id = post(client)
    client.post(f"/v1/sweeps/{sweep_id}/cancel")
    assert client.delete(f"/v1/sweeps/{sweep_id}").status_code == 204
    events: list[dict[str, Any]] = client.get(f"/v1/sweeps/{sweep_id}/audit").json()["items"]
    return events[3:]


def test_a_deleted_sweep_s_saved_states_are_removed(client: TestClient, home: Path) -> None:
    mine, other = home / "checkpoints" / "id1", home / "checkpoints" / "id2"
    for folder in (mine / "id1-0", other / "id2-0"):
        folder.mkdir(parents=True)
        (folder / "1-5-after-0-0.state").write_bytes(b"weights")
    (event,) = deleted(client)
    assert (event["kind"], event["detail"]) == ("sweep.states_removed", {"url": str(mine)})
    assert not mine.exists()
    assert (other / "id2-0" / "1-5-after-0-0.state").exists()


def test_states_that_cannot_be_removed_do_not_keep_a_sweep(client: TestClient, home: Path) -> None:
    (home / "checkpoints").mkdir()
    (home / "checkpoints" / "id1").write_text("no folder")
    (event,) = deleted(client)
    assert event["kind"] == "sweep.states_left"
    assert str(home / "checkpoints" / "id1") in event["detail"]["error"]


@pytest.mark.parametrize(
    "kind", ["application/yaml", "text/yaml", "application/x-www-form-urlencoded"]
)
def test_a_spec_may_be_yaml(client: TestClient, kind: str) -> None:
    text = """
name: yaml
trainable: toy
metric: {name: score, mode: max}
parameters: {x: {grid: [1e-4, 2.0]}}
"""
    answer = client.post("/v1/sweeps", content=text, headers={"Content-Type": kind})
    assert answer.status_code == 201, answer.text
    assert answer.json()["spec"]["parameters"]["x"]["grid"] == [1e-4, 2.0]


def test_a_dry_run_says_what_would_run_and_stores_nothing(client: TestClient) -> None:
    answer = client.post("/v1/sweeps?dry_run=true", json=SPEC)
    assert answer.status_code == 200
    plan = answer.json()
    assert (plan["trials"], plan["num_groups"], len(plan["assignments"])) == (6, 2, 6)
    assert plan["groups"] == [
        {"group": '{"kind":"a"}', "trials": 3},
        {"group": '{"kind":"b"}', "trials": 3},
    ]
    assert plan["rungs"] == [{"step": 1, "keeps": 6}, {"step": 3, "keeps": 6}]
    assert plan["trial_steps"] == 54
    assert (plan["num_assignments"], plan["estimate"], plan["budget"]) == (6, None, [])
    assert client.get("/v1/sweeps").json()["items"] == []


def test_a_dry_run_goes_by_past_trials_of_the_trainable(client: TestClient, store: Store) -> None:
    driver = drive(store, post(client))
    ended = moved(TrialState.COMPLETED, trial=0)  # after 49 s
    send(store, driver, started(0), reported((7, 0.5), trial=0), ended, known=6)
    limits = {"max_concurrent": 2, "budget": {"trials": 4}}
    plan = client.post("/v1/sweeps?dry_run=true", json={**SPEC, **limits}).json()
    assert plan["estimate"]["past_trials"] == 1
    assert plan["estimate"]["seconds_per_step"] == 7
    assert plan["estimate"]["hours"] == 54 * 7 / 3600 / 2
    assert plan["budget"] == [{"name": "trials", "limit": 4, "planned": 6, "missing": 2}]


def test_trials_are_filtered_sorted_and_paged(client: TestClient, store: Store) -> None:
    sweep = post(client)
    driver = drive(store, sweep)
    for index, score in enumerate((0.3, 0.9, 0.1)):
        send(store, driver, started(index), reported((1, score), trial=index), known=6)
    path = f"/v1/sweeps/{sweep}/trials"
    page = client.get(path, params={"filter": "best > 0.2", "sort": "-best", "limit": 1}).json()
    assert [t["index"] for t in page["items"]] == [1]
    rest = {"filter": "best > 0.2", "sort": "-best", "limit": 1, "cursor": page["next_cursor"]}
    assert [t["index"] for t in client.get(path, params=rest).json()["items"]] == [0]
    trial = client.get(f"/v1/trials/{sweep}-1").json()
    assert (trial["metrics"], trial["best"]["value"], trial["step"]) == ({"score": 0.9}, 0.9, 1)
    reports = client.get(f"/v1/trials/{sweep}-1/reports").json()
    assert [(r["step"], r["values"]) for r in reports["items"]] == [(1, {"score": 0.9})]


def test_exports(client: TestClient, store: Store) -> None:
    sweep = post(client, name="=1+1")
    driver = drive(store, sweep)
    for index, score in enumerate((0.3, 0.9, 0.1, 0.2)):
        send(
            store,
            driver,
            started(index),
            reported((1, score), trial=index, loss=1.0),
            moved(TrialState.FAILED, trial=index, reason="=HYPERLINK()", error="x"),
            known=6,
        )
    answer = client.get(f"/v1/sweeps/{sweep}/export?format=csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="sweep-{sweep}.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["parameters.x"] for row in rows] == ["1.0", "1.0", "2.0", "2.0", "3.0", "3.0"]
    assert (rows[1]["metrics.score"], rows[1]["metrics.loss"], rows[1]["best"]) == (
        "0.9",
        "1.0",
        "0.9",
    )
    assert rows[0]["reason"] == "'=HYPERLINK()"
    published = client.get(f"/v1/sweeps/{sweep}/export?layout=published").text
    assert published.splitlines() == ["kind,score", "a,0.3", "b,0.9"]
    few = client.get(f"/v1/sweeps/{sweep}/export", params={"filter": "best > 0.8"})
    assert len(few.text.splitlines()) == 2


def test_an_export_has_every_metric_of_every_trial(client: TestClient, store: Store) -> None:
    sweep = post(client, trainable="pkg.module:train")
    driver = drive(store, sweep)
    failed = moved(TrialState.FAILED, trial=0, reason="-1e3", error="x")
    send(store, driver, started(0), failed, started(1), known=6)
    send(store, driver, reported((1, 0.5), trial=1, loss=2.0), known=6)
    send(store, driver, started(2), reported((1, None), trial=2, extra=3.0), known=6)
    answer = client.get(f"/v1/sweeps/{sweep}/export")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    names = ("metrics.extra", "metrics.loss", "metrics.score")
    assert [tuple(row[name] for name in names) for row in rows[:3]] == [
        ("", "", ""),
        ("", "2.0", "0.5"),
        ("3.0", "", "nan"),
    ]
    assert rows[0]["reason"] == "-1e3"  # a number is no formula


def test_an_export_is_whole_past_one_chunk_of_the_store(client: TestClient) -> None:
    grid = {"x": {"grid": [float(i) for i in range(1_200)]}}
    sweep = post(client, parameters=grid, early_stopping={"type": "none"})
    answer = client.get(f"/v1/sweeps/{sweep}/export")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["index"]) for row in rows] == list(range(1_200))


def test_an_export_in_a_layout_that_the_trainable_lacks(client: TestClient) -> None:
    sweep = post(client, trainable="unbounded")
    answer = client.get(f"/v1/sweeps/{sweep}/export?layout=published")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-spec")
    assert "no published layout" in answer.json()["detail"]


def test_the_audit_of_everything_is_paged(client: TestClient) -> None:
    first, second = post(client), post(client)
    client.post("/v1/tokens", json={"name": "ann"})
    page = client.get("/v1/audit?limit=2").json()
    assert [(e["kind"], e["sweep_id"]) for e in page["items"]] == [
        ("sweep.created", first),
        ("sweep.created", second),
    ]
    rest = client.get("/v1/audit", params={"cursor": page["next_cursor"]}).json()
    assert [e["kind"] for e in rest["items"]] == ["token.created"]
    assert rest["next_cursor"] is None


def test_what_specs_may_name_is_published(client: TestClient) -> None:
    items = client.get("/v1/trainables").json()["items"]
    assert [(t["name"], t["published_columns"]) for t in items] == [
        ("toy", ["kind", "score"]),
        ("unbounded", None),
    ]
    schema = client.get("/v1/schema/sweep").json()
    assert "parameters" in schema["properties"]
    assert "/v1/sweeps" in client.get("/v1/openapi.json").json()["paths"]


def test_health_needs_nothing(guarded: TestClient) -> None:
    assert guarded.get("/healthz").json() == {"status": "ok"}
    assert guarded.get("/readyz").json() == {"status": "ready"}


def test_a_service_without_its_schema_lives_and_is_not_ready(
    clock: Clock, home: Path, tmp_path: Path
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'empty.db'}")
    app = make_app(store, clock, home, embedded=False)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
    store.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]
