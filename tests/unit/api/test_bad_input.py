"""Whatever is posted, the answer is a clear problem document and nothing is stored."""

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.unit.api.test_sweeps import SPEC


def bad(**changes: Any) -> dict[str, Any]:
    return {**SPEC, **changes}


def x(kind: Any) -> dict[str, Any]:
    return {**SPEC, "parameters": {"x": kind}, "early_stopping": {"type": "none"}}


COST = {"name": "cost", "mode": "min"}

CASES: list[tuple[str, Any, str, str]] = [
    ("unknown field", bad(epochs=3), "epochs", "not permitted"),
    ("not a mapping", [1, 2], "", "mapping"),
    ("missing name", {k: v for k, v in SPEC.items() if k != "name"}, "name", "required"),
    ("empty grid", x({"grid": []}), "parameters.x.grid", "at least one value"),
    ("min above max", x({"uniform": {"min": 2, "max": 1}}), "parameters.x.uniform", "above"),
    (
        "log of zero",
        x({"loguniform": {"min": 0, "max": 1}}),
        "parameters.x.loguniform.min",
        "greater than 0",
    ),
    (
        "too wide",
        x({"uniform": {"min": -1e308, "max": 1e308}}),
        "parameters.x.uniform",
        "narrow the range",
    ),
    (
        "a slip",
        x({"unifrom": {"min": 0, "max": 1}}),
        "parameters.x.unifrom",
        "did you mean 'uniform'",
    ),
    ("W&B's", x({"choices": [1, 2]}), "parameters.x.choices", "did you mean 'choice'"),
    (
        "twice",
        bad(search={"type": "nsga2", "num_trials": 9, "objectives": [COST, COST]}),
        "search",
        "objectives name cost twice",
    ),
    ("two kinds", x({"grid": [1], "choice": [1]}), "parameters.x", "stand alone"),
    ("weights", x({"choice": {"values": [1, 2], "weights": [1]}}), "parameters.x.choice", "1 w"),
    ("drawn in a grid", x({"uniform": {"min": 0, "max": 1}}), "parameters.x", "random or sobol"),
    ("unknown trainable", bad(trainable="tyo"), "trainable", "toy"),
    ("wrong type", x({"grid": [1.0, "two"]}), "parameters.x", "number"),
    (
        "unknown parameter",
        bad(parameters={"x": 1.0, "kind": "a", "y": 2}),
        "parameters.y",
        "not permitted",
    ),
    ("unknown metric", bad(metric={"name": "f1", "mode": "max"}), "metric.name", "score, loss"),
    ("excluded", bad(exclude=["x > 0"]), "exclude", "leaves 0 of the 6"),
    ("text below a number", bad(exclude=["kind < x"]), "exclude[0]", "cannot be evaluated"),
    ("call in exclude", bad(exclude=["open('x')"]), "exclude[0]", "call"),
    ("dunder in exclude", bad(exclude=["x.__class__ == 1"]), "exclude[0]", "__class__"),
    ("name in exclude", bad(exclude=["nope == 1"]), "", "nope"),
    (
        "group",
        bad(early_stopping={"type": "asha", "max_t": 9, "group_by": ["nope"]}),
        "early_stopping.group_by[0]",
        "x, kind",
    ),
    (
        "rungs",
        bad(early_stopping={"type": "asha", "max_t": 9, "grace_period": 10}),
        "early_stopping.grace_period",
        "above max_t 9",
    ),
    ("max_t", bad(early_stopping={"type": "asha", "max_t": 0}), "early_stopping.max_t", "1"),
    ("no max_t", {**x(1.0), "trainable": "unbounded"}, "early_stopping.max_t", "told to stop"),
    ("a bool as number", bad(replicates=True), "replicates", "integer"),
    ("nul", bad(name="a\x00b"), "name", "NUL"),
    ("nul in a grid", x({"grid": ["a\x00b"]}), "parameters.x.grid[0]", "NUL"),
    ("huge integer", x({"grid": [10**30]}), "parameters.x.grid[0]", "64 bits"),
    ("integer of 400 digits", x({"grid": [10**400]}), "parameters.x.grid[0]", "64 bits"),
]


@pytest.mark.parametrize(
    ("spec", "path", "part"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_bad_spec_names_the_bad_field(
    client: TestClient, spec: Any, path: str, part: str
) -> None:
    answer = client.post("/v1/sweeps", json=spec)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["status"]) == ("invalid-spec", 422)
    if path:
        assert path in {p["path"] for p in problem["problems"]}
    assert part in problem["detail"]
    assert client.get("/v1/sweeps").json()["items"] == []


def test_every_bad_field_is_named_at_once(client: TestClient) -> None:
    spec = bad(epochs=3, metric={"name": "score", "mode": "up"}, parameters={"x": {"grid": []}})
    problems = client.post("/v1/sweeps", json=spec).json()["problems"]
    assert {p["path"] for p in problems} == {"epochs", "metric.mode", "parameters.x.grid"}


RAW: list[tuple[str, bytes, str, int, str]] = [
    ("10 MB", b"x" * 10_000_000, "application/json", 413, "too-large"),
    ("nan in json", b'{"name": NaN}', "application/json", 422, "invalid-spec"),
    ("nan in yaml", b"name: .nan", "application/yaml", 422, "invalid-spec"),
    ("infinity in yaml", b"name: 1e999", "application/yaml", 422, "invalid-spec"),
    ("surrogate in yaml", b'name: "\\ud800"', "application/yaml", 422, "invalid-spec"),
    ("5,000 digits", b'{"name": ' + b"1" * 5_000 + b"}", "application/json", 422, "invalid-spec"),
    ("5,000 in yaml", b"name: " + b"1" * 5_000, "application/yaml", 422, "invalid-spec"),
    ("infinity in json", b'{"name": 1e999}', "application/json", 422, "invalid-spec"),
    ("broken json", b'{"name": ', "application/json", 422, "invalid-spec"),
    ("not utf-8", b'{"name": "\xff"}', "application/json", 422, "invalid-spec"),
    ("not utf-8 yaml", b"name: \xff", "application/yaml", 422, "invalid-spec"),
    ("surrogate", b'{"name": "\\ud800"}', "application/json", 422, "invalid-spec"),
    ("deep json", b"[" * 100_000, "application/json", 422, "invalid-spec"),
    ("deep yaml", b"[" * 100_000, "application/yaml", 413, "too-large"),
    ("empty", b"", "application/json", 422, "invalid-spec"),
    ("empty yaml", b"", "application/yaml", 422, "invalid-spec"),
    ("python tag", b"!!python/object:os.system {}", "application/yaml", 422, "invalid-spec"),
    ("recursive alias", b"&a [*a]", "application/yaml", 422, "invalid-spec"),
    ("duplicate key", b"name: a\nname: b", "application/yaml", 422, "invalid-spec"),
    ("xml", b"<name/>", "application/xml", 415, "unsupported-media-type"),
]


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"), [c[1:] for c in RAW], ids=[c[0] for c in RAW]
)
def test_a_body_that_cannot_be_read(
    client: TestClient, body: bytes, kind: str, status: int, code: str
) -> None:
    answer = client.post("/v1/sweeps", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert client.get("/v1/sweeps").json()["items"] == []


def test_a_yaml_bomb_and_a_huge_grid_are_refused_at_once(client: TestClient) -> None:
    bomb = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "\n".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]" for i in range(12)
    )
    grids = {f"p{i}": {"grid": list(range(100))} for i in range(6)}
    before = time.monotonic()
    answer = client.post("/v1/sweeps", content=bomb, headers={"Content-Type": "application/yaml"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    answer = client.post("/v1/sweeps", json={**x(1.0), "parameters": grids})
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert "1,000,000,000,000" in answer.json()["detail"]
    assert time.monotonic() - before < 10  # it would take years to enumerate


@pytest.mark.parametrize("size", [999_999, 1_000_001])
def test_a_chunked_body_is_bounded_too(client: TestClient, size: int) -> None:
    chunks = (b" " * 1000 for _ in range(0, size, 1000))
    answer = client.post("/v1/sweeps", content=chunks, headers={"Content-Type": "application/json"})
    assert answer.status_code == (413 if size > 1_000_000 else 422)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/sweeps?limit=0",
        "/v1/sweeps?limit=-1",
        "/v1/audit?cursor=nope",
        "/v1/sweeps?limit=9999999999999999999999",
        "/v1/sweeps?state=nope",
        "/v1/sweeps?cursor=nope",
        "/v1/sweeps/x/trials?filter=bst>1",
        "/v1/sweeps/x/trials?sort=nope",
        "/v1/sweeps/x/export?format=xls",
        "/v1/sweeps/x/trials?filter=%00",
    ],
)
def test_a_bad_query_is_said_so(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_not_there_is_a_problem_too(client: TestClient) -> None:
    for path in ("/nope", "/v1/sweeps/nope", "/v1/trials/nope-1", "/v1/trials/a%00-1"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert client.put("/v1/sweeps").json()["code"] == "method-not-allowed"


def test_a_bad_cursor_is_said_so_on_every_list(client: TestClient) -> None:
    client.post("/v1/sweeps", json=SPEC)
    sweep = "/v1/sweeps/id1"
    for path in (f"{sweep}/trials", f"{sweep}/rungs", f"{sweep}/audit", "/v1/trials/id1-0/reports"):
        answer = client.get(path, params={"cursor": "nope"})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-query"), path


def test_an_unexpected_error_gives_a_number_and_no_traceback(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from service.store.sql.store import SqlStore

    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(SqlStore, "list_sweeps", broken)
    answer = client.get("/v1/sweeps")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text
