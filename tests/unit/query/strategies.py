"""Random trials, sweeps and filters over all fields and operators."""

from datetime import timedelta

from hypothesis import strategies as st

from service.query import ast
from service.query.fields import SWEEPS, TRIALS, Entity
from sweep.rows import TrialRow
from sweep.states import TrialState
from tests.unit.store.builders import START

NOW = START + timedelta(seconds=10)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=4)
texts |= st.sampled_from(["true", "1", "null", "%", "_", "'", '"', "a' OR 1=1 --", "a*b", "[a]"])
texts |= st.sampled_from(["aB", "Ab", "ÄÖ", "äö", "\\", "a\nb", "Ab"])
tags = texts | st.sampled_from(["a", "b"])
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-5, 5)
moments = st.integers(-3_000_000, 11_000_000).map(lambda us: START + timedelta(microseconds=us))
constants = st.none() | st.booleans() | numbers | texts | moments | st.builds(ast.Moment, numbers)
constants = constants.filter(
    lambda c: not isinstance(c, ast.Moment) or abs(c.offset_s) < 1e6  # else past all years
)
values = st.none() | st.booleans() | numbers | texts | st.lists(st.integers(), max_size=1)
names = st.sampled_from(["a", "b", "val/loss", "x'y", 'q"q', "é", "", "a.b", "\\", "$", "[0]"])


def columns(entity: Entity) -> st.SearchStrategy[ast.Field]:
    return st.sampled_from(sorted(entity.columns)).map(lambda name: ast.Field("column", (name,)))


trial_fields = st.one_of(
    columns(TRIALS),
    names.map(lambda name: ast.Field("parameter", (name,))),
    st.tuples(names, names).map(lambda path: ast.Field("parameter", path)),
    st.tuples(st.sampled_from(["last", "min", "max"]), names).map(
        lambda pair: ast.Field(pair[0], (pair[1],))  # type: ignore[arg-type]
    ),
    st.tuples(names, st.integers(1, 3)).map(lambda pair: ast.Field("at", (pair[0],), pair[1])),
)


def filters(
    fields: st.SearchStrategy[ast.Field], lists: st.SearchStrategy[ast.Field]
) -> st.SearchStrategy[ast.Filter]:
    ordered = st.sampled_from(["<", "<=", ">", ">="])
    tests = st.sampled_from(["contains", "icontains", "startswith", "endswith", "matches"])
    patterns = texts | st.lists(texts | st.sampled_from("*?"), max_size=3).map("".join)
    comparisons = st.one_of(
        st.builds(ast.Compare, fields, st.sampled_from(["==", "!="]), constants),
        st.builds(
            ast.Compare,
            fields,
            ordered,
            constants.filter(lambda c: c is not None and not isinstance(c, bool)),
        ),
        st.builds(ast.Test, fields, tests, patterns),
        st.builds(ast.In, fields, st.lists(constants, min_size=1, max_size=3).map(tuple)),
        st.builds(ast.Has, lists, tags),
    )
    return st.recursive(
        comparisons,
        lambda inner: st.one_of(
            st.builds(ast.Not, inner),
            st.builds(ast.All, st.lists(inner, min_size=1, max_size=3).map(tuple)),
            st.builds(ast.Any, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        ),
        max_leaves=6,
    )


sorts = st.lists(st.builds(ast.SortKey, trial_fields, st.booleans()), min_size=1, max_size=3).map(
    tuple
)
metrics = st.dictionaries(names, st.none() | numbers.map(float), max_size=2)
reports = st.dictionaries(st.integers(1, 3), metrics, max_size=2)
rows = st.builds(
    TrialRow,
    index=st.just(0),
    parameters=st.dictionaries(
        names, values | st.dictionaries(names, values, max_size=2), max_size=3
    ),
    group=texts,
    assignment=st.integers(0, 2),
    replicate=st.integers(0, 2),
    seed=st.integers(0, 2**63 - 1),
    created_at=moments,
    state=st.sampled_from(TrialState),
    reason=st.none() | texts,
    error=st.none() | texts,
    node=st.none() | texts,
    pack=st.none() | texts,
    checkpoint=st.none() | texts,
    step=st.none() | st.integers(0, 5),
    best=st.none() | numbers.map(float),
    best_step=st.none() | st.integers(0, 5),
    last=metrics,
    minimum=metrics,
    maximum=metrics,
    started_at=st.none() | moments,
    ended_at=st.none() | moments,
)
trials = st.lists(st.tuples(rows, reports), min_size=1, max_size=5)
trial_filters = filters(trial_fields, trial_fields)
sweep_filters = filters(columns(SWEEPS), st.just(ast.Field("column", ("tags",))) | columns(SWEEPS))
