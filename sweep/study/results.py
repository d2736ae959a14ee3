"""A study's results as tables, read from the service."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import TYPE_CHECKING, Any

from sweep.client import Client
from sweep.errors import NotFound
from sweep.plain import flatten
from sweep.records import ReportRecord, SweepRecord, TrialRecord
from sweep.states import TrialState
from sweep.study import Size, Study

if TYPE_CHECKING:
    import pandas

ReportsOf = Callable[[str], Iterable[ReportRecord]]
"""The reports of the trial of that id, by step."""

TRAINED = frozenset({TrialState.COMPLETED, TrialState.STOPPED, TrialState.DIVERGED})
"""The states of trials whose training came to an end of its own, or was stopped early by rule."""


@dataclass(frozen=True)
class Results:
    """The trials of a study's sweeps.

    Args:
        size: the study's size that was run.
        sweeps: the sweeps.
        records: their trials.
        reports_of: where to get a trial's reports.
    """

    size: Size
    sweeps: tuple[SweepRecord, ...]
    records: tuple[TrialRecord, ...]
    reports_of: ReportsOf

    @cached_property
    def trials(self) -> "pandas.DataFrame":
        """One row a trial whose training has ended and that has reported, indexed by its id.

        Trials that still run, or that failed or were cancelled on the way, are left out: what
        half a training says is no result.

        Columns: `state`, `best` (of the sweep's metric), `best_step`, `step`, `seed`,
        `replicate`, `assignment`, `origin`; each parameter under its name (nested ones joined
        by dots), which hides the column before it of the same name; and of each metric its last
        value `last.loss`, its value at the best step `at_best.loss`, its smallest `min.loss`
        and its largest `max.loss`, nan where it was not finite.
        """
        import pandas

        # Rows of all trials first, so that no parameter's column depends on which have ended.
        frame = pandas.DataFrame([_row(trial) for trial in self.records])
        kept = [trial.state in TRAINED and trial.reports > 0 for trial in self.records]
        return frame.set_index("id")[kept] if any(kept) else pandas.DataFrame()

    def curves(self, metric: str) -> "pandas.DataFrame":
        """One row a report: the trial's row of `trials`, `at` (the step) and `value`.

        Reports in which the metric was not finite are left out.
        """
        import pandas

        rows = [
            {"id": trial.id, "at": report.step, "value": report.values[metric]}
            for trial in self.records
            if trial.id in self.trials.index
            for report in self._reports(trial.id)
            if report.values.get(metric) is not None
        ]
        curves = pandas.DataFrame(rows, columns=["id", "at", "value"])
        return curves.join(self.trials, on="id")

    def _reports(self, trial_id: str) -> Sequence[ReportRecord]:
        if trial_id not in self._kept:
            self._kept[trial_id] = tuple(self.reports_of(trial_id))
        return self._kept[trial_id]

    @cached_property
    def _kept(self) -> dict[str, Sequence[ReportRecord]]:
        return {}


def collect(client: Client, study: Study, size: Size | None = None) -> Results:
    """The results of a study's newest run.

    Args:
        client: of the service that ran it.
        study: which.
        size: the size; the one that was run last when not given.

    Raises:
        NotFound: when the study was not run.
    """
    size, found = newest_run(client.sweeps(filter=tagged(study)), study, size)
    if size is None or not found:
        raise NotFound(
            f"study {study.name!r} was not run on {client.url}"
            + (f" in size {size}" if size else "")
            + f": run it with `sweep study run {study.name}`"
        )
    return read_results(client, size, found)


def tagged(study: Study) -> str:
    """The filter that the study's sweeps pass."""
    return f"'study:{study.name}' in tags"


def newest_run(
    sweeps: Iterable[SweepRecord], study: Study, size: Size | None = None
) -> tuple[Size | None, tuple[SweepRecord, ...]]:
    """A study's newest run: its size, and its sweeps.

    Args:
        sweeps: the study's (`tagged`), newest first.
        study: which.
        size: the size; the one that was run last when not given.
    """
    newest: dict[str, SweepRecord] = {}
    wanted: set[str] = set()
    for sweep in sweeps:
        if size is None:
            size = next((known for known in study.specs if f"size:{known}" in sweep.tags), None)
        if size is not None and f"size:{size}" in sweep.tags:
            wanted = wanted or {spec.name for spec in study.read_specs(size)}
            newest.setdefault(sweep.name, sweep)
        if wanted and wanted <= newest.keys():
            break
    return size, tuple(sweep for name, sweep in newest.items() if name in wanted)


def read_results(client: Client, size: Size, sweeps: Sequence[SweepRecord]) -> Results:
    """The results of these sweeps of a study.

    Args:
        client: of the service that ran them.
        size: the size that they are of.
        sweeps: which.
    """
    records = tuple(trial for sweep in sweeps for trial in client.trials(sweep.id, sort="index"))
    return Results(size, tuple(sweeps), records, client.reports)


def _row(trial: TrialRecord) -> dict[str, Any]:
    at_best = trial.best.metrics if trial.best else {}
    metrics = {
        "last": trial.metrics,
        "at_best": at_best,
        "min": trial.minimum,
        "max": trial.maximum,
    }
    return {
        "sweep": trial.sweep_id,
        "state": str(trial.state),
        "best": _number(trial.best.value if trial.best else None),
        "best_step": trial.best.step if trial.best else None,
        "step": trial.step,
        "seed": trial.seed,
        "replicate": trial.replicate,
        "assignment": trial.assignment,
        "origin": str(trial.origin),
        **dict(flatten(trial.parameters)),
        "id": trial.id,
        **{
            f"{which}.{name}": _number(values.get(name))
            for which, values in metrics.items()
            for name in trial.metrics
        },
    }


def _number(value: float | None) -> float:
    return nan if value is None else value
