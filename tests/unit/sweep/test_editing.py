"""What may change in a sweep, and what is said of what may not."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from sweep.editing import _FIXED, SweepEdit, apply_edit, read_edit
from sweep.errors import SpecError, SpecTooLarge
from sweep.spec import SweepSpec, parse_spec
from sweep.trainables import Trainable


class Toy(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    x: int
    y: str = "a"
    depth: int = 1
    flag: bool | int = 0


TOY = Trainable(name="toy", description="", code="m:f", parameters=Toy)


def spec(**fields: Any) -> SweepSpec:
    return parse_spec(
        {
            "name": "test",
            "trainable": "toy",
            "metric": {"name": "score", "mode": "max"},
            "parameters": {"x": {"grid": [1, 2]}, "y": {"grid": ["a", "b"]}, "depth": 3},
            **fields,
        }
    )


def added(raw: object, *, room: int = 100, of: SweepSpec | None = None) -> list[Any]:
    edited = apply_edit(read_edit(raw), of or spec(), trainable=TOY, room=room)
    return [dict(parameters) for parameters in edited.assignments]


def problems(raw: object, **fields: Any) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        added(raw, **fields)
    return {p.path: p.message for p in caught.value.problems}


def test_every_field_of_a_spec_may_change_or_says_why_not() -> None:
    assert set(SweepSpec.model_fields) == set(_FIXED) | (set(SweepEdit.model_fields) - {"add"})


def test_new_grid_values_add_every_new_point_once() -> None:
    assert added({"add": {"grid": {"x": [5]}}}) == [
        {"x": 5, "y": "a", "depth": 3},
        {"x": 5, "y": "b", "depth": 3},
    ]
    assert len(added({"add": {"grid": {"x": [5], "y": ["c"]}}})) == 5


def test_true_and_one_are_two_values_of_a_grid_and_one_is_written_in_two_ways() -> None:
    flags = spec(parameters={"x": 1, "flag": {"grid": [1]}})
    [new] = added({"add": {"grid": {"flag": [True]}}}, of=flags)
    assert new["flag"] is True
    found = problems({"add": {"grid": {"flag": [1.0]}}}, of=flags)
    assert found == {"add.grid.flag": "1.0 is there already"}


def test_excluded_points_stay_excluded() -> None:
    found = added({"add": {"grid": {"x": [5]}}}, of=spec(exclude=["x == 5 and y == 'a'"]))
    assert found == [{"x": 5, "y": "b", "depth": 3}]


def test_a_trial_needs_every_parameter_but_constants() -> None:
    assert added({"add": {"trials": [{"x": 9, "y": "z"}]}}) == [{"x": 9, "y": "z", "depth": 3}]
    assert problems({"add": {"trials": [{"x": 9, "lr": 1}]}}) == {
        "add.trials[0].y": "is missing",
        "add.trials[0].lr": "is no parameter; there are x, y, depth",
    }


@pytest.mark.parametrize(
    ("raw", "path", "part"),
    [
        ({"metric": {"name": "loss"}}, "metric", "have been judged by it"),
        ({"search": {}}, "search", "use add.trials"),
        ({"nope": 1}, "nope", "not permitted"),
        ({"max_concurrent": 0}, "max_concurrent", "greater than or equal to 1"),
        ({"priority": "high"}, "priority", "valid integer"),
        ({"weight": None}, "weight", "is null"),
        ({"weight": float("nan")}, "", "nan"),
        ({"budget": {"hours": -1}}, "budget.hours", "greater than 0"),
        ({}, "", "names nothing to change"),
        ([], "", "is a mapping"),
        ({"add": {"grid": {"depth": [4]}}}, "add.grid.depth", "no grid parameter"),
        ({"add": {"grid": {"x": [1]}}}, "add.grid.x", "1 is there already"),
        ({"add": {"grid": {"x": []}}}, "add.grid.x", "names no value"),
        ({"add": {"grid": {"x": ["p"]}}}, "add.grid.x", "valid integer"),
        (
            {"add": {"grid": {"x": [7]}, "trials": [{"x": "p", "y": "a"}]}},
            "add.trials[0].x",
            "valid integer",
        ),
    ],
)
def test_a_bad_edit_names_the_field(raw: object, path: str, part: str) -> None:
    found = problems(raw)
    assert any(path in where and part in message for where, message in found.items()), found


def test_drawn_searches_get_trials_not_grid_values() -> None:
    drawn = spec(
        parameters={"x": {"randint": {"min": 1, "max": 9}}},
        search={"type": "random", "num_trials": 2},
    )
    assert "use add.trials" in problems({"add": {"grid": {"x": [1]}}}, of=drawn)["add.grid"]
    assert added({"add": {"trials": [{"x": 4}]}}, of=drawn) == [{"x": 4}]


def test_too_many_trials_are_refused_before_they_are_made() -> None:
    with pytest.raises(SpecTooLarge, match="may get 3 more"):
        added({"add": {"grid": {"x": list(range(10, 99))}}}, room=3)


CONDITIONAL = {
    "x": {"grid": [1, 2]},
    "y": {"when": "x == 2", "grid": ["a", "b"]},
    "depth": {"when": "y == 'b'", "value": 3},
}


def test_a_parameter_with_a_condition_gets_new_values_and_may_be_left_out() -> None:
    of = spec(parameters=CONDITIONAL)
    assert added({"add": {"grid": {"y": ["c"]}}}, of=of) == [{"x": 2, "y": "c"}]
    assert added({"add": {"grid": {"x": [3]}}}, of=of) == [{"x": 3}]
    trials = [{"x": 7}, {"x": 2, "y": "b", "depth": 3}]
    assert added({"add": {"trials": trials}}, of=of) == trials


CHOSEN: dict[str, Any] = {
    "x": {"randint": {"min": 1, "max": 9}},
    "net": {"width": {"choice": [8, 16]}, "act": "relu"},
    "opt": {"grid": ["sgd", "adam"]},
    "nesterov": {"when": "opt == 'sgd'", "value": True},
    "mom": {"when": "opt == 'sgd'", "uniform": {"min": 0, "max": 1}},
}
ANY = Trainable(name="any", description="", code="m:g")


def chosen(trial: dict[str, Any]) -> Any:
    of = spec(
        parameters=CHOSEN,
        search={"type": "random", "num_trials": 4},
        exclude=["x == 9 and opt == 'adam'"],
    )
    edit = read_edit({"add": {"trials": [{"x": 5, "net": {"width": 8}, **trial}]}})
    (parameters,) = apply_edit(edit, of, trainable=ANY, room=9).assignments
    return parameters


def test_a_trial_gets_the_constants_whose_conditions_hold() -> None:
    net = {"width": 8, "act": "relu"}
    with_sgd = {"x": 5, "net": net, "opt": "sgd", "nesterov": True, "mom": 0.5}
    assert chosen({"opt": "sgd", "mom": 0.5}) == with_sgd
    assert chosen(with_sgd) == with_sgd
    assert chosen({"opt": "lion"}) == {"x": 5, "net": net, "opt": "lion"}


@pytest.mark.parametrize(
    ("trial", "path", "part"),
    [
        ({"opt": "adam", "mom": 0.5}, ".mom", "its `when` does not hold"),
        ({"opt": "adam", "nesterov": True}, ".nesterov", "its `when` does not hold"),
        ({"opt": "sgd"}, ".mom", "is missing: its `when` holds"),
        ({"opt": "sgd", "mom": 1.5}, ".mom", "between 0.0 and 1.0; got 1.5"),
        ({"opt": "sgd", "mom": 0.5, "nesterov": False}, ".nesterov", "is the constant True"),
        ({"opt": "adam", "net": {}}, ".net.width", "is missing"),
        ({"opt": "adam", "net": {"width": 8, "depth": 1}}, ".net.depth", "is no parameter"),
        ({"opt": "adam", "x": 9}, "", "left out by `exclude`: x == 9 and opt == 'adam'"),
    ],
)
def test_a_trial_that_is_no_assignment_is_refused(
    trial: dict[str, Any], path: str, part: str
) -> None:
    with pytest.raises(SpecError) as caught:
        chosen(trial)
    (problem,) = caught.value.problems
    assert problem.path == f"add.trials[0]{path}"
    assert part in problem.message
