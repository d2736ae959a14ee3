"""A study's results made by hand."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from sweep.records import BestValue, ReportRecord, SweepRecord, TrialRecord
from sweep.space import Space
from sweep.states import SweepState, TrialState
from sweep.study import Size, Study
from sweep.study.results import Results
from sweep.trainables import find, registered

UNDECLARED = {
    "multitask-rl": ("score", "frames", "score_one", "score_two", "tsne_one_0_x", "tsne_one_0_y",
                     "tsne_one_0_t", "tsne_one_1_x", "tsne_one_1_y", "tsne_one_1_t"),
}  # fmt: skip
"""Metrics of trainables that do not say what they report."""

START = datetime(2026, 1, 1, tzinfo=UTC)


def trial(
    index: int,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    *,
    best: str,
    replicate: int = 0,
    seed: int | None = None,
) -> TrialRecord:
    """A completed trial whose only report is its best."""
    return TrialRecord(
        id=f"trial{index}",
        sweep_id="sweep0",
        index=index,
        state=TrialState.COMPLETED,
        parameters=parameters,
        metrics=metrics,
        minimum=metrics,
        maximum=metrics,
        best=BestValue(value=metrics[best], step=100, metrics=metrics),
        step=100,
        reports=1,
        seed=index if seed is None else seed,
        replicate=replicate,
        created_at=START,
    )


def sweep_of(study: Study, size: Size, trials: int, *, name: str | None = None) -> SweepRecord:
    """A completed sweep of a study."""
    spec = study.read_specs(size)[0]
    return SweepRecord(
        id="sweep0",
        name=name or spec.name,
        state=SweepState.COMPLETED,
        spec=spec,
        tags=spec.tags,
        trials={TrialState.COMPLETED: trials},
        created_by="test",
        created_at=START,
        started_at=START,
        ended_at=START + timedelta(seconds=90),
    )


def results_of(
    study: Study,
    trials: Sequence[TrialRecord],
    reports: Mapping[str, Sequence[tuple[int, Mapping[str, float]]]] | None = None,
    *,
    name: str | None = None,
) -> Results:
    """Results of the quick size; without reports given, each trial's last one."""

    def reports_of(trial_id: str) -> list[ReportRecord]:
        known = {t.id: [(100, t.metrics)] for t in trials}
        given = known[trial_id] if reports is None else reports[trial_id]
        return [ReportRecord(step=step, time=START, values=values) for step, values in given]

    return Results(
        "quick", (sweep_of(study, "quick", len(trials), name=name),), tuple(trials), reports_of
    )


def made_up_trials(study: Study, *, share: float, diverged: float = 0.0) -> list[TrialRecord]:
    """Trials of the quick size as a service holds them, with metrics drawn at random.

    Args:
        study: whose.
        share: of the trials that have run, at random; the others are cancelled.
        diverged: share of those that ran and reported nothing but what was not finite.
    """
    rng = np.random.default_rng(0)
    (spec,) = study.read_specs("quick")
    names = UNDECLARED.get(study.name) or find(spec.trainable, registered()).metrics
    made = []
    for planned in Space(spec).trials():
        metrics = dict(zip(names, rng.random(len(names)).tolist(), strict=True))
        record = trial(
            planned.index,
            planned.parameters,
            metrics,
            best=spec.metric.name,
            replicate=planned.replicate,
            seed=planned.seed,
        )
        if rng.random() >= share:
            record = record.model_copy(
                update={"state": TrialState.CANCELLED, "metrics": {}, "best": None, "reports": 0}
            )
        elif rng.random() < diverged:
            record = _diverged(record)
        made.append(record)
    return made


def _diverged(record: TrialRecord) -> TrialRecord:
    lost = {
        "state": TrialState.DIVERGED,
        "metrics": dict.fromkeys(record.metrics),
        "minimum": {},
        "maximum": {},
        "best": None,
    }
    return record.model_copy(update=lost)
