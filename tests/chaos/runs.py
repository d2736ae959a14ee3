"""Sweeps under faults: submitted, watched while they recover, and checked at their end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import OperationalError

from service.store.tables import reports, sweeps, trials
from sweep.client import Client
from sweep.records import SweepRecord, TrialRecord
from sweep.states import FINAL_SWEEP_STATES, FINAL_TRIAL_STATES, SweepState, TrialState
from tests.chaos.deployment import Deployment
from tests.chaos.trainings import SAVE_EVERY, values
from tests.integration.service_process import wait_for

FAULT = "fault"
"""The property of a test that is a line of the table of faults."""

TRIALS = 12
STEPS = 40
PACE_S = 0.1
_END_WITHIN_S = 240.0
_FINAL = [state.value for state in FINAL_TRIAL_STATES]

Ends = Mapping[int, tuple[object, ...]]
"""How each trial ended, by its index."""


@dataclass(frozen=True)
class Outcome:
    """A line of the table that is printed when all is over."""

    fault: str
    recovery_s: float | None
    lost_rows: int


def submit(client: Client, name: str) -> SweepRecord:
    """A sweep of half a dozen seconds on two nodes of two CPUs."""
    parameters: dict[str, Any] = {"x": {"grid": list(range(TRIALS))}}
    parameters |= {"steps": STEPS, "pace": PACE_S}
    return client.submit(
        {
            "name": name[:60],
            "trainable": "tests.chaos.trainings:chained",
            "metric": {"name": "score", "mode": "max"},
            "parameters": parameters,
            "resources": {"cpu": 1},
            "reuse_actors": True,
            "max_failures": 20,
        }
    )


def in_the_middle(client: Client, sweep_id: str) -> bool:
    """Whether some trials have ended and several train, each past its first saved state."""
    if client.sweep(sweep_id).trials[TrialState.COMPLETED] < 2:
        return False
    training = [trial.step or 0 for trial in client.trials(sweep_id, filter="state == 'running'")]
    return len(training) >= 2 and min(training) >= SAVE_EVERY


class Recovery:
    """Whether the trials that trained at a moment have told of more since, as the database has it.

    One that was stopped counts once a report of after that moment is stored, or its end.
    """

    def __init__(self, engine: Engine, sweep_id: str) -> None:
        self._engine = engine
        self._sweep_id = sweep_id
        self._training = self._pks(trials.c.state == TrialState.RUNNING.value)
        self._since: datetime | None = None

    def begin(self, since: datetime) -> None:
        """Count from a moment on."""
        self._since = since

    def some(self) -> bool:
        """Whether any trial of the sweep has."""
        return bool(self._pks(self._heard))

    def all(self) -> bool:
        """Whether all of them have, or had ended."""
        return self._training <= self._pks(self._heard | trials.c.state.in_(_FINAL))

    @property
    def _heard(self) -> Any:
        newer = select(reports.c.trial_pk).where(reports.c.time > self._since).distinct()
        return (trials.c.ended_at > self._since) | trials.c.pk.in_(newer)

    def _pks(self, condition: Any) -> set[int]:
        query = select(trials.c.pk).join(sweeps).where(sweeps.c.id == self._sweep_id, condition)
        try:
            with self._engine.connect() as connection:
                return set(connection.scalars(query))
        except OperationalError:  # PostgreSQL is away
            return set()


def lost_rows(engine: Engine, sweep_id: str) -> int:
    """The reports that the sweep should have, less those that are stored."""
    query = (
        select(func.count())
        .select_from(reports.join(trials).join(sweeps))
        .where(sweeps.c.id == sweep_id)
    )
    with engine.connect() as connection:
        return TRIALS * STEPS - connection.scalars(query).one()


def check_whole(at: Deployment, sweep: SweepRecord) -> Ends:
    """Every trial completed, each report there once with its value, and nothing left behind."""
    client = at.client
    wait_for(
        lambda: client.sweep(sweep.id).state in FINAL_SWEEP_STATES, "the end", timeout=_END_WITHIN_S
    )
    ended = client.sweep(sweep.id)
    assert (ended.state, ended.reason) == (SweepState.COMPLETED, None)
    found = list(client.trials(sweep.id))
    assert [trial.index for trial in found] == list(range(TRIALS))
    for trial in found:
        stored = [(report.step, report.values["score"]) for report in client.reports(trial.id)]
        expected = values(trial.parameters["x"], STEPS)
        assert stored == list(enumerate(expected, start=1)), trial.id
    check_nothing_left(at)
    return {trial.index: _end_of(trial) for trial in found}


def check_nothing_left(at: Deployment) -> None:
    """No driver, no process of a trial's, nothing spooled."""
    wait_for(lambda: not at.drivers(), "the driver's end")
    wait_for(lambda: not at.trial_actors(), "the end of the trials' processes")
    wait_for(lambda: not list(at.spool.glob("*")), "the end of what drivers spooled")


def _end_of(trial: TrialRecord) -> tuple[object, ...]:
    return trial.state, trial.reason, trial.step, trial.metrics, trial.best
