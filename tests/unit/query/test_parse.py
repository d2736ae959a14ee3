"""Filters and sorts are read as people mean them, and errors point at the place."""

import pytest

from service.query.ast import All, Any, Compare, Field, In, Not, SortKey
from service.query.parse import parse_filter, parse_sort
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
    assert parse_filter("group CONTAINS 'xor'") == Compare(
        Field("column", ("group",)), "contains", "xor"
    )


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
        ("best >> 1", 7, "expected a number"),
        ("best > ", 8, "the end"),
        ("best > 1 and", 13, "the end"),
        ("best > 1 state", 10, "expected"),
        ("best == 'open", 9, "expected"),
        ("", 1, "the end"),
        ("best < null", None, "null"),
        ("best contains 3", None, "quoted text"),
        ("best > 1e999", None, "out of range"),
        ("parameters > 1", 1, "no field"),
        ("best > 1; drop table trials", 9, "expected"),
        ("a\x00", 2, "NUL"),
        ("(" * 60 + "best > 1" + ")" * 60, None, "nested"),
        ("not " * 60 + "best > 1", None, "nested"),
        ("best > 1 or " * 300, None, "2000"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(
    text: str, column: int | None, part: str
) -> None:
    with pytest.raises(QueryError, match=None) as caught:
        parse_filter(text)
    assert part in caught.value.message
    assert column is None or caught.value.column == column


def test_sorts() -> None:
    assert parse_sort("-best, parameters.lr") == (
        SortKey(Field("column", ("best",)), descending=True),
        SortKey(LR),
    )
    for bad in ("", "-", "nope", "best,,step", "best desc", "a,b,c,d,e,f"):
        with pytest.raises(QueryError):
            parse_sort(bad)
