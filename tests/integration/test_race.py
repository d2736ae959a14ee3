"""Several dispatchers on one database: every sweep is started once, and none is forgotten."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from service.store.interface import Store
from service.store.open import migrate, open_store
from sweep.states import SweepState
from tests.integration.service_process import wait_for
from tests.unit.store.builders import create

SWEEPS = 200
DISPATCHERS = 4
IDS = [f"s{i}" for i in range(SWEEPS)]
Start = tuple[str, int]
"""A sweep and an epoch."""


@pytest.fixture(params=["postgres", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with 200 queued sweeps of one trial."""
    if request.param == "sqlite":
        found = f"sqlite:///{tmp_path / 'sweep.db'}"
        migrate(found)
    else:
        found = request.getfixturevalue("postgres")
        migrate(found)
        engine = create_engine(found)
        with engine.begin() as connection:
            connection.execute(text("TRUNCATE sweeps, events, tokens RESTART IDENTITY CASCADE"))
        engine.dispose()
    store = open_store(found)
    for sweep_id in IDS:
        create(store, sweep_id, parameters={"x": 1})
    store.close()
    return found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


class Racers:
    """Dispatchers as processes that wait to be let go; none outlives the test."""

    def __init__(self, url: str, folder: Path, modes: list[str]) -> None:
        self._folder = folder
        self._processes = [self._start(url, str(i), mode) for i, mode in enumerate(modes)]
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def go(self, racers: range) -> None:
        for racer in racers:
            pipe = self._processes[racer].stdin
            assert pipe is not None
            pipe.write("go\n")
            pipe.flush()

    def started(self, racer: int) -> list[Start]:
        """What a dispatcher wrote down, without a line that it was killed in."""
        path = self._folder / f"{racer}.started"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [(sweep_id, int(epoch)) for sweep_id, epoch in map(str.split, lines)]

    def wait_for_steps(self, racers: range, more: int) -> None:
        """Until each has done this many more steps."""
        before = {racer: self._steps(racer) for racer in racers}
        wait_for(
            lambda: all(self._steps(racer) >= before[racer] + more for racer in racers),
            f"{more} steps of each dispatcher",
        )

    def kill(self, racer: int) -> None:
        self._processes[racer].kill()
        self._processes[racer].wait()

    def wait(self, racers: range) -> None:
        """Until they end by themselves, which they do when nothing is left to do."""
        for racer in racers:
            assert self._processes[racer].wait(120) == 0

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()

    def _steps(self, racer: int) -> int:
        path = self._folder / f"{racer}.steps"
        return path.stat().st_size if path.exists() else 0

    def _start(self, url: str, name: str, mode: str) -> subprocess.Popen[str]:
        module = "tests.integration.racing_dispatcher"
        return subprocess.Popen(
            [sys.executable, "-m", module, url, str(self._folder), name, mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def race(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Racers]:
    """Four dispatchers; the test's parameter says what the first one's drivers do."""
    first = "hang" if "killed" in request.node.name else "finish"
    racers = Racers(url, tmp_path, [first] + ["finish"] * (DISPATCHERS - 1))
    yield racers
    racers.close()


def started_in_audit(store: Store) -> Counter[Start]:
    """How often the store says that a driver was started, by sweep and epoch."""
    return Counter(
        (sweep_id, event.detail["epoch"])
        for sweep_id in IDS
        for event in store.list_events(sweep_id).items
        if event.kind == "driver.started"
    )


def assert_all_completed(store: Store) -> None:
    for sweep_id in IDS:
        sweep = store.get_sweep(sweep_id)
        assert sweep.state is SweepState.COMPLETED
        assert [r.step for r in store.list_reports(f"{sweep_id}-0").items] == [1]


def test_four_dispatchers_start_each_of_200_sweeps_once(race: Racers, store: Store) -> None:
    race.go(range(DISPATCHERS))
    race.wait(range(DISPATCHERS))
    started = Counter(start for racer in range(DISPATCHERS) for start in race.started(racer))
    assert started == Counter((sweep_id, 1) for sweep_id in IDS)
    assert started_in_audit(store) == started
    assert_all_completed(store)
    busy = [racer for racer in range(DISPATCHERS) if race.started(racer)]
    assert len(busy) > 1, "one dispatcher started everything, so there was no race"


def test_sweeps_of_a_killed_dispatcher_are_taken_over_once_their_leases_end(
    race: Racers, store: Store, tmp_path: Path
) -> None:
    survivors = range(1, DISPATCHERS)

    def started_by_survivors() -> Counter[Start]:
        return Counter(start for racer in survivors for start in race.started(racer))

    race.go(range(1))
    wait_for(lambda: race.started(0), "the first dispatcher's first driver")
    race.go(survivors)
    race.kill(0)
    wait_for(
        lambda: all(sweep.state is not SweepState.QUEUED for sweep in store.on_duty()),
        "a driver for every sweep",
    )
    # A step starts a driver, a second trains its sweep, and one was under way.
    race.wait_for_steps(survivors, 3)
    held = {sweep.id for sweep in store.on_duty()}
    assert held == set(IDS) - {sweep_id for sweep_id, _ in started_by_survivors()}
    assert held >= {sweep_id for sweep_id, _ in race.started(0)}
    (tmp_path / "later").touch()
    race.wait(survivors)
    expected = Counter((sweep_id, 2 if sweep_id in held else 1) for sweep_id in IDS)
    assert started_by_survivors() == expected
    assert started_in_audit(store) == expected + Counter((sweep_id, 1) for sweep_id in held)
    assert_all_completed(store)
