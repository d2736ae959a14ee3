"""Filters and sorts are read as people mean them, and errors point at the place."""

from datetime import UTC, datetime

import pytest

from service.query.ast import (
    All,
    Any,
    Compare,
    Field,
    Has,
    In,
    Moment,
    Named,
    Not,
    SortKey,
    Test,
)
from service.query.fields import SWEEPS
from service.query.parse import parse_fields, parse_filter, parse_sort
from sweep.errors import QueryError

STATE = Field("column", ("state",))
LR = Field("parameter", ("lr",))


def test_a_comparison() -> None:
    assert parse_filter("state == 'completed'") == Compare(STATE, "==", "completed")
    assert parse_filter('state="completed"') == Compare(STATE, "==", "completed")
    assert parse_filter("parameters.lr >= 1e-3") == Compare(LR, ">=", 1e-3)
    assert parse_filter("parameters.net.on == TRUE") == Compare(
        Field("parameter", ("net", "on")), "==", True
    )
    assert parse_filter("metrics.'val/loss' != null") == Compare(
        Field("last", ("val/loss",)), "!=", None
    )
    assert parse_filter("parameters.x == -7") == Compare(Field("parameter", ("x",)), "==", -7)


def test_a_test_of_a_text() -> None:
    group = Field("column", ("group",))
    assert parse_filter("group CONTAINS 'xor'") == Test(group, "contains", "xor")
    assert parse_filter("group not matches 'a*'") == Not(Test(group, "matches", "a*"))
    assert parse_filter("parameters.x startswith 'it''s'") == Test(
        Field("parameter", ("x",)), "startswith", "it's"
    )


def test_ranges_and_nulls() -> None:
    both = All((Compare(LR, ">=", 1), Compare(LR, "<=", 2.5)))
    assert parse_filter("parameters.lr between 1 and 2.5") == both
    assert parse_filter("parameters.lr not between 1 and 2.5 and state == 'a'") == All(
        (Not(both), Compare(STATE, "==", "a"))
    )
    assert parse_filter("parameters.lr is null") == Compare(LR, "==", None)
    assert parse_filter("parameters.lr IS NOT NULL") == Compare(LR, "!=", None)


def test_metrics_at_a_step() -> None:
    found = Compare(Field("at", ("loss",), 100), "<", 1)
    for text in ("metrics.loss@100 < 1", "last.loss @ 100 < 1", "at(loss, 100) < 1"):
        assert parse_filter(text) == found
    assert parse_filter("at(metrics.'val/loss', 3) is null") == Compare(
        Field("at", ("val/loss",), 3), "==", None
    )


def test_times_and_durations() -> None:
    started = Field("column", ("started_at",))
    assert parse_filter("started_at > now - 1.5h") == Compare(started, ">", Moment(-5_400))
    assert parse_filter("started_at <= now") == Compare(started, "<=", Moment())
    for text in ("2026-01-31T12:00Z", "2026-01-31 14:00+02:00", "2026-01-31T12:00"):
        moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
        assert parse_filter(f"started_at == '{text}'") == Compare(started, "==", moment)
    assert parse_filter("duration >= 2m") == Compare(Field("column", ("duration",)), ">=", 120.0)


def test_fields_of_sweeps() -> None:
    tags = Field("column", ("tags",))
    assert parse_filter("'x' in tags", SWEEPS) == Has(tags, "x")
    assert parse_filter("'x' not in tags", SWEEPS) == Not(Has(tags, "x"))
    assert parse_filter("tags contains 'x'", SWEEPS) == Has(tags, "x")
    assert parse_sort("-num_trials", SWEEPS)[0].descending
    for text in ("parameters.lr > 1", "metrics.loss@1 > 1", "at(loss, 1) > 1", "node == 'a'"):
        with pytest.raises(QueryError, match="no field"):
            parse_filter(text, SWEEPS)


def test_projections() -> None:
    found = parse_fields("index, parameters, metrics.'val/loss', at(loss, 3), index")
    assert found == (
        Named("index", Field("column", ("index",))),
        Named("parameters", Field("parameter", ())),
        Named("metrics.'val/loss'", Field("last", ("val/loss",))),
        Named("at(loss, 3)", Field("at", ("loss",), 3)),
    )
    for bad, column in (("", 1), ("index,", 7), ("index, nope", 8), ("index best", 7)):
        with pytest.raises(QueryError) as caught:
            parse_fields(bad)
        assert (caught.value.column, caught.value.part) == (column, "fields")


def test_and_binds_more_than_or_and_not_more_than_both() -> None:
    a, b, c = (Compare(Field("column", ("step",)), ">", float(i)) for i in range(3))
    assert parse_filter("step > 0 or step > 1 and not step > 2") == Any((a, All((b, Not(c)))))
    assert parse_filter("(step > 0 OR step > 1) AND step > 2") == All((Any((a, b)), c))


def test_membership() -> None:
    found = In(STATE, ("failed", "diverged"))
    assert parse_filter("state in ['failed', 'diverged']") == found
    assert parse_filter("state not in ['failed', 'diverged']") == Not(found)


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("bst > 1", 1, "no field 'bst'"),
        ("best >> 1", 7, "a number"),
        ("best > ", 8, "the end"),
        ("best > 1 and", 13, "the end"),
        ("best > 1 state", 10, "expected"),
        ("best == 'open", 9, "expected"),
        ("", 1, "the end"),
        ("stat == 'running'", 1, "did you mean state?"),
        ("best > 1 and lr > 2", 14, "parameters.lr"),
        ("best < null", 8, "null"),
        ("best in [1, 'x']", 13, "best is a number"),
        ("best between 1 and 'x'", 20, "best is a number"),
        ("state == 3", 10, "quoted text"),
        ("state > true", 9, "quoted text"),
        ("parameters.x > true", 14, "true and false"),
        ("best contains 3", 15, "quoted text"),
        ("best contains 'x'", 6, "tests texts alone"),
        ("group contains 3", 16, "quoted text"),
        ("started_at > 'noon'", 14, "2026-01-31T12:00Z"),
        ("started_at > '0001-01-01T00:00+12:00'", 14, "2026-01-31T12:00Z"),
        ("started_at > 3", 14, "started_at is a time"),
        ("best > 5m", 8, "best is a number"),
        ("duration > 99999999999d", 12, "out of range"),
        ("best > 1e999", 8, "out of range"),
        ("metrics.loss@99999999999999999999 > 1", 14, "out of range"),
        ("index@3 > 1", 7, "metrics alone"),
        ("parameters.x@3 > 1", 14, "metrics alone"),
        ("'x' in state", 8, "no list"),
        ("best > 1 and\n(state == 3)", 24, "quoted text"),
        ("parameters > 1", 1, "no field"),
        ("best > 1; drop table trials", 9, "expected"),
        ("a\x00", 2, "NUL"),
        ("(" * 60 + "best > 1" + ")" * 60, 51, "nested"),
        ("not " * 60 + "best > 1", 201, "nested"),
        ("best > 1 or " * 300, 2001, "2000"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, column: int, part: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_filter(text)
    assert part in caught.value.message
    assert (caught.value.column, caught.value.part) == (column, "filter")


def test_sorts() -> None:
    assert parse_sort("-best, parameters.lr") == (
        SortKey(Field("column", ("best",)), descending=True),
        SortKey(LR),
    )
    for bad, column in (("", 1), ("-", 2), ("nope", 1), ("best,,step", 6), ("best desc", 6)):
        with pytest.raises(QueryError) as caught:
            parse_sort(bad)
        assert (caught.value.column, caught.value.part) == (column, "sort")
    with pytest.raises(QueryError, match="at most 5"):
        parse_sort("index,step,best,reports,seed,node")
    with pytest.raises(QueryError, match="list"):
        parse_sort("tags", SWEEPS)
