"""Rows of the database to and from the shapes of the rest of the program."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from sweep.records import (
    Best,
    EventRecord,
    Origin,
    ReportRecord,
    RungRecord,
    SweepRecord,
    TokenRecord,
    Usage,
)
from sweep.rows import TrialRow, trial_id
from sweep.spec import SweepSpec, parse_spec
from sweep.states import SweepState, TrialState, WantedState
from sweep.wire import ReportRow, RungEntry

AnyRow = Any
"""A row of the database: its columns as attributes."""

_TRIAL_FIELDS = tuple(field.name for field in fields(TrialRow))
_FIXED = frozenset(
    [
        "index",
        "parameters",
        "group",
        "assignment",
        "replicate",
        "seed",
        "max_t",
        "origin",
        "parent",
        "created_at",
    ]
)
CHANGING = tuple(name for name in _TRIAL_FIELDS if name not in _FIXED)
"""What a trial's row may hold anew once it is stored; the rest is as it was planned."""


def trial_values(row: TrialRow) -> dict[str, Any]:
    """A trial as the columns of its table."""
    values = {name: getattr(row, name) for name in _TRIAL_FIELDS}
    values["state"], values["origin"] = row.state.value, row.origin.value
    return values


def trial_changes(row: TrialRow) -> dict[str, Any]:
    """The columns of a trial that a driver's messages may change."""
    return {name: value for name, value in trial_values(row).items() if name in CHANGING}


def trial_row(row: AnyRow) -> TrialRow:
    """A trial from the columns of its table."""
    found = row._mapping
    values = {name: found[name] for name in _TRIAL_FIELDS}
    values["state"], values["origin"] = TrialState(found["state"]), Origin(found["origin"])
    return TrialRow(**values)


def spec_of(row: AnyRow) -> SweepSpec:
    """The spec in a sweep's row, read once however often it is asked for."""
    return _spec(json.dumps(row.spec))


@lru_cache(maxsize=64)
def _spec(text: str) -> SweepSpec:
    """A spec by its text; an edited one is another text."""
    return parse_spec(json.loads(text))


def sweep_record(row: AnyRow, counts: Mapping[str, int], best: AnyRow | None) -> SweepRecord:
    """A sweep from its table's row, its trials by state and the best of them."""
    return SweepRecord(
        id=row.id,
        name=row.name,
        state=SweepState(row.state),
        reason=row.reason,
        priority=row.priority,
        tags=tuple(row.tags),
        spec=spec_of(row),
        trials={state: counts.get(state.value, 0) for state in TrialState},
        best=None
        if best is None
        else Best(
            value=best.best, trial_id=trial_id(row.id, best._mapping["index"]), step=best.best_step
        ),
        epoch=row.epoch,
        wanted=WantedState(row.wanted),
        weight=row.weight,
        waiting=row.waiting,
        edits=row.edits,
        places=row.places,
        used=Usage.model_validate(row.used),
        excluded_nodes=row.excluded_nodes,
        version=row.version,
        created_by=row.created_by,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def report_record(row: AnyRow) -> ReportRecord:
    """A report as the service answers it."""
    found = row._mapping
    return ReportRecord(
        step=found["step"],
        time=found["time"],
        values=found["values"],
        nonfinite=found["nonfinite"],
    )


def report_row(row: AnyRow) -> ReportRow:
    """A report as a driver sent it."""
    return ReportRow.model_validate(report_record(row).model_dump())


def report_values(trial_pk: int, report: ReportRow) -> dict[str, Any]:
    """A report as the columns of its table."""
    return {
        "trial_pk": trial_pk,
        "step": report.step,
        "time": report.time,
        "values": dict(report.values),
        "nonfinite": dict(report.nonfinite),
    }


def rung_record(row: AnyRow, sweep_id: str) -> RungRecord:
    """A rung decision as the service answers it."""
    return RungRecord(
        step=row.step,
        group=row.group,
        trial_id=trial_id(sweep_id, row.trial),
        value=row.value,
        peers=row.peers,
        cutoff=row.cutoff,
        decision=row.decision,
        decided_at=row.decided_at,
    )


def rung_entry(row: AnyRow) -> RungEntry:
    """A rung decision as a driver told it."""
    return RungEntry(
        step=row.step,
        trial=row.trial,
        group=row.group,
        value=row.value,
        peers=row.peers,
        cutoff=row.cutoff,
        decision=row.decision,
        time=row.decided_at,
    )


def rung_values(sweep_pk: int, entry: RungEntry) -> dict[str, Any]:
    """A rung decision as the columns of its table."""
    values = entry.model_dump(exclude={"time"})
    return {"sweep_pk": sweep_pk, "decided_at": entry.time, **values}


def event_record(row: AnyRow) -> EventRecord:
    """An event as the service answers it."""
    return EventRecord(
        id=row.pk,
        time=row.time,
        actor=row.actor,
        kind=row.kind,
        sweep_id=row.sweep_id,
        trial_id=row.trial_id,
        detail=row.detail,
    )


def token_record(row: AnyRow) -> TokenRecord:
    """A token without its hash."""
    return TokenRecord(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        roles=tuple(row.roles),
    )


def chunks(values: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """The values in pieces of at most that size: databases bound a statement's parameters."""
    return [values[i : i + size] for i in range(0, len(values), size)]
