"""The query language over REST: lists, counts, projections, exports, fields, errors."""

import io
from typing import Any

import pyarrow.ipc
import pyarrow.parquet
import pytest
from fastapi.testclient import TestClient

from service.store.interface import DriverIdentity, Store, TrialQuery
from sweep.states import TrialState
from tests.unit.api.conftest import Clock
from tests.unit.api.test_sweeps import post
from tests.unit.store.builders import drive, moved, reported, send, started

FREE: dict[str, Any] = {
    "trainable": "unbounded",
    "early_stopping": {"type": "none", "max_t": 9},
}
"""A trainable that takes any parameters."""


def scored(client: TestClient, store: Store, **fields: Any) -> str:
    """A sweep of six trials or more, three of which have reports."""
    sweep = post(client, **fields)
    driver = drive(store, sweep)
    known = store.count_trials(sweep, TrialQuery())
    for index, score in enumerate((0.3, 0.9, None)):
        send(
            store,
            driver,
            started(index),
            reported((1, 0.1), (2, score), trial=index, loss=1.0 + index),
            moved(TrialState.COMPLETED, trial=index, reason="max_t"),
            known=known,
        )
    return sweep


def ask(client: TestClient, path: str, **parameters: Any) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_fields_are_projected_and_counted(client: TestClient, store: Store) -> None:
    path = f"/v1/sweeps/{scored(client, store)}/trials"
    fields = "id,parameters.kind,metrics.score,metrics.score@1,min.loss,duration,metrics,nope"
    assert client.get(path, params={"fields": fields}).json()["column"] == 76
    page = ask(client, path, fields=fields.removesuffix(",nope"), limit=3, count=True)
    assert page["count"] == 6
    assert page["items"][1] == {
        "id": "id1-1",
        "parameters.kind": "b",
        "metrics.score": 0.9,
        "metrics.score@1": 0.1,
        "min.loss": 2.0,
        "duration": 49.0,
        "metrics": {"score": 0.9, "loss": 2.0},
    }
    assert page["items"][2]["metrics.score"] is None  # it was not a number
    rest = ask(client, path, fields="index", limit=3, cursor=page["next_cursor"])
    assert (rest["items"], rest["count"]) == ([{"index": i} for i in (3, 4, 5)], None)
    some = ask(client, path, filter="metrics.score@2 is not null", count=True, limit=1)
    assert (some["count"], len(some["items"])) == (2, 1)


def test_sweeps_are_filtered_sorted_projected_and_counted(
    client: TestClient, store: Store, clock: Clock
) -> None:
    scored(client, store, name="first", tags=["a", "b"])
    clock.pass_by(3_600)
    post(client, name="second", tags=["b"])
    named = [s["name"] for s in ask(client, "/v1/sweeps", filter="'b' in tags")["items"]]
    assert named == ["second", "first"]
    for text, names in (
        ("'a' in tags and best >= 0.9", ["first"]),
        ("created_at > now - 30m", ["second"]),
        ("trainable == 'toy' and num_trials == 6 and started_at is null", ["second"]),
        ("name icontains 'ECO'", ["second"]),
        ("duration >= 1h", ["first"]),
    ):
        found = ask(client, "/v1/sweeps", filter=text, fields="name", count=True)
        assert ([s["name"] for s in found["items"]], found["count"]) == (names, len(names)), text
    page = ask(client, "/v1/sweeps", sort="-best,name", limit=1, fields="name,best,tags")
    assert page["items"] == [{"name": "first", "best": 0.9, "tags": ["a", "b"]}]
    rest = ask(client, "/v1/sweeps", sort="-best,name", limit=1, cursor=page["next_cursor"])
    assert [s["name"] for s in rest["items"]] == ["second"]
    assert len(ask(client, "/v1/sweeps", state="running", filter="'b' in tags")["items"]) == 1


def test_a_sort_by_duration_goes_by_the_time_of_the_first_page(
    client: TestClient, store: Store, clock: Clock
) -> None:
    sweep = post(client)
    driver = drive(store, sweep)
    for index in range(4):
        send(store, driver, started(index), known=6)
    clock.pass_by(60)
    path, seen, cursor = f"/v1/sweeps/{sweep}/trials", [], None
    while True:
        asked = {"sort": "-duration", "limit": 1, "fields": "index,duration"}
        page = ask(client, path, **asked, **({"cursor": cursor} if cursor else {}))
        seen += [(t["index"], t["duration"]) for t in page["items"]]
        clock.pass_by(1_000)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [(i, 59.0) for i in range(4)] + [(4, None), (5, None)]


@pytest.mark.parametrize(
    ("parameter", "text", "column"),
    [
        ("filter", "best > 1 and stat == 'a'", 14),
        ("filter", "best > 'x'", 8),
        ("sort", "-best,nope", 7),
        ("fields", "best, nope", 7),
    ],
)
def test_errors_name_the_parameter_and_the_column(
    client: TestClient, parameter: str, text: str, column: int
) -> None:
    sweep = post(client)
    for path in (f"/v1/sweeps/{sweep}/trials", "/v1/sweeps", f"/v1/sweeps/{sweep}/export"):
        answer = client.get(path, params={parameter: text})
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "invalid-query")
        assert (problem["column"], problem["problems"][0]["path"]) == (column, parameter)
    assert "column" not in client.get("/v1/sweeps/nope").json()


def test_the_fields_that_queries_may_name(client: TestClient, store: Store) -> None:
    sweep = scored(client, store, tags=["t"], parameters=ODD, **FREE)
    send(store, DriverIdentity(sweep, 1), reported((3, 1.0), trial=0, **{"val/loss": 1.0}), known=6)
    found = {f["name"]: f for f in ask(client, "/v1/query/fields", sweep=sweep)}
    assert found["best"] == {"name": "best", "type": "number", "source": "column", "values": []}
    assert "stopped" in found["state"]["values"]
    assert found["reason"]["values"] == ["max_t"]
    assert found["started_at"]["type"] == "time"
    assert found["parameters.kind"] == {
        **{"name": "parameters.kind", "type": "text", "source": "parameter"},
        "values": ["a", "b"],
    }
    assert found["parameters.x"]["type"] == "number"
    assert found["parameters.net.on"]["type"] == "boolean"
    assert found['parameters.net."odd ""name"""']["type"] == "number"
    for name in found:  # each can be asked
        assert client.get(f"/v1/sweeps/{sweep}/trials", params={"fields": name}).is_success, name
    assert found['max."val/loss"']["source"] == "metric"
    of_sweeps = {f["name"]: f for f in ask(client, "/v1/query/fields")}
    assert of_sweeps["tags"] == {
        **{"name": "tags", "type": "list", "source": "column", "values": ["t"]}
    }
    assert client.get("/v1/query/fields", params={"sweep": "nope"}).status_code == 404


ODD = {
    "x": {"grid": [1, 2, 3]},
    "kind": {"grid": ["a", "b"]},
    "net": {"grid": [{"on": True, 'odd "name"': 1}]},
}


def test_exports_are_typed_by_the_spec(client: TestClient, store: Store) -> None:
    mixed = {
        "count": {"grid": [1, 2]},
        "rate": {"grid": [1, 0.5]},
        "layers": {"grid": [[1, 2]]},
        "net": {"grid": ["plain", {"type": "wide", "on": True}]},
        "nothing": None,
    }
    sweep = scored(client, store, parameters=mixed, **FREE)
    path = f"/v1/sweeps/{sweep}/export"
    table = pyarrow.ipc.open_stream(client.get(path, params={"format": "arrow"}).content).read_all()
    parquet = client.get(path, params={"format": "parquet"})
    assert parquet.headers["content-type"] == "application/vnd.apache.parquet"
    assert parquet.headers["content-disposition"].endswith(f'"sweep-{sweep}.parquet"')
    same = pyarrow.parquet.read_table(io.BytesIO(parquet.content))
    assert same.schema.equals(table.schema)
    assert str(same.to_pydict()) == str(table.to_pydict())  # NaN equals nothing
    csv = client.get(path).text.splitlines()[0].split(",")
    assert table.column_names == csv
    types = {field.name: str(field.type) for field in table.schema}
    assert types["parameters.count"] == "int64"
    assert types["parameters.rate"] == types["metrics.loss"] == types["best"] == "double"
    assert types["parameters.layers"] == types["parameters.net"] == "string"
    assert types["parameters.net.on"] == "bool"
    assert table["parameters.layers"][0].as_py() == "[1, 2]"
    assert table["parameters.net"].to_pylist() == ["plain", None] * 4
    whole = client.get(path, params={"fields": "parameters.net"}).text.splitlines()
    assert whole[1:3] == ["plain", '"{""type"": ""wide"", ""on"": true}"']
    assert str(table["metrics.score"].to_pylist()[2]) == "nan"
    assert table["metrics.score"].to_pylist()[3] is None


def test_an_export_takes_what_was_added_for_what_it_is(client: TestClient, store: Store) -> None:
    sweep = post(client, parameters={"x": {"grid": [1, 2]}}, **FREE)
    answer = client.post(f"/v1/sweeps/{sweep}/trials", json={"trials": [{"x": "much"}]})
    assert answer.is_success, answer.text
    answer = client.get(f"/v1/sweeps/{sweep}/export", params={"format": "arrow"})
    table = pyarrow.ipc.open_stream(answer.content).read_all()
    assert table["parameters.x"].to_pylist() == ["1", "2", "much"]


def test_an_export_of_some_fields(client: TestClient, store: Store) -> None:
    sweep = scored(client, store)
    asked = {"fields": "index,metrics.score@1,parameters", "filter": "best > 0.2", "sort": "-best"}
    text = client.get(f"/v1/sweeps/{sweep}/export", params=asked).text
    assert text.splitlines() == [
        "index,metrics.score@1,parameters.x,parameters.kind",
        "1,0.1,1.0,b",
        "0,0.1,1.0,a",
    ]
    none = {"format": "parquet", "filter": "best > 5", "fields": "index"}
    empty = client.get(f"/v1/sweeps/{sweep}/export", params=none).content
    assert pyarrow.parquet.read_table(io.BytesIO(empty)).num_rows == 0


@pytest.mark.parametrize("more", [{"format": "arrow"}, {"fields": "index"}])
def test_the_published_layout_has_a_form_of_its_own(
    client: TestClient, more: dict[str, str]
) -> None:
    sweep = post(client)
    answer = client.get(f"/v1/sweeps/{sweep}/export", params={"layout": "published", **more})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-query")
