"""What the command line prints: tables, JSON, errors, exit codes."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweep.client import Client
from sweep.errors import (
    BadCode,
    Conflict,
    Forbidden,
    NotFound,
    QueryError,
    ServiceUnavailable,
    SpecError,
    SpecTooLarge,
    SweepError,
    Unauthorized,
)
from sweep.exporting import csv_cell, csv_line
from sweep.records import SweepRecord, TrialRecord
from sweep.searches import Nsga2Search
from sweep.space import lookup
from sweep.states import FINAL_TRIAL_STATES, SweepState

EXIT_CODES_TEXT = (
    "Exit codes: 0 done; 1 the sweep failed or was cancelled, or another error; 2 bad usage, spec "
    "or query; 3 not found; 4 the service cannot be reached; 5 not authorised; 6 the present "
    "state does not allow that; 130 interrupted."
)

EXIT_FAILED = 1

_RANKED = 1_000
"""How many trials are looked through for the best of each group."""

EXIT_INTERRUPTED = 130

_EXIT_CODES: tuple[tuple[type[SweepError], int], ...] = (
    (SpecError, 2),
    (BadCode, 2),
    (SpecTooLarge, 2),
    (QueryError, 2),
    (NotFound, 3),
    (ServiceUnavailable, 4),
    (Unauthorized, 5),
    (Forbidden, 5),
    (Conflict, 6),
)


def exit_code(error: SweepError) -> int:
    """The exit code that an error ends the command with."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), EXIT_FAILED)


def make_console() -> Console:
    """A console on standard output; wide, plain and still when that is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def print_error(error: SweepError) -> None:
    """Say on standard error what was wrong."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if isinstance(error, SpecError) and any(p.path for p in error.problems):
        found = (type(error).__doc__ or "").rstrip(".")
        console.print(f"[red]error:[/red] {found[:1].lower()}{found[1:]}")
        for problem in error.problems:
            console.print(f"  [bold]{escape(problem.path)}[/bold]: {escape(problem.message)}")
        return
    console.print(f"[red]error:[/red] {escape(error.message)}")
    if isinstance(error, QueryError) and error.text is not None and error.column is not None:
        line, space = error.text.replace("\n", " "), " " * (error.column - 1)
        console.print(f"  {line}\n  {space}^", markup=False)


def print_rows(rows: Sequence[Mapping[str, Any]], form: str) -> None:
    """Print rows that share their columns, as `json`, `csv` or a table."""
    if form == "json":
        sys.stdout.write(json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n")
        return
    columns = list(rows[0]) if rows else []
    if form == "csv":
        for line in (columns, *(map(csv_cell, row.values()) for row in rows)):
            sys.stdout.write(csv_line(line))
        return
    make_console().print(table(columns, [list(row.values()) for row in rows]))


def print_json(value: BaseModel | Iterable[BaseModel] | Mapping[str, Any]) -> None:
    """Print one JSON document."""
    if isinstance(value, BaseModel):
        plain: Any = value.model_dump(mode="json")
    elif isinstance(value, Mapping):
        plain = value
    else:
        plain = [item.model_dump(mode="json") for item in value]
    sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> Table:
    """A table of plain values."""
    made = Table(title=escape(title) or None, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(escape(column), overflow="fold")
    for row in rows:
        made.add_row(*(escape(show(value)) for value in row))
    return made


def show(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return " ".join(show(part) for part in value.values())
    if isinstance(value, list | tuple):
        return ", ".join(show(part) for part in value)
    return str(value)


def done_count(sweep: SweepRecord) -> int:
    """How many of a sweep's trials have ended."""
    return sum(sweep.trials.get(state, 0) for state in FINAL_TRIAL_STATES)


def states_line(sweep: SweepRecord) -> str:
    """The trials by state, those that there are."""
    return ", ".join(f"{count} {state}" for state, count in sweep.trials.items() if count)


def count_exploits(client: Client, sweep: SweepRecord) -> int | None:
    """How often a trial went on from another's state; None where the rule has no such steps."""
    if sweep.spec.early_stopping.type != "pbt":
        return None
    return sum(1 for _ in client.audit(sweep.id, kind="trial.exploited"))


def state_line(sweep: SweepRecord) -> str:
    """A sweep's state, and why it is in it or why nothing of it trains."""
    why = sweep.reason or sweep.waiting
    return f"{sweep.state}: {why}" if why else str(sweep.state)


def best_trials(client: Client, sweep: SweepRecord, *, limit: int) -> list[TrialRecord]:
    """The best trials, the best of each group where a spec has groups; best first."""
    trials = client.trials(sweep.id, sort=best_first(sweep)).page(limit=_RANKED).items
    if sweep.spec.early_stopping.group_by:
        best_of: dict[str, TrialRecord] = {}
        for trial in trials:
            best_of.setdefault(trial.group, trial)
        trials = tuple(best_of.values())
    return list(trials[:limit])


def leaderboard(sweep: SweepRecord, trials: Sequence[TrialRecord]) -> Table:
    """Trials with what tells them apart; parameters that are the same for all are left out."""
    names: dict[str, None] = {}
    for trial in trials:
        names.update(dict.fromkeys(trial.parameters))
    varying = [n for n in names if len({repr(lookup(t.parameters, n)) for t in trials}) > 1]
    metrics = sorted({name for trial in trials for name in trial.metrics})
    columns = ["trial", "state", f"best {sweep.spec.metric.name}", "at step"]
    columns += [f"last {name}" for name in metrics] + varying
    rows = [
        [
            trial.index,
            f"{trial.state} ({trial.reason})" if trial.reason else trial.state,
            trial.best.value if trial.best else None,
            trial.best.step if trial.best else None,
            *(trial.metrics.get(name, trial.nonfinite.get(name)) for name in metrics),
            *(lookup(trial.parameters, name) for name in varying),
        ]
        for trial in trials
    ]
    return table(columns, rows, title=f"{sweep.name}: best by {sweep.spec.metric.name}")


def best_first(sweep: SweepRecord) -> str:
    """The sort that puts the best trial first."""
    return "-best" if sweep.spec.metric.mode == "max" else "best"


def outcome_code(sweep: SweepRecord) -> int:
    """The exit code of a command that waited for a sweep."""
    return 0 if sweep.state is SweepState.COMPLETED else EXIT_FAILED


def front_of(sweep: SweepRecord) -> str | None:
    """Where the Pareto front of a sweep with several objectives is asked for."""
    search = sweep.spec.search
    if not isinstance(search, Nsga2Search) or not search.objectives:
        return None
    return " and ".join(
        f"GET /v1/sweeps/{sweep.id}/pareto?x=last.{other.name}&y=last.{sweep.spec.metric.name}"
        for other in search.objectives
    )
