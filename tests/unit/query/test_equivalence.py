"""For random trials, sweeps and filters, SQL answers what plain Python does."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert, select, text

from service.query import ast
from service.query.evaluate import SweepSubject, TrialSubject, matches, sort_value
from service.query.fields import SWEEPS, TRIALS
from service.store.open import migrate
from service.store.sql import convert
from service.store.sql import sweeps as sweeps_in_sql
from service.store.sql.engine import make_engine
from service.store.sql.filters import Compiler
from service.store.sql.keyset import Key, order
from service.store.tables import reports, sweeps, trials
from sweep.rows import TrialRow
from sweep.spec import parse_spec
from sweep.states import SweepState
from tests.unit.query import strategies
from tests.unit.query.strategies import NOW
from tests.unit.store.builders import START

SPEC = {
    **{"name": "s", "trainable": "noop", "metric": {"name": "m", "mode": "max"}},
    "parameters": {"x": 1},
}
SWEEP: dict[str, Any] = {
    **{"pk": 1, "id": "s", "name": "s", "state": "queued", "wanted": "run", "priority": 0},
    **{"tags": [], "spec": parse_spec(SPEC).model_dump(mode="json"), "metric": "m"},
    **{"mode": "max", "weight": 1.0, "epoch": 0, "fruitless_drivers": 0, "num_trials": 0},
    **{"edits": 0, "used": {}, "excluded_nodes": {}, "created_by": "me", "created_at": START},
}

many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

Drawn = list[tuple[TrialRow, dict[int, Mapping[str, float | None]]]]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def connection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("query")
        url = f"sqlite:///{folder / 'sweep.db'}"
    else:
        url = str(request.getfixturevalue("postgres"))
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as admin:
            admin.execute(text("CREATE DATABASE queried"))
        engine.dispose()
        url = url.replace("/postgres?", "/queried?")
    migrate(url)
    engine = make_engine(url)
    with engine.execution_options(writes=True).connect() as opened:
        opened.begin()
        yield opened
        opened.rollback()
    engine.dispose()


def store_trials(connection: Connection, drawn: Drawn) -> list[TrialSubject]:
    connection.execute(insert(sweeps).values(**SWEEP))
    subjects = []
    for index, (row, curve) in enumerate(drawn):
        row.index = index
        values = {"pk": index, "sweep_pk": 1, **convert.trial_values(row)}
        connection.execute(insert(trials).values(**values))
        for step, metrics in curve.items():
            told = {"step": step, "time": START, "values": metrics, "nonfinite": {}}
            connection.execute(insert(reports).values(trial_pk=index, **told))
        subjects.append(TrialSubject(row, NOW, "s", curve))
    return subjects


@many
@given(strategies.trials, strategies.trial_filters)
def test_filters_of_trials(connection: Connection, drawn: Drawn, filter_: ast.Filter) -> None:
    with connection.begin_nested() as transaction:
        subjects = store_trials(connection, drawn)
        condition = Compiler(connection.dialect.name, TRIALS, now=NOW).condition(filter_)
        query = select(trials.c["index"]).where(condition).order_by(trials.c["index"])
        found = list(connection.execute(query).scalars())
        transaction.rollback()
    assert found == [s.row.index for s in subjects if matches(filter_, s)]


@many
@given(strategies.trials, strategies.sorts)
def test_sorts_of_trials(
    connection: Connection, drawn: Drawn, keys: tuple[ast.SortKey, ...]
) -> None:
    with connection.begin_nested() as transaction:
        subjects = store_trials(connection, drawn)
        index = Key(trials.c["index"], "number", nullable=False)
        clauses = order([*Compiler(connection.dialect.name, now=NOW).sort_keys(keys), index])
        found = list(connection.execute(select(trials.c["index"]).order_by(*clauses)).scalars())
        transaction.rollback()
    for key in reversed(keys):  # the last one first: Python's sort is stable
        for scale in (1, 0):

            def value(subject: TrialSubject, key: ast.SortKey = key, scale: int = scale) -> Any:
                return sort_value(key, subject)[scale]

            there = [s for s in subjects if value(s) is not None]
            there.sort(key=value, reverse=key.descending)
            if key.descending:  # reversing must not turn ties around
                ties: dict[Any, list[TrialSubject]] = {}
                for subject in subjects:
                    if value(subject) is not None:
                        ties.setdefault(value(subject), []).append(subject)
                there = [s for v in sorted(ties, reverse=True) for s in ties[v]]
            subjects = there + [s for s in subjects if value(s) is None]
    assert found == [s.row.index for s in subjects]


@many
@given(
    st.fixed_dictionaries(
        {
            "name": strategies.texts,
            "state": st.sampled_from([state.value for state in SweepState]),
            "reason": st.none() | strategies.texts,
            "tags": st.lists(strategies.tags, max_size=3),
            "priority": st.integers(-5, 5),
            "mode": st.sampled_from(["min", "max"]),
            "created_by": strategies.texts,
            "started_at": st.none() | strategies.moments,
            "ended_at": st.none() | strategies.moments,
        }
    ),
    st.lists(st.none() | strategies.numbers.map(float), max_size=3),
    strategies.sweep_filters,
)
def test_filters_of_sweeps(
    connection: Connection,
    drawn: dict[str, Any],
    scores: list[float | None],
    filter_: ast.Filter,
) -> None:
    with connection.begin_nested() as transaction:
        metric = {"name": "m", "mode": drawn["mode"]}
        spec = parse_spec({**SPEC, "metric": metric}).model_dump(mode="json")
        values = {**SWEEP, **drawn, "spec": spec, "num_trials": len(scores)}
        connection.execute(insert(sweeps).values(**values))
        for i, score in enumerate(scores):
            row = TrialRow(i, {}, "{}", 0, 0, 0, START, best=score, best_step=1)
            trial = {"sweep_pk": 1, **convert.trial_values(row)}
            connection.execute(insert(trials).values(**trial))
        condition = Compiler(connection.dialect.name, SWEEPS, now=NOW).condition(filter_)
        found = connection.execute(select(sweeps.c.id).where(condition)).scalars().all()
        record = sweeps_in_sql.get(connection, "s")
        transaction.rollback()
    assert bool(found) == matches(filter_, SweepSubject(record, NOW))


def test_the_strategies_reach_both_answers() -> None:
    """A property over filters that never match would say nothing."""
    answers = set()

    @settings(max_examples=100, database=None, deadline=None)
    @given(strategies.trials, strategies.trial_filters)
    def look(drawn: Drawn, filter_: ast.Filter) -> None:
        answers.update(
            matches(filter_, TrialSubject(row, NOW + timedelta(0), "s", curve))
            for row, curve in drawn
        )

    look()
    assert answers == {True, False}
