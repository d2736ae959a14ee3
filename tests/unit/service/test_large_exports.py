"""A hundred thousand trials go out of a real server process in little memory."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pyarrow.ipc
import pyarrow.parquet
import pytest
from sqlalchemy import create_engine, text

from service.auth import issue_token
from service.serving import listen
from service.store.open import migrate, open_store
from sweep.states import TrialState
from tests.integration.service_process import wait_for
from tests.unit.store.builders import START, create, drive, moved, reported, send, started
from tests.unit.store.many import multiply

TRIALS = 100_000
LIMIT_MB = 300

PARAMETERS = {
    "task": {"grid": ["elementwise_mul", "logical_xor"]},
    "network": {"grid": [{"type": "dense", "depth": 2, "activation": "selu"}]},
    "lr": {"grid": [1e-3]},
}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, home: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{home / 'sweep.db'}"
    server = str(request.getfixturevalue("postgres"))
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as admin:
        admin.execute(text("CREATE DATABASE exported"))
    engine.dispose()
    return server.replace("/postgres?", "/exported?")


def fill(url: str) -> str:
    """A sweep of that many trials; a token."""
    migrate(url)
    store = open_store(url)
    create(store, parameters=PARAMETERS)
    send(
        store,
        drive(store),
        started(0),
        reported((1, 0.5), (2, 0.25), loss=0.75),
        moved(TrialState.COMPLETED, reason="max_t"),
        known=2,
    )
    multiply(url, "s1", TRIALS)
    secret = issue_token(store, token_id="t", name="me", now=START).secret
    store.close()
    return secret


@contextmanager
def api(url: str, home: Path, token: str) -> Iterator[tuple[int, httpx.Client]]:
    """The API as a process of its own: its id, and a client."""
    with listen("127.0.0.1", 23_000) as probe:
        port = probe.getsockname()[1]
    variables = {k: v for k, v in os.environ.items() if not k.startswith("SWEEP_")}
    command = [sys.executable, "-m", "service", "api", "--home", str(home), "--port", str(port)]
    with (home / "api.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**variables, "SWEEP_DATABASE_URL": url}, stdout=log, stderr=log
        )
    base = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(
            base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=60
        ) as client:
            wait_for(lambda: _is_ready(client), "the API")
            yield process.pid, client
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def peak_mb(pid: int) -> float:
    """The most memory that a process has held at once."""
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    )
    return int(line.split()[1]) / 1024


@pytest.mark.slow
def test_exports_of_many_trials_hold_the_server_small(url: str, home: Path) -> None:
    token = fill(url)
    with api(url, home, token) as (pid, client):
        for form in ("csv", "parquet", "arrow"):
            size = rows = 0
            kept = io.BytesIO()
            path = f"/v1/sweeps/s1/export?format={form}"
            with client.stream("GET", path) as answer:
                for chunk in answer.iter_bytes():
                    size += len(chunk)
                    rows += chunk.count(b"\n") if form == "csv" else 0
                    kept.write(chunk if form != "csv" else b"")
            kept.seek(0)
            if form == "parquet":
                file = pyarrow.parquet.ParquetFile(kept)
                rows = file.metadata.num_rows + 1
                assert file.metadata.num_row_groups > 20
            if form == "arrow":
                rows = pyarrow.ipc.open_stream(kept).read_all().num_rows + 1
            assert (rows, size > 100_000) == (TRIALS + 1, True)
            print(
                f"{url.partition(':')[0]} {form}: {size / 1e6:.1f} MB, {peak_mb(pid):.0f} MB held"
            )
            assert peak_mb(pid) < LIMIT_MB, form
