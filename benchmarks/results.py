"""Results over REST: reports taken a second, and how long questions take.

The service runs in a process of its own on SQLite and on PostgreSQL. One driver posts batches
of reports of two metrics; then a sweep is filled in
bulk and asked over REST, each question thirty times. MLflow and Optuna get the same values
on SQLite, with no HTTP between, and are asked at the size that they reach in the time given;
MLflow runs in a virtual environment of its own, made at the first run (or MLFLOW_PYTHON's).

    python -m benchmarks.results --trials 10000 100000 --reports 50
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import httpx

from benchmarks.growth import exponent, quantile
from benchmarks.results_peers import Peer, mlflow_peer, optuna_peer
from benchmarks.results_service import Running, create, fill, lease, reports_of, server
from sweep.wire import Batch, Known, Message, Reports, TrialStarted
from workers.driver.outbox import MAX_BATCH_ROWS
from workers.driver.service import DriverService

ROUNDS = 30
TARGET_RATE = {"sqlite": 40_000, "postgresql": 20_000}
TARGET_MS = {"pivot": 250.0}
DEFAULT_TARGET_MS = 50.0
_INGEST_TRIALS = 1_296
_WHERE = "parameters.task == 'task-3' and best > 0.5"

QUESTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "filtered top 20": ("trials", {"filter": _WHERE, "sort": "-best", "limit": "20"}),
    "top 20": ("trials", {"sort": "-best", "limit": "20"}),
    "one page": ("trials", {"limit": "100"}),
    "count": ("trials", {"filter": _WHERE, "count": "true", "limit": "1"}),
    "pivot": (
        "pivot",
        {
            "rows": "parameters.task",
            "columns": "parameters.network",
            "metric": "best",
            "aggregate": "mean",
        },
    ),
    "curves of 50": ("curves", {"metric": "loss", "sort": "-best", "trials": "50"}),
}


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    options = _options(arguments)
    rates: dict[str, float] = {}
    for kind in options.databases:
        with server(kind) as running:
            rates[kind] = _ingest(running, kind, options.ingest, options.rows)
            _ask_all(running, options.trials, options.reports)
    peers = _peers(options.reports, options.peer_seconds) if options.peer_seconds else []
    _print_peers(rates, peers)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--trials", nargs="*", type=int, default=[1_000, 10_000])
    parser.add_argument("--reports", type=int, default=50, help="of each trial")
    parser.add_argument("--ingest", type=int, default=200_000, help="reports posted")
    parser.add_argument("--rows", type=int, default=50, help="reports in one message")
    parser.add_argument("--peer-seconds", type=float, default=20, help="120 for the whole; 0: none")
    return parser.parse_args(arguments)


def _ingest(running: Running, kind: str, reports: int, rows: int) -> float:
    """Reports a second through the REST path."""
    create(running, "ingest", _INGEST_TRIALS)
    secret = lease(running, "ingest")
    known = Known(trials=_INGEST_TRIALS)
    with closing(DriverService(running.url, secret)) as driver:
        began = [
            TrialStarted(trial=i, attempt=1, time=reports_of(random.Random(), range(1, 2))[0].time)
            for i in range(_INGEST_TRIALS)
        ]
        driver.send(began, known=known)
        batches = list(_batches(reports, rows))
        sent, started, used = 0, time.perf_counter(), running.cpu_s()
        for messages in batches:
            driver.send(messages, known=known)
            sent += sum(len(m.rows) for m in messages if isinstance(m, Reports))
        took, used = time.perf_counter() - started, running.cpu_s() - used
        size = len(Batch(messages=tuple(batches[0]), known=known).model_dump_json())
    stored = sum(t["reports"] for t in _pages(running, "ingest"))
    assert stored == sent, f"{sent} reports were sent and {stored} are stored"
    rate = sent / took
    print(
        f"{kind}: {sent:,} reports of 2 values in {len(batches)} batches of {size:,} bytes: "
        f"{rate:,.0f} reports/s (target {TARGET_RATE[kind]:,}); "
        f"{used / sent * 1e6:.1f} us of the server's CPU a report",
        flush=True,
    )
    return rate


def _batches(reports: int, rows: int) -> Iterator[list[Message]]:
    """Batches as a driver makes them, each trial's steps ascending."""
    draw = random.Random(0)
    batch: list[Message] = []
    size = made = step = 0
    while made < reports:
        for trial in range(_INGEST_TRIALS):
            told = reports_of(draw, range(step + 1, step + rows + 1))
            batch.append(Reports(trial=trial, attempt=1, rows=tuple(told)))
            size, made = size + rows, made + rows
            if size + rows > MAX_BATCH_ROWS or made >= reports:
                yield batch
                batch, size = [], 0
            if made >= reports:
                return
        step += rows


def _pages(running: Running, sweep_id: str) -> Iterator[Mapping[str, int]]:
    cursor: str | None = None
    with _client(running) as client:
        while True:
            given = {"limit": "1000", **({} if cursor is None else {"cursor": cursor})}
            answer = client.get(f"/v1/sweeps/{sweep_id}/trials", params=given)
            page = answer.raise_for_status().json()
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


def _client(running: Running) -> httpx.Client:
    headers = {"Authorization": f"Bearer {running.token}"}
    return httpx.Client(base_url=running.url, headers=headers, timeout=300)


def _ask_all(running: Running, sizes: Sequence[int], reports: int) -> None:
    """Fill a sweep of each size and ask; print a row a question."""
    times: dict[str, list[tuple[int, float]]] = {}
    print(f"  {'trials':>9} {'reports':>11}  {'question':16} {'p50 ms':>8} {'p95 ms':>8}  target")
    for size in sizes:
        sweep_id = f"size{size}"
        spec = create(running, sweep_id, size)
        count = fill(running, sweep_id, spec, reports=reports)
        for name in QUESTIONS:
            took = _ask(running, sweep_id, name)
            if took is None:
                print(f"  {count:9,} {count * reports:11,}  {name:16} not in this service yet")
                continue
            p50, p95 = quantile(took, 0.5) * 1e3, quantile(took, 0.95) * 1e3
            target = TARGET_MS.get(name, DEFAULT_TARGET_MS)
            verdict = "met" if p95 < target else "missed"
            print(
                f"  {count:9,} {count * reports:11,}  {name:16} {p50:8.1f} {p95:8.1f}  "
                f"{target:g} ms {verdict}",
                flush=True,
            )
            times.setdefault(name, []).append((count, p50))
    for name, points in times.items():
        if len(points) > 1:
            grown = exponent([n for n, _ in points], [ms for _, ms in points])
            print(f"  {name}: grows with the power {grown:.2f} of the trials")


def _ask(running: Running, sweep_id: str, name: str) -> list[float] | None:
    """The times of one question, the first left out; None when the service lacks it."""
    route, given = QUESTIONS[name]
    times = []
    with _client(running) as client:
        for _ in range(ROUNDS + 1):
            began = time.perf_counter()
            answer = client.get(f"/v1/sweeps/{sweep_id}/{route}", params=given)
            times.append(time.perf_counter() - began)
            if answer.status_code == 404:
                return None
            answer.raise_for_status()
            if "count" in given and answer.json().get("count") is None:
                return None
    return times[1:]


def _peers(reports: int, seconds: float) -> list[Peer]:
    found = [optuna_peer(reports=reports, ingest=2_000, seconds=seconds)]
    try:
        found.append(mlflow_peer(reports=reports, ingest=10_000, seconds=seconds))
    except (RuntimeError, OSError) as error:
        print(error)
    return found


def _print_peers(rates: Mapping[str, float], peers: Sequence[Peer]) -> None:
    for kind, rate in rates.items():
        print(f"this service, REST, {kind:10} {rate:10,.0f} reports/s")
    for peer in peers:
        ratios = ", ".join(f"{rate / peer.reports_s:,.0f} x on {k}" for k, rate in rates.items())
        print(f"{peer.name + ', SQLite':31} {peer.reports_s:10,.0f} reports/s; ours: {ratios}")
        print(f"  {peer.query} among {peer.size:,}: {peer.seconds * 1e3:,.0f} ms")


if __name__ == "__main__":
    main(sys.argv[1:])
