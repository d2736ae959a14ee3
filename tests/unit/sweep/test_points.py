"""Points to evaluate: first, checked, counted, completed and not repeated."""

from typing import Any

import pytest

from sweep.errors import SpecError
from sweep.space import Space
from tests.unit.sweep.test_space import make

GRID: dict[str, Any] = {"a": {"grid": [1, 2, 3]}, "net": {"kind": {"grid": ["x", "y"]}, "d": 4}}
DRAWN: dict[str, Any] = {
    "lr": {"loguniform": {"min": 1e-4, "max": 1}},
    "opt": {"choice": ["sgd", "adam"]},
    "momentum": {"when": "opt == 'sgd'", "uniform": {"min": 0, "max": 1}},
    "width": {"qrandint": {"min": 8, "max": 64, "step": 8}},
}


def found(
    parameters: dict[str, Any], points: list[Any], *, kind: str = "grid", **fields: Any
) -> list[Any]:
    search = {"type": kind, "points_to_evaluate": points}
    if kind != "grid":
        search |= {"num_trials": 20, "seed": 3}
    space = Space(make(parameters, search=search, **fields))
    space.check()
    return [trial.parameters for trial in space.trials()]


def test_a_grid_starts_with_them_and_does_not_repeat_them() -> None:
    points = [{"a": 3, "net": {"kind": "y", "d": 4}}, {"net": {"kind": "y"}}]
    assignments = found(GRID, points)
    assert assignments[:2] == [{"a": a, "net": {"kind": "y", "d": 4}} for a in (3, 1)]
    rest = [p for p in found(GRID, []) if p not in assignments[:2]]
    assert assignments[2:] == rest
    assert len(assignments) == 6


def test_a_grid_completes_one_with_the_first_point_that_may_run() -> None:
    first = found(GRID, [{"net": {"kind": "y"}}], exclude=["a == 1 and net.kind == 'y'"])[0]
    assert first == {"a": 2, "net": {"kind": "y", "d": 4}}


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_draws_follow_them_as_if_they_were_not_there(kind: str) -> None:
    points = [{"lr": 0.5, "opt": "sgd", "momentum": 1, "width": 16}, {"momentum": 0.25}]
    assignments = found(DRAWN, points, kind=kind)
    assert len(assignments) == 20
    assert assignments[0] == {"lr": 0.5, "opt": "sgd", "momentum": 1.0, "width": 16}
    assert assignments[1]["momentum"] == 0.25
    assert assignments[1]["opt"] == "sgd"
    assert assignments[2:] == found(DRAWN, [], kind=kind)[:18]
    assert assignments == found(DRAWN, points, kind=kind)


def test_one_is_completed_with_what_is_not_excluded() -> None:
    assignments = found(DRAWN, [{"opt": "sgd"}], kind="random", exclude=["width < 56"])
    assert assignments[0]["opt"] == "sgd"
    assert assignments[0]["width"] >= 56


@pytest.mark.parametrize(
    ("point", "path", "part"),
    [
        ({"nope": 1}, ".nope", "no parameter"),
        ({"lr": 2}, ".lr", "between 0.0001 and 1.0; got 2"),
        ({"lr": "x"}, ".lr", "needs a number"),
        ({"width": 12}, ".width", "steps of 8"),
        ({"opt": "rmsprop"}, ".opt", "one of 'sgd', 'adam'"),
        ({"opt": "adam", "momentum": 0.5}, "", "absent"),
        ({"opt": "adam", "width": 8}, "", "left out by `exclude`"),
    ],
)
def test_a_bad_one_is_refused_with_its_place(point: dict[str, Any], path: str, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        found(DRAWN, [{}, point], kind="random", exclude=["opt == 'adam' and width == 8"])
    (problem,) = caught.value.problems
    assert problem.path == f"search.points_to_evaluate[1]{path}"
    assert part in problem.message


@pytest.mark.parametrize(
    ("points", "path", "part"),
    [
        ([{"a": 4}], "[0].a", "one of 1, 2, 3"),
        ([{"a": True}], "[0].a", "one of 1, 2, 3"),
        ([{"net": 3}], "[0].net", "needs a mapping with kind, d"),
        ([{"net": {"d": 5}}], "[0].net.d", "is the constant 4"),
        ([{"a": 2}, {"a": 2, "net": {"kind": "x"}}], "[1]", "the same as point 0"),
    ],
)
def test_a_grid_refuses_what_is_not_of_it(points: list[Any], path: str, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        found(GRID, points)
    (problem,) = caught.value.problems
    assert problem.path == f"search.points_to_evaluate{path}"
    assert part in problem.message


def test_more_than_are_to_run_are_refused() -> None:
    points = [{"lr": 0.01 * (i + 1)} for i in range(21)]
    with pytest.raises(SpecError, match="21 points are more than num_trials 20"):
        found(DRAWN, points, kind="random")
