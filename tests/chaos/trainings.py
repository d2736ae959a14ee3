"""The training of these tests: each value follows from the one before, so a wrong state shows."""

import time
from typing import Any

from sweep.run import Run

SAVE_EVERY = 5


def following(value: int, step: int) -> int:
    """The value after one more step."""
    return (value * 31 + step) % 10_007


def values(x: int, steps: int) -> list[int]:
    """What a trial reports, from its first step to its last."""
    found, value = [], x
    for step in range(1, steps + 1):
        value = following(value, step)
        found.append(value)
    return found


def chained(params: dict[str, Any], run: Run) -> None:
    """Reports `values` at a steady pace; saves every few steps."""
    state = run.restore() or {"step": 0, "value": params["x"]}
    value = state["value"]
    for step in range(state["step"] + 1, params["steps"] + 1):
        time.sleep(params["pace"])
        value = following(value, step)
        run.report(step, score=value)
        if step % SAVE_EVERY == 0:
            run.save({"step": step, "value": value})
