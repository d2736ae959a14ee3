"""The service as a process over a database, with one large sweep in it."""

import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import select, text

from benchmarks.postgres import start_postgres
from benchmarks.results_data import NETWORKS, TASKS, values_of
from service.auth import hash_secret, issue_token, new_driver_token
from service.store.interface import NewSweep, Store
from service.store.open import migrate, open_store
from service.store.sql import bulk
from service.store.sql.engine import make_engine, transaction
from service.store.tables import sweeps, trials
from sweep.rows import TrialRow, planned_row
from sweep.space import Space
from sweep.spec import SweepSpec, parse_spec
from sweep.states import TrialState
from sweep.wire import ReportRow

START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(hours=1)
_CHUNK = 200


@dataclass(frozen=True)
class Running:
    """A server on a database."""

    url: str
    database: str
    store: Store
    token: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """CPU seconds that the server has used; those of PostgreSQL's processes apart."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def spec_of(size: int) -> SweepSpec:
    """A grid of tasks, networks and rates with about so many trials, and no fewer."""
    rates = max(1, math.ceil(size / (TASKS * NETWORKS)))
    return parse_spec(
        {
            "name": f"results-{size}",
            "trainable": "noop",
            "metric": {"name": "accuracy", "mode": "max"},
            "parameters": {
                "task": {"grid": [f"task-{i}" for i in range(TASKS)]},
                "network": {"grid": [f"network-{i}" for i in range(NETWORKS)]},
                "lr": {"grid": [1e-6 * (i + 1) for i in range(rates)]},
            },
            "early_stopping": {"type": "none", "max_t": 1_000_000},
        }
    )


def reports_of(draw: random.Random, steps: range) -> list[ReportRow]:
    """The reports of one trial."""
    return [
        ReportRow(step=step, time=START + timedelta(seconds=step), values=values_of(draw, step))
        for step in steps
    ]


@contextmanager
def server(kind: str) -> Iterator[Running]:
    """The API in a process of its own on an empty database."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = f"sqlite:///{home / 'sweep.db'}"
        if kind == "postgresql":
            database = stack.enter_context(start_postgres(home / "postgres"))
        migrate(database)
        store = stack.enter_context(closing(open_store(database)))
        token = issue_token(store, token_id="bench", name="bench", now=START).secret
        port = 18_190
        environment = {
            **os.environ,
            "SWEEP_DATABASE_URL": database,
            "SWEEP_HOME": str(home),
            "SWEEP_PORT": str(port),
        }
        log = stack.enter_context((home / "server.log").open("w"))
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "api"], env=environment, stderr=log
        )
        stack.callback(_end, process)
        url = _address(process, home / "server.log")
        yield Running(url, database, store, token, psutil.Process(process.pid))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that the server tells in its log, once it answers."""
    while process.poll() is None:
        _, found, rest = log.read_text().partition("the API is at ")
        if found and "\n" in rest:
            url = rest.split()[0]
            try:
                if httpx.get(f"{url}/readyz").is_success:
                    return url
            except httpx.TransportError:
                pass
        time.sleep(0.05)
    raise RuntimeError(f"the server has ended: {log.read_text()}")


def create(running: Running, sweep_id: str, size: int) -> SweepSpec:
    """Store a sweep of about that size."""
    spec = spec_of(size)
    new = NewSweep(id=sweep_id, spec=spec, created_by="bench", created_at=START)
    running.store.create_sweep(new, Space(spec).trials())
    return spec


def lease(running: Running, sweep_id: str) -> str:
    """A driver's token for the sweep."""
    secret, _ = new_driver_token()
    now = datetime.now(UTC)
    epoch = running.store.start_driver(
        sweep_id, after_epoch=0, token_hash=hash_secret(secret), now=now, lease=LEASE
    )
    assert epoch == 1
    return secret


def fill(running: Running, sweep_id: str, spec: SweepSpec, *, reports: int) -> int:
    """Give every trial of the sweep so many reports, as drivers' batches would; in bulk."""
    engine = make_engine(running.database)
    draw = random.Random(0)
    planned = Space(spec).trials()
    written = 0
    with transaction(engine, writes=False) as connection:
        key = connection.execute(select(sweeps.c.pk).where(sweeps.c.id == sweep_id)).scalar_one()
        found: Any = connection.execute(
            select(trials.c["index"], trials.c.pk).where(trials.c.sweep_pk == key)
        )
        keys = dict(tuple(row) for row in found)
    while chunk := list(islice(planned, _CHUNK)):
        made = [
            (keys[t.index], *_trained(planned_row(t, spec, START), spec, draw, reports))
            for t in chunk
        ]
        with transaction(engine, writes=True) as connection:
            bulk.update_trials(connection, [(pk, row) for pk, row, _ in made], version=1)
            bulk.insert_reports(connection, ((pk, r) for pk, _, rows in made for r in rows))
        written += len(made)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE"))
    engine.dispose()
    return written


def _trained(
    row: TrialRow, spec: SweepSpec, draw: random.Random, reports: int
) -> tuple[TrialRow, Sequence[ReportRow]]:
    rows = reports_of(draw, range(1, reports + 1))
    row.add_reports(rows, metric=spec.metric, rung_metric=spec.rung_metric)
    row.state, row.attempts, row.node = TrialState.COMPLETED, 1, f"10.0.0.{row.index % 8}"
    row.started_at, row.ended_at = START, START + timedelta(seconds=reports)
    return row, rows
