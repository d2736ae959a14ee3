"""Parameters with conditions, through exports, completion and queries."""

import csv
import io
from typing import Any

from fastapi.testclient import TestClient

SPEC: dict[str, Any] = {
    "name": "conditional",
    "trainable": "some.module:train",
    "metric": {"name": "score", "mode": "max"},
    "parameters": {
        "optimizer": {"grid": ["sgd", "adam"]},
        "momentum": {"when": "optimizer == 'sgd'", "grid": [0.5, 0.9]},
        "adam": {"when": "optimizer == 'adam'", "mode": {"grid": ["plain", "amsgrad"]}, "eps": 3},
    },
}


def test_what_is_absent_is_an_empty_cell_and_null_to_a_filter(client: TestClient) -> None:
    sweep = client.post("/v1/sweeps", json=SPEC).json()["id"]
    found = client.get(f"/v1/sweeps/{sweep}/trials").json()["items"]
    assert [trial["parameters"] for trial in found] == [
        {"optimizer": "sgd", "momentum": 0.5},
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adam", "adam": {"mode": "plain", "eps": 3}},
        {"optimizer": "adam", "adam": {"mode": "amsgrad", "eps": 3}},
    ]
    rows = list(csv.DictReader(io.StringIO(client.get(f"/v1/sweeps/{sweep}/export").text)))
    assert [row["parameters.momentum"] for row in rows] == ["0.5", "0.9", "", ""]
    assert [row["parameters.adam.eps"] for row in rows] == ["", "", "3", "3"]
    path = f"/v1/sweeps/{sweep}/trials"
    chosen = client.get(path, params={"filter": "parameters.adam.mode == 'amsgrad'"}).json()
    assert [trial["index"] for trial in chosen["items"]] == [3]


def test_completion_knows_them(client: TestClient) -> None:
    sweep = client.post("/v1/sweeps", json=SPEC).json()["id"]
    fields = client.get("/v1/query/fields", params={"sweep": sweep}).json()
    known = {field["name"]: field for field in fields}
    assert known["parameters.adam.mode"]["values"] == ["plain", "amsgrad"]
    assert known["parameters.momentum"]["type"] == "number"


def test_a_bad_condition_is_a_problem_with_its_path(client: TestClient) -> None:
    parameters = {**SPEC["parameters"], "lr": {"when": "nope == 1", "value": 1}}
    answer = client.post("/v1/sweeps", json={**SPEC, "parameters": parameters})
    assert answer.status_code == 422
    assert [p["path"] for p in answer.json()["problems"]] == ["parameters.lr.when"]
