"""`sweep up`: the service as a child process, and a first sweep run on it."""

import csv
import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from sweep.cli.output import best_trials, leaderboard
from sweep.cli.progress import follow
from sweep.client import Client, home_folder
from sweep.errors import SweepError
from sweep.plain import flatten
from sweep.records import TrialRecord

_POLL_S = 0.1
_READY_WITHIN_S = 60.0


@dataclass(frozen=True)
class Options:
    """How to start the service; None leaves a choice to it."""

    host: str | None = None
    port: int | None = None
    home: Path | None = None
    num_cpus: int | None = None
    num_gpus: int | None = None

    def command(self) -> list[str]:
        """The child's command line."""
        command = [sys.executable, "-m", "service", "up"]
        given: Mapping[str, object] = {
            "--host": self.host,
            "--port": self.port,
            "--home": self.home,
            "--num-cpus": self.num_cpus,
            "--num-gpus": self.num_gpus,
        }
        for name, value in given.items():
            if value is not None:
                command += [name, str(value)]
        return command


def serve(options: Options, *, spec: Path | None, console: Console) -> int:
    """Start the service, run a spec on it if one is given, and serve until told to stop.

    Returns:
        The service's exit code; 0 after an interrupt.
    """
    if spec is not None and not spec.is_file():
        raise SweepError(f"there is no spec at {str(spec)!r}")
    try:
        with _child(options) as child:
            return _attend(child, options.home or home_folder(), spec, console)
    except KeyboardInterrupt:
        console.print("stopping", markup=False)
        return 0


@contextmanager
def running(console: Console) -> Iterator[str]:
    """A service on this machine for the length of the block; its URL.

    One that runs already is used, and left running: two would share one database.

    Raises:
        SweepError: when it does not start.
    """
    url = _address(home_folder()).get("url")
    if url is not None and _is_ready(url):
        console.print(f"using the sweep service that runs at {url}", markup=False)
        yield url
        return
    with _child(Options()) as child:
        url = _wait_until_ready(child, home_folder())
        if url is None:
            raise SweepError(f"the service ended with exit code {child.returncode}")
        console.print(f"the sweep service is up at {url}", markup=False)
        yield url


@contextmanager
def _child(options: Options) -> "Iterator[subprocess.Popen[bytes]]":
    if importlib.util.find_spec("service") is None:
        raise SweepError(
            "the service is not installed: pip install 'sweep-service[service,workers]'"
        )
    child = subprocess.Popen(options.command(), start_new_session=True)
    with _stopping(child):
        yield child


def _attend(
    child: "subprocess.Popen[bytes]", home: Path, spec: Path | None, console: Console
) -> int:
    url = _wait_until_ready(child, home)
    if url is None:
        return child.returncode or 1
    console.print(f"the sweep service is up at {url}", markup=False)
    if spec is not None:
        _run_first(url, spec, console)
    console.print(f"serving at {url} (API at {url}/v1); press Ctrl-C to stop", markup=False)
    return child.wait()


def _run_first(url: str, spec: Path, console: Console) -> None:
    with Client(url) as client:
        sweep = client.submit(spec)
        page = f"{url}/sweeps/{sweep.id}"
        console.print(f"running {sweep.name}: {sweep.num_trials} trials, {page}", markup=False)
        sweep = follow(client, sweep.id, console)
        console.print(leaderboard(sweep, best_trials(client, sweep, limit=20)))
        console.print(f"all results: {page}", markup=False)


def _wait_until_ready(child: "subprocess.Popen[bytes]", home: Path) -> str | None:
    """The service's URL once it answers; None when the child ends before."""
    give_up_at = time.monotonic() + _READY_WITHIN_S
    while child.poll() is None:
        found = _address(home)
        if found.get("pid") == child.pid and _is_ready(found["url"]):
            return str(found["url"])
        if time.monotonic() > give_up_at:
            raise SweepError(f"the service did not get ready within {_READY_WITHIN_S:.0f} s")
        time.sleep(_POLL_S)
    return None


def _address(home: Path) -> dict[str, Any]:
    """What the last service of this home says of itself: `url` and `pid`; empty without one."""
    try:
        found: dict[str, Any] = json.loads((home / "server.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _is_ready(url: str) -> bool:
    with Client(url) as client:
        return client.is_ready()


@contextmanager
def _stopping(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End the child with the block, and the block with SIGTERM as with Ctrl-C.

    SIGINT is set too: a shell starts background jobs with it ignored.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {n: signal.signal(n, interrupt) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            child.wait()


def write_csv(trials: Sequence[TrialRecord], file: TextIO) -> None:
    """Trials as CSV, nested fields as columns with dots."""
    rows = [dict(flatten(trial.model_dump(mode="json"))) for trial in trials]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
