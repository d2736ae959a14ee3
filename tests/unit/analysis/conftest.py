"""Stores of both kinds, and trials put into them at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, delete, insert, select, text

from service.store.interface import Store
from service.store.open import migrate
from service.store.sql import convert
from service.store.sql.engine import make_engine
from service.store.sql.store import SqlStore
from service.store.tables import reports, rung_decisions, sweeps, trials
from sweep.rows import TrialRow
from sweep.wire import ReportRow, RungEntry
from tests.unit.store.builders import START, create


@dataclass(frozen=True)
class Filled:
    """A store with one sweep, whose trials a test replaces."""

    store: Store
    engine: Engine

    def hold(self, rows: Sequence[TrialRow], sweep_id: str = "s1") -> None:
        """Make these the sweep's trials, without reports."""
        with self.engine.execution_options(writes=True).begin() as connection:
            key = connection.execute(
                select(sweeps.c.pk).where(sweeps.c.id == sweep_id)
            ).scalar_one()
            connection.execute(delete(trials).where(trials.c.sweep_pk == key))
            connection.execute(delete(rung_decisions).where(rung_decisions.c.sweep_pk == key))
            values = [{"sweep_pk": key, **convert.trial_values(row)} for row in rows]
            if values:
                connection.execute(insert(trials), values)

    def decide(self, entries: Sequence[RungEntry], sweep_id: str = "s1") -> None:
        """Add decisions at rungs."""
        with self.engine.execution_options(writes=True).begin() as connection:
            key = connection.execute(
                select(sweeps.c.pk).where(sweeps.c.id == sweep_id)
            ).scalar_one()
            connection.execute(
                insert(rung_decisions), [convert.rung_values(key, entry) for entry in entries]
            )

    def report(self, index: int, metric: str, points: Sequence[tuple[int, float | None]]) -> None:
        """Give a trial of the first sweep reports."""
        with self.engine.execution_options(writes=True).begin() as connection:
            key = connection.execute(
                select(trials.c.pk)
                .join(sweeps)
                .where(sweeps.c.id == "s1", trials.c["index"] == index)
            ).scalar_one()
            found = [
                ReportRow(
                    step=step,
                    time=START,
                    values={metric: value},
                    nonfinite={} if value is not None else {metric: "nan"},
                )
                for step, value in points
            ]
            connection.execute(insert(reports), [convert.report_values(key, r) for r in found])


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    """A store of each kind with the sweep s1: metric score (max), rungs at 1, 3 and 9 of 27."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('analysis') / 'sweep.db'}"
    else:
        url = _fresh(str(request.getfixturevalue("postgres")), Path(request.module.__file__).stem)
    migrate(url)
    engine = make_engine(url)
    store = SqlStore(engine)
    create(
        store,
        parameters={"task": {"grid": ["b", "a", "c"]}, "network": "dense"},
        early_stopping={"type": "asha", "max_t": 27, "grace_period": 1},
    )
    yield Filled(store, engine)
    store.close()


def _fresh(url: str, name: str) -> str:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as admin:
        admin.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?")


def trial(index: int, **fields: object) -> TrialRow:
    """A trial that completed, unless said otherwise."""
    from sweep.states import TrialState

    row = TrialRow(
        index=index,
        parameters={"task": "a", "network": "dense"},
        group="{}",
        assignment=index,
        replicate=0,
        seed=0,
        created_at=START,
        state=TrialState.COMPLETED,
        max_t=27,
    )
    for name, value in fields.items():
        setattr(row, name, value)
    return row
