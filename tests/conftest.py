"""Fixtures that tests of several parts share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from benchmarks.postgres import start_postgres
from service.store.interface import Store
from service.store.open import migrate, open_store
from tests.chaos.runs import FAULT, Outcome
from tests.fixtures import RayCluster


class FolderScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps the tests that share a Ray cluster in one process, and every other file whole."""

    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.split("/")[1]
        return folder if folder in ("chaos", "integration") else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FolderScheduling:
    """Called where tests run in several processes."""
    return FolderScheduling(config, log)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server, started for this run of the tests."""
    with start_postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """One Ray head for all tests that need one."""
    cluster = RayCluster(tmp_path_factory.mktemp("ray"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store in a SQLite file."""
    url = f"sqlite:///{tmp_path / 'sweep.db'}"
    migrate(url)
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the service, and no settings from the environment."""
    for name in ("SWEEP_URL", "SWEEP_TOKEN", "SWEEP_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of faults; here, since the process that prints loads no folder's own."""
    outcomes = [
        Outcome(*value)
        for result in ("passed", "failed")
        for report in terminalreporter.getreports(result)
        if report.when == "call"
        for name, value in report.user_properties
        if name == FAULT
    ]
    if not outcomes:
        return
    width = max(len(outcome.fault) for outcome in outcomes)
    terminalreporter.section("faults")
    terminalreporter.write_line(f"{'fault':<{width}}  recovery  lost rows")
    for outcome in outcomes:
        took = "-" if outcome.recovery_s is None else f"{outcome.recovery_s:.1f} s"
        terminalreporter.write_line(f"{outcome.fault:<{width}}  {took:>8}  {outcome.lost_rows:>9}")
