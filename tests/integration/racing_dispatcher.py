"""One dispatcher as a process, for races: arguments URL FOLDER NAME MODE.

It says `ready`, waits for a line, then steps until no sweep is on duty. Each driver that it
starts is written down in FOLDER/NAME.started; with MODE `finish` it then trains its sweep's
one trial and ends, with `hang` it does nothing. FOLDER/NAME.steps grows by a byte with each
step that is done. While FOLDER/later is there, the clock is an hour ahead.
"""

import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.auth import hash_secret
from service.dispatch.core import Limits
from service.dispatch.launcher import Exit, Launch
from service.dispatch.loop import Dispatcher
from service.store.interface import Store
from service.store.open import open_store
from sweep.states import SweepState, TrialState
from sweep.wire import Batch, Known, ReportRow, Reports, SweepFinished, TrialMoved, TrialStarted

LEASE = timedelta(minutes=10)
MAX_RUNNING = 1_000


class Clock:
    """The time, or an hour later once the file is there."""

    def __init__(self, later: Path) -> None:
        self._later = later

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=1) * self._later.exists()


class RecordingLauncher:
    """Writes down what it starts; its drivers end, or never do."""

    def __init__(self, store: Store, started: Path, *, clock: Clock, hangs: bool) -> None:
        self._store = store
        self._started = started
        self._clock = clock
        self._hangs = hangs
        self._alive: list[Launch] = []

    def launch(self, launch: Launch) -> None:
        """See `Launcher`."""
        with self._started.open("a") as file:
            file.write(f"{launch.sweep_id} {launch.epoch}\n")
        self._alive.append(launch)

    def ended(self) -> Sequence[Exit]:
        """See `Launcher`."""
        if self._hangs:
            return ()
        alive, self._alive = self._alive, []
        for launch in alive:
            self._drive(launch)
        return [Exit(launch.sweep_id, launch.epoch, "exit 0") for launch in alive]

    def kill(self, sweep_id: str, epoch: int) -> None:
        """See `Launcher`: one that hung is gone already."""

    def stop(self) -> None:
        """See `Launcher`."""
        self._alive.clear()

    def _drive(self, launch: Launch) -> None:
        """What a driver with one trial would tell."""
        driver = self._store.identify_driver(hash_secret(launch.token))
        assert driver is not None
        now = self._clock()
        row = ReportRow(step=1, time=now, values={"score": 1.0})
        done = SweepState.COMPLETED
        batch = Batch(
            known=Known(trials=1),
            messages=(
                TrialStarted(trial=0, attempt=launch.epoch, time=now),
                Reports(trial=0, attempt=launch.epoch, rows=(row,)),
                TrialMoved(trial=0, attempt=launch.epoch, state=TrialState.COMPLETED, time=now),
                SweepFinished(state=done, time=now),
            ),
        )
        self._store.apply_batch(driver, batch, now=now, lease=LEASE)


def main() -> None:
    url, folder, name, mode = sys.argv[1:]
    store, clock = open_store(url), Clock(Path(folder) / "later")
    launcher = RecordingLauncher(
        store, Path(folder) / f"{name}.started", clock=clock, hangs=mode == "hang"
    )
    dispatcher = Dispatcher(
        store, launcher, limits=Limits(max_running=MAX_RUNNING), lease=LEASE, clock=clock
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    pause = threading.Event()
    with (Path(folder) / f"{name}.steps").open("ab", buffering=0) as steps:
        while store.on_duty():
            dispatcher.step()
            steps.write(b".")
            pause.wait(0.02)
    store.close()


if __name__ == "__main__":
    main()
