"""Logs over REST."""

from fastapi.testclient import TestClient

from service.store.interface import Store
from sweep.states import TrialState
from tests.unit.api.test_sweeps import SPEC
from tests.unit.store.builders import drive, moved, send, started
from tests.unit.store.test_logs import in_pack, printed


def fill(client: TestClient, store: Store) -> str:
    """A sweep whose first trial printed in two attempts, the second one in a pack."""
    sweep_id: str = client.post("/v1/sweeps", json=SPEC).json()["id"]
    driver = drive(store, sweep_id)
    send(store, driver, started(), printed(0, "no line end"), known=6)
    send(store, driver, moved(TrialState.PENDING, reason="retry"), known=6)
    send(store, driver, in_pack(0, "3-1", attempt=2), known=6)
    lines = [printed(seq, f"line {seq}\n", work="3-1") for seq in range(3)]
    send(store, driver, *lines, printed(3, "oh\n", work="3-1", stream="stderr"), known=6)
    return sweep_id


def test_programs_get_pieces_in_pages(client: TestClient, store: Store) -> None:
    url = f"/v1/trials/{fill(client, store)}-0/logs"
    page = client.get(url, params={"limit": 2}).json()
    assert page["items"][0] == {
        "attempt": 1,
        "work": "0-1",
        "packed": False,
        "node": "node-1",
        "stream": "stdout",
        "time": "2026-01-01T00:00:02Z",
        "text": "no line end",
    }
    rest = client.get(url, params={"cursor": page["next_cursor"]}).json()
    assert [item["text"] for item in rest["items"]] == ["line 1\n", "line 2\n", "oh\n"]
    assert rest["next_cursor"] is None
    last = client.get(url, params={"tail": 1, "stream": "stdout"}).json()["items"]
    assert [item["text"] for item in last] == ["line 2\n"]


def test_people_get_text_under_headings(client: TestClient, store: Store) -> None:
    url = f"/v1/trials/{fill(client, store)}-0/logs"
    answer = client.get(url, params={"format": "text", "limit": 1})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == (
        "==> attempt 1, on node-1 <==\nno line end\n"
        "==> attempt 2, in pack 3-1, on node-2 <==\nline 0\nline 1\nline 2\noh\n"
    )


def test_bad_questions_are_problems(client: TestClient, store: Store) -> None:
    sweep_id = fill(client, store)
    assert client.get(f"/v1/trials/{sweep_id}-99/logs").status_code == 404
    for bad in ({"tail": 0}, {"stream": "stdin"}, {"cursor": "x"}, {"format": "xml"}):
        assert client.get(f"/v1/trials/{sweep_id}-0/logs", params=bad).status_code == 422


def test_a_token_is_needed(guarded: TestClient) -> None:
    assert guarded.get("/v1/trials/s1-0/logs").status_code == 401
