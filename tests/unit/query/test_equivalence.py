"""For random trials and filters, SQL answers what plain Python does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert, select, text

from service.query import ast
from service.query.evaluate import matches
from service.store.open import migrate
from service.store.sql import convert
from service.store.sql.engine import make_engine
from service.store.sql.filters import Compiler
from service.store.tables import sweeps, trials
from sweep.rows import TrialRow
from sweep.states import TrialState
from tests.unit.store.builders import START

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters='\x00"'), max_size=4
) | st.sampled_from(["true", "1", "null", "%", "_", "'", "a' OR 1=1 --"])
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-5, 5)
constants = st.none() | st.booleans() | numbers.map(float) | texts
values = st.none() | st.booleans() | numbers | texts | st.lists(st.integers(), max_size=1)
names = st.sampled_from(["a", "b", "val/loss", "x'y"])

fields = st.one_of(
    st.sampled_from(["best", "step", "state", "reason", "index", "group"]).map(
        lambda name: ast.Field("column", (name,))
    ),
    names.map(lambda name: ast.Field("parameter", (name,))),
    st.tuples(names, names).map(lambda path: ast.Field("parameter", path)),
    st.tuples(st.sampled_from(["last", "min", "max"]), names).map(
        lambda pair: ast.Field(pair[0], (pair[1],))  # type: ignore[arg-type]
    ),
)
comparisons = st.one_of(
    st.builds(ast.Compare, fields, st.sampled_from(["==", "!="]), constants),
    st.builds(
        ast.Compare, fields, st.sampled_from(["<", "<=", ">", ">="]), numbers.map(float) | texts
    ),
    st.builds(ast.Compare, fields, st.just("contains"), texts),
    st.builds(ast.In, fields, st.lists(constants, min_size=1, max_size=3).map(tuple)),
)
filters = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(ast.Not, inner),
        st.builds(ast.All, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(ast.Any, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
metrics = st.dictionaries(names, st.none() | numbers.map(float), max_size=2)
rows = st.builds(
    TrialRow,
    index=st.just(0),
    parameters=st.dictionaries(
        names, values | st.dictionaries(names, values, max_size=2), max_size=3
    ),
    group=texts,
    assignment=st.just(0),
    replicate=st.just(0),
    seed=st.just(0),
    created_at=st.just(START),
    state=st.sampled_from(TrialState),
    reason=st.none() | texts,
    step=st.none() | st.integers(0, 5),
    best=st.none() | numbers.map(float),
    last=metrics,
    minimum=metrics,
    maximum=metrics,
)


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
        yield opened
        opened.rollback()
    engine.dispose()


SWEEP: dict[str, Any] = {
    **{"pk": 1, "id": "s", "name": "s", "state": "queued", "wanted": "run", "priority": 0},
    **{"tags": [], "spec": {}, "metric": "m", "mode": "max", "epoch": 0},
    **{"fruitless_drivers": 0, "num_trials": 0, "created_by": "me", "created_at": START},
}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(rows, min_size=1, max_size=5), filters)
def test_sql_answers_what_python_does(
    connection: Connection, found: list[TrialRow], filter_: ast.Filter
) -> None:
    with connection.begin() if not connection.in_transaction() else connection.begin_nested() as t:
        connection.execute(insert(sweeps).values(**SWEEP))
        expected = []
        for index, row in enumerate(found):
            row.index = index
            stored = convert.trial_values(row)
            json.dumps(stored["parameters"])
            connection.execute(insert(trials).values(sweep_pk=1, **stored))
            if matches(filter_, row):
                expected.append(index)
        condition = Compiler(connection.dialect.name).condition(filter_)
        index_column = trials.c["index"]
        query = select(index_column).where(condition).order_by(index_column)
        assert list(connection.execute(query).scalars()) == expected
        t.rollback()
