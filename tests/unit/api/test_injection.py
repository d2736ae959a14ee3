"""Texts that would be code elsewhere are texts here, wherever they stand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, select, text

from service.query.names import written
from service.store.interface import Store
from service.store.open import migrate, open_store
from service.store.tables import metadata
from sweep.states import TrialState
from tests.unit.api.conftest import Clock, make_app
from tests.unit.api.test_queries import FREE
from tests.unit.api.test_sweeps import post
from tests.unit.store.builders import drive, moved, reported, send, started

ATTEMPTS = [
    "' OR 1=1 --",
    '" OR 1=1 --',
    "'; DROP TABLE trials; --",
    '"; DROP TABLE trials; --',
    "') UNION SELECT token_hash FROM tokens --",
    "1; UPDATE sweeps SET state = 'failed'",
    "%' OR '%'='",
    "\\'; DELETE FROM sweeps; --",
    "$$; DROP TABLE sweeps; $$",
    ":name %(name)s %s ? {0} ${x} {{7*7}}",
    '"."x"."',
    "a'||(SELECT secret)||'",
    "\\u0027 OR 1=1",
    "../../etc/passwd",
    "<script>alert(1)</script>",
]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sweep.db'}"
    server = str(request.getfixturevalue("postgres"))
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as admin:
        admin.execute(text("DROP DATABASE IF EXISTS attacked"))
        admin.execute(text("CREATE DATABASE attacked"))
    engine.dispose()
    return server.replace("/postgres?", "/attacked?")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    migrate(url)
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def client(store: Store, clock: Clock, home: Path) -> Iterator[TestClient]:
    app = make_app(store, clock, home, embedded=True)
    with TestClient(app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False) as made:
        yield made


def everything(url: str) -> dict[str, list[Any]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            name: sorted(map(repr, connection.execute(select(table))))
            for name, table in metadata.tables.items()
        }
    engine.dispose()
    return found


def quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def test_no_question_changes_anything(client: TestClient, store: Store, url: str) -> None:
    sweep = post(client, **FREE)
    send(store, drive(store, sweep), started(0), reported((1, 0.5)), known=6)
    client.post("/v1/tokens", json={"name": "ann"})
    before = everything(url)
    for attempt in ATTEMPTS:
        filters = (
            attempt,
            f"state == {attempt}",
            f"state == {quoted(attempt)}",
            f"reason matches {quoted(attempt)}",
            f"group icontains {quoted(attempt)}",
            f"parameters.{written(attempt)} == {quoted(attempt)}",
            f"metrics.{written(attempt)} > 1",
            f"metrics.{written(attempt)}@1 is not null",
            f"started_at > {quoted(attempt)}",
        )
        questions: list[dict[str, str]] = [{"filter": asked} for asked in filters]
        questions += [
            {"sort": attempt},
            {"sort": f"-parameters.{written(attempt)}"},
            {"sort": f"max.{written(attempt)}"},
            {"fields": attempt},
            {"fields": f"index,parameters.{written(attempt)}.x,metrics.{written(attempt)}@1"},
            {"cursor": attempt},
            {"state": attempt},
            {"limit": attempt},
        ]
        for path in (f"/v1/sweeps/{sweep}/trials", "/v1/sweeps", f"/v1/sweeps/{sweep}/export"):
            for asked in questions:
                answer = client.get(path, params={**asked, "count": "true"})
                assert answer.status_code in (200, 422), (asked, answer.text)
                if answer.status_code == 200 and "filter" in asked:
                    rows = answer.json()["items"] if "export" not in path else answer.text
                    assert not rows or rows.count("\n") == 1, asked
        for path in ("/v1/sweeps/{}", "/v1/trials/{}", "/v1/sweeps/{}/trials", "/v1/trials/{}-0"):
            where = path.format(attempt.replace("/", "%2F").replace("?", "%3F"))
            assert client.get(where).status_code == 404
        answer = client.get("/v1/query/fields", params={"sweep": attempt[:40]})
        assert answer.status_code == 404
    assert everything(url) == before


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_is_stored_under_such_a_name_is_found_by_it(
    client: TestClient, store: Store, attempt: str
) -> None:
    parameters = {
        "x": {"grid": [attempt, "plain"]},
        "net": {"grid": [{attempt: 1, "deep": {attempt: attempt}}]},
    }
    fields = {"name": attempt, "tags": [attempt, "plain"], **FREE}
    sweep = post(client, parameters=parameters, **fields)
    post(client, name="other", tags=["plain"])
    driver = drive(store, sweep)
    failed = moved(TrialState.FAILED, reason=attempt, error=attempt)
    send(store, driver, started(0), reported((1, 0.5), **{attempt: 3.0}), failed, known=2)
    text_, name = quoted(attempt), written(attempt)
    for asked in (
        f"parameters.x == {text_}",
        f"parameters.x startswith {text_} and parameters.net.{_key(attempt)} == 1",
        f"parameters.net.deep.{_key(attempt)} == {text_} and parameters.x != 'plain'",
        f"metrics.{name} == 3 and min.{name} <= 3 and max.{name} >= 3 and metrics.{name}@1 == 3",
        f"reason == {text_} and error contains {text_}",
    ):
        page = client.get(f"/v1/sweeps/{sweep}/trials", params={"filter": asked, "count": True})
        assert [t["index"] for t in page.json().get("items", [page.text])] == [0], asked
        assert page.json()["count"] == 1
    for asked in (f"name == {text_}", f"{text_} in tags", f"name endswith {text_}"):
        page = client.get("/v1/sweeps", params={"filter": asked})
        assert [s["name"] for s in page.json()["items"]] == [attempt]
    fields_ = f"parameters.net.deep.{_key(attempt)},metrics.{name}"
    row = client.get(f"/v1/sweeps/{sweep}/trials", params={"fields": fields_}).json()["items"][0]
    assert list(row.values()) == [attempt, 3.0]
    for form in ("csv", "arrow", "parquet"):
        answer = client.get(f"/v1/sweeps/{sweep}/export", params={"format": form})
        assert answer.is_success
    named = {f["name"] for f in client.get(f"/v1/query/fields?sweep={sweep}").json()}
    assert f"metrics.{name}" in named


def _key(name: str) -> str:
    return f"'{name}'" if "'" not in name else written(name)
