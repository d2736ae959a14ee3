"""Trials that a user adds by their own route, as its documentation shows it."""

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.problems import _TITLES
from sweep.loading import load_yaml
from tests.unit.api.test_sweeps import SPEC

DOCS = Path("docs/api.md")
QUICKSTART = Path("studies/arithmetic-quickstart.yaml")


def test_the_documented_trial_fits_the_sweep_posted_above_it(client: TestClient) -> None:
    spec = {**load_yaml(QUICKSTART.read_bytes()), "trainable": "some.module:train"}
    sweep = client.post("/v1/sweeps", json=spec).json()
    (body,) = re.findall(r"/sweeps/ID/trials \\\n +-d '([^']+)'", DOCS.read_text())
    answer = client.post(f"/v1/sweeps/{sweep['id']}/trials", json=json.loads(body))
    assert answer.status_code == 201, answer.text
    assert sum(answer.json()["trials"].values()) == sum(sweep["trials"].values()) + 1


def test_problems_stand_where_the_body_has_them(client: TestClient) -> None:
    sweep = client.post("/v1/sweeps", json=SPEC).json()["id"]
    body = {"trials": [{"nope": 1}]}
    answer = client.post(f"/v1/sweeps/{sweep}/trials", json=body)
    assert answer.status_code == 422
    paths = {problem["path"] for problem in answer.json()["problems"]}
    assert "trials[0].nope" in paths
    assert not any(path.startswith("add.") for path in paths)
    edited = client.patch(f"/v1/sweeps/{sweep}", json={"add": body}).json()["problems"]
    assert {problem["path"] for problem in edited} == {f"add.{path}" for path in paths}


@pytest.mark.parametrize("body", [[], "x", 1])
def test_a_body_that_is_no_mapping_is_the_problem_itself(client: TestClient, body: object) -> None:
    sweep = client.post("/v1/sweeps", json=SPEC).json()["id"]
    answer = client.post(f"/v1/sweeps/{sweep}/trials", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        f"what is added is a mapping of fields to values; got {body!r}"
    )
    assert not answer.json().get("problems")


def test_every_code_of_a_problem_is_documented() -> None:
    text = DOCS.read_text()
    assert [code for code in _TITLES if f"`{code}`" not in text] == []
