"""Parameters, read from plain data and written back."""

import pytest
from hypothesis import given

from sweep.errors import SpecError
from sweep.parameters import Kind, When, dump_node, parse_node
from tests.strategies import drawn, grids


def kind(raw: object) -> Kind:
    node = parse_node(raw, "p")
    assert isinstance(node, Kind)
    return node


@given(drawn | grids)
def test_a_kind_survives_being_written_down(raw: dict) -> None:  # type: ignore[type-arg]
    assert parse_node(dump_node(kind(raw)), "p") == kind(raw)


def test_names_of_kinds_and_parameters_are_checked() -> None:
    for raw in (
        {"grid": 3},
        {"uniform": 3},
        {"uniform": {"min": 1}},
        {"randint": {"min": 1, "max": 2.5}},
        {"normal": {"mean": 0, "std": 0}},
        {"choice": {"values": [1], "weights": [0]}},
        {"bad name": 1},
        {"1st": 1},
    ):
        with pytest.raises(SpecError):
            parse_node(raw, "p")


@pytest.mark.parametrize(
    "raw",
    [
        {"when": "a == 1", "uniform": {"min": 0.0, "max": 1.0}},
        {"when": "a == 1", "value": 0.9},
        {"when": "a == 1", "value": {}},
        {"when": "a == 1", "value": {"value": {"grid": [1]}}},
        {"when": "a == 1", "b": {"grid": [1]}, "c": {"when": "b == 1", "value": None}},
        {"when": "a == 1", "value": {"when": "b == 1", "grid": [1]}},
    ],
)
def test_a_condition_survives_being_written_down(raw: object) -> None:
    node = parse_node(raw, "p")
    assert isinstance(node, When)
    assert dump_node(node) == raw


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"when": "a ==", "value": 1}, "p.when"),
        ({"when": "f(a)", "value": 1}, "p.when"),
        ({"when": 3, "value": 1}, "p.when"),
        ({"when": "", "value": 1}, "p.when"),
        ({"when": "a" * 2001, "value": 1}, "p.when"),
        ({"when": "a == 1"}, "p.when"),
        ({"when": "a == 1", "grid": []}, "p.grid"),
        ({"when": "a == 1", "grid": [1], "lr": 2}, "p"),
    ],
)
def test_a_bad_condition_is_said_with_its_place(raw: object, path: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_node(raw, "p")
    assert [problem.path for problem in caught.value.problems] == [path]
