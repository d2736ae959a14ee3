"""How long a trial waits after a failure, and which failures would repeat."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from sweep.errors import TrialFault
from tests.unit.driver.builders import at
from workers.driver.retries import Retries, wait_after, would_repeat


def test_the_wait_doubles_up_to_a_minute() -> None:
    waits = [wait_after(failures) for failures in (1, 2, 3, 4, 5, 6, 7, 8, 10_000)]
    assert waits == [timedelta(seconds=s) for s in (1, 2, 4, 8, 16, 32, 60, 60, 60)]


def test_trials_come_when_their_wait_is_over_in_that_order() -> None:
    retries = Retries()
    for index, seconds in ((1, 4), (2, 1), (3, 2), (4, 9)):
        retries.push(index, at(seconds))
    assert retries.take(at(0.5)) == []
    assert retries.take(at(4)) == [2, 3, 1]
    assert (len(retries), retries.next_due) == (1, at(9))
    retries.discard([4])
    assert (retries.take(at(99)), retries.next_due) == ([], None)


def no_module() -> None:
    raise ModuleNotFoundError("No module named 'nothing'")


def broken_module() -> None:
    compile("def f(:", "mine.py", "exec")


def fault() -> None:
    raise TrialFault("steps must ascend")


def bad_parameter() -> None:
    TypeAdapter(int).validate_python("many")


def not_there() -> None:
    raise NotImplementedError


def flaky_type() -> None:
    raise TypeError("'NoneType' object is not subscriptable")


def no_memory() -> None:
    raise MemoryError


def takes_one(params: dict[str, Any]) -> None:
    """Lacks the parameter `run`."""


@pytest.mark.parametrize(
    ("function", "repeats"),
    [
        (no_module, True),
        (broken_module, True),
        (fault, True),
        (bad_parameter, True),
        (not_there, True),
        (flaky_type, False),
        (no_memory, False),
    ],
)
def test_errors_that_another_attempt_would_meet_again(
    function: Callable[[], None], repeats: bool
) -> None:
    with pytest.raises(BaseException) as caught:
        function()
    assert would_repeat(caught.value) is repeats


def test_a_function_that_does_not_take_what_it_is_given_would_fail_again() -> None:
    train: Callable[..., None] = takes_one
    caught: BaseException | None = None
    try:  # as a trial's process calls it: not through pytest, whose frames would count
        train({}, None)
    except TypeError as error:
        caught = error
    assert caught is not None
    assert would_repeat(caught)
