"""One size of the simulation: on a database of its own, checked, measured."""

import itertools
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
from sqlalchemy import create_engine, text

from benchmarks.postgres import start_postgres
from benchmarks.simulated import RUNGS, START, Agenda, CoreCost, SimulatedWorkers, Timer, spec_of
from benchmarks.simulated_service import Measured, Scenario, Simulation, load_rungs, load_tasks
from service.store.open import migrate, open_store
from sweep.rows import planned_row, to_task
from sweep.space import PlannedTrial, Space
from sweep.spec import SweepSpec
from sweep.wire import TrialTask
from workers.driver.core import SweepCore

T = TypeVar("T")
_SIZE_OF = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}
_BAD_TRIALS = f"""
    SELECT count(*) FROM trials JOIN sweeps ON sweeps.pk = trials.sweep_pk
    WHERE sweeps.state <> 'completed'
    OR trials.state NOT IN ('completed', 'stopped', 'diverged')
    OR trials.state = 'completed' AND trials.reports <> trials.max_t
    OR trials.state = 'stopped' AND trials.reports NOT IN ({RUNGS[0]}, {RUNGS[1]})
    OR trials.state = 'diverged' AND trials.reports <> 2
"""


@dataclass(frozen=True)
class Loaded:
    """What a driver that starts takes for one large sweep."""

    trials: int
    seconds: float
    memory: int
    """Bytes, resident, that its core came to hold."""


@dataclass(frozen=True)
class Row:
    """What one size gave."""

    measured: Measured
    database_bytes: int
    loaded: Loaded


@dataclass(frozen=True)
class Alone:
    """What the core of a sweep by itself took."""

    trials: int
    memory: int
    """Bytes, resident, that it came to hold from its start to its end."""
    report_s: tuple[float, ...]
    """Seconds of the CPU a report, in each tenth of the reports."""


def simulate(scenario: Scenario, postgres: bool) -> Row:
    """One scenario on a database of its own.

    Raises:
        AssertionError: when a trial did not end whole.
    """
    timer: Timer = time.perf_counter if postgres else time.thread_time
    with tempfile.TemporaryDirectory() as folder, _database(Path(folder), postgres) as url:
        migrate(url)
        store = open_store(url)
        measured = Simulation(store, scenario, timer=timer).run()
        store.close()
        _check(url, scenario.trials)
        loaded = in_process(load, url, "s0")
        return Row(measured, _size(url), loaded)


@contextmanager
def _database(folder: Path, postgres: bool) -> Iterator[str]:
    if not postgres:
        yield f"sqlite:///{folder / 'sweep.db'}"
        return
    with start_postgres(folder) as url:
        yield url


def _check(url: str, trials: int) -> None:
    """Every trial ended, and holds the reports of one unbroken training."""
    found = _ask(url, "SELECT count(*) FROM trials")
    reports = _ask(url, "SELECT count(*) FROM reports")
    assert found == trials, f"{found} trials instead of {trials}"
    assert _ask(url, _BAD_TRIALS) == 0, "a trial did not end whole"
    assert _ask(url, "SELECT sum(reports) FROM trials") == reports, "reports were lost"


def _size(url: str) -> int:
    return _ask(url, _SIZE_OF["sqlite" if url.startswith("sqlite") else "postgresql"])


def _ask(url: str, question: str) -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        answer = connection.execute(text(question)).scalar_one()
    engine.dispose()
    return int(answer)


def in_process(work: Callable[..., T], *args: object) -> T:
    """The answer of a function that runs in a fresh process, for its memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, args)


def load(url: str, sweep_id: str) -> Loaded:
    """What a successor's start takes: every trial and rung decision read, a core built."""
    store = open_store(url)
    before, began = psutil.Process().memory_info().rss, time.thread_time()
    spec = store.get_sweep(sweep_id).spec
    core = SweepCore(
        spec,
        load_tasks(store, sweep_id),
        load_rungs(store, sweep_id),
        max_concurrent=spec.max_concurrent,
        now=Agenda()(),
    )
    took = time.thread_time() - began
    return Loaded(core.known_trials, took, psutil.Process().memory_info().rss - before)


def alone(trials: int) -> Alone:
    """Run a sweep of that many trials on its core, its messages dropped."""
    spec = spec_of("alone", trials=trials, workers=500)
    agenda, cost = Agenda(), CoreCost()
    before = psutil.Process().memory_info().rss
    core = SweepCore(
        spec, [_task(t, spec) for t in Space(spec).trials()], (), max_concurrent=500, now=agenda()
    )
    workers = SimulatedWorkers(core, agenda, lambda messages: None, most=500, cost=cost)
    workers.fill()
    marks = [(0, 0.0)]
    while agenda.next():
        marks.append((cost.reports, cost.seconds))
    core.finish(agenda())
    assert core.done
    return Alone(trials, psutil.Process().memory_info().rss - before, _tenths(marks))


def _task(trial: PlannedTrial, spec: SweepSpec) -> TrialTask:
    return to_task(planned_row(trial, spec, START), "alone")


def _tenths(marks: list[tuple[int, float]]) -> tuple[float, ...]:
    """Seconds a report in each tenth of the (reports, seconds) so far."""
    edges = [marks[i * (len(marks) - 1) // 10] for i in range(11)]
    pairs = itertools.pairwise(edges)
    return tuple((b[1] - a[1]) / max(1, b[0] - a[0]) for a, b in pairs)
