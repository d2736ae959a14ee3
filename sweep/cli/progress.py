"""Following a sweep to its end: a live bar, or plain lines where there is no terminal."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sweep.cli.output import (
    best_first,
    done_count,
    leaderboard,
    show,
    state_line,
    states_line,
)
from sweep.client import Client
from sweep.records import SweepRecord

_LINE_EVERY_S = 3.0


def follow(client: Client, sweep_id: str, console: Console) -> SweepRecord:
    """Show a sweep's progress until it has ended."""
    if not console.is_terminal:
        return client.follow(sweep_id, _Lines(console))
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[status]}", markup=False),
        console=console,
    )
    with progress:
        task = progress.add_task("waiting", total=None, status="")

        def update(sweep: SweepRecord) -> None:
            progress.update(
                task,
                description=str(sweep.state),
                total=sweep.num_trials,
                completed=done_count(sweep),
                status=_status(sweep),
            )

        return client.follow(sweep_id, update)


def watch(client: Client, sweep_id: str, console: Console, *, rows: int) -> SweepRecord:
    """Show a sweep's best trials, live, until it has ended."""
    if not console.is_terminal:
        return client.follow(sweep_id, _Lines(console))
    with Live(console=console, refresh_per_second=4) as live:

        def update(sweep: SweepRecord) -> None:
            trials = client.trials(sweep_id, sort=best_first(sweep)).page(limit=rows).items
            made = leaderboard(sweep, trials)
            ended = f"{done_count(sweep)} of {sweep.num_trials} trials ended"
            made.caption = escape(f"{ended}; {state_line(sweep)}")
            live.update(made)

        return client.follow(sweep_id, update)


class _Lines:
    """A plain line whenever something changed, every few seconds at most."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._last = ""
        self._next_at = 0.0

    def __call__(self, sweep: SweepRecord) -> None:
        line = f"{sweep.state}: {done_count(sweep)} of {sweep.num_trials} trials ended"
        line += f"; {_status(sweep)}"
        ended = sweep.ended_at is not None
        if line != self._last and (ended or self._clock() >= self._next_at):
            self._console.print(line, markup=False, soft_wrap=True)
            self._last, self._next_at = line, self._clock() + _LINE_EVERY_S


def _status(sweep: SweepRecord) -> str:
    best = "" if sweep.best is None else f"best {sweep.spec.metric.name} {show(sweep.best.value)}; "
    waiting = "" if sweep.waiting is None else f"; {sweep.waiting}"
    return best + states_line(sweep) + waiting
