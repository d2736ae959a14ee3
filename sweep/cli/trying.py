"""`sweep run`: one trial in this process, with no service."""

import contextlib
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from sweep.cli.context import Json, named_value
from sweep.cli.output import EXIT_FAILED, make_console, print_json, show, table
from sweep.documents import spec_data
from sweep.errors import SpecError
from sweep.plain import check_plain
from sweep.spec import parse_spec
from sweep.states import TrialState
from sweep.trying import Attempt, Outcome, Tell, TriedRun, nested, of_spec, prepare
from sweep.trying import run as train_to_end

_ROWS = 15
_LINE_EVERY_S = 0.5


def run_trial(
    trainable: Annotated[
        str | None,
        typer.Argument(help="package.module:function, a script's path, or a registered name."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", help="NAME=VALUE, as in YAML; net.depth=2 is nested."),
    ] = None,
    max_t: Annotated[
        int | None, typer.Option(min=1, help="The step at which the trial is completed.")
    ] = None,
    spec: Annotated[
        Path | None, typer.Option(help="Take the first trial of this spec.", dir_okay=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="What `run.seed` is.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where to train, in PyTorch's words.")] = "cpu",
    json: Json = False,
) -> None:
    """Try one trial in this process, with no service."""
    attempt = _attempt(trainable, _given(parameter or ()), spec)
    attempt = replace(
        attempt,
        max_t=attempt.max_t if max_t is None else max_t,
        seed=attempt.seed if seed is None else seed,
        device=device,
    )
    train = prepare(attempt)
    if json:
        tried = TriedRun(attempt, lambda step, values: None)
        with contextlib.redirect_stdout(sys.stderr):
            outcome = train_to_end(train, attempt, tried)
        print_json(_facts(attempt, outcome, tried))
    else:
        console = make_console()
        started = time.monotonic()
        with _shown(console) as tell:
            tried = TriedRun(attempt, tell)
            outcome = train_to_end(train, attempt, tried)
        _print_outcome(console, attempt, outcome, tried, seconds=time.monotonic() - started)
    raise typer.Exit(0 if outcome.state is TrialState.COMPLETED else EXIT_FAILED)


def _given(options: Sequence[str]) -> dict[str, Any]:
    given = dict(named_value(text, "-p") for text in options)
    check_plain(given)
    return given


def _attempt(trainable: str | None, given: Mapping[str, Any], file: Path | None) -> Attempt:
    if file is not None:
        found = of_spec(parse_spec(spec_data(file)), given)
        return found if trainable is None else replace(found, trainable=trainable)
    if trainable is None:
        raise SpecError("name what to train, as package.module:function or train.py, or a --spec")
    return Attempt(trainable, nested(given))


@contextlib.contextmanager
def _shown(console: Console) -> Iterator[Tell]:
    """Show reports as they come: a live table, or lines where there is no terminal."""
    rows: deque[tuple[int, Mapping[str, float]]] = deque(maxlen=_ROWS)
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Live(console=console, get_renderable=lambda: _reports(rows), refresh_per_second=8):
        yield lambda step, values: rows.append((step, values))


class _Lines:
    """A line for a report, every half second at most; the last is printed with the outcome."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._next_at = 0.0

    def __call__(self, step: int, values: Mapping[str, float]) -> None:
        if self._clock() >= self._next_at:
            self._console.print(f"step {step}: {_words(values)}", markup=False, soft_wrap=True)
            self._next_at = self._clock() + _LINE_EVERY_S


def _reports(rows: Sequence[tuple[int, Mapping[str, float]]]) -> Table:
    last = list(rows)
    names = sorted({name for _, values in last for name in values})
    return table(["step", *names], [[step, *map(values.get, names)] for step, values in last])


def _words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {show(value)}" for name, value in sorted(values.items()))


def _print_outcome(
    console: Console, attempt: Attempt, outcome: Outcome, tried: TriedRun, *, seconds: float
) -> None:
    if outcome.error is not None:
        sys.stderr.write(outcome.error)
    if outcome.hint is not None:
        sys.stderr.write(f"{outcome.hint}\n")
    text = f"{outcome.state}: {outcome.reason}; {len(tried.reports)} reports in {seconds:.1f} s"
    console.print(text, markup=False, soft_wrap=True)
    if not tried.reports:
        return
    step, values = tried.reports[-1]
    console.print(f"last, at step {step}: {_words(values)}", markup=False, soft_wrap=True)
    best = _best(attempt, tried)
    if best is not None:
        step, values = best
        console.print(f"best, at step {step}: {_words(values)}", markup=False, soft_wrap=True)


def _best(attempt: Attempt, tried: TriedRun) -> tuple[int, dict[str, float]] | None:
    """The report with the best value of the spec's metric, if there is a spec."""
    metric = attempt.metric
    if metric is None:
        return None
    found = [r for r in tried.reports if math.isfinite(r[1].get(metric.name, math.nan))]
    pick = max if metric.mode == "max" else min
    return pick(found, key=lambda report: report[1][metric.name]) if found else None


def _facts(attempt: Attempt, outcome: Outcome, tried: TriedRun) -> dict[str, Any]:
    return {
        "trainable": attempt.trainable,
        "parameters": dict(attempt.parameters),
        "seed": attempt.seed,
        "state": outcome.state.value,
        "reason": outcome.reason,
        "error": outcome.error,
        "reports": [_report(step, values) for step, values in tried.reports],
    }


def _report(step: int, values: Mapping[str, float]) -> dict[str, Any]:
    """A report for JSON, which has no numbers that are not finite: null, and what they were."""
    wrong = {name: str(float(value)) for name, value in values.items() if not math.isfinite(value)}
    plain = {name: None if name in wrong else value for name, value in values.items()}
    return {"step": step, "values": plain, **({"nonfinite": wrong} if wrong else {})}
