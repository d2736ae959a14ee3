"""Training functions for tests, found by drivers as `tests.integration.trainings:…`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sweep.run import Run


def steady(params: dict[str, Any], run: Run) -> None:
    """Deterministic reports at a steady pace; saves after each."""
    state = run.restore() or {"step": 0}
    for step in range(state["step"] + 1, params["steps"] + 1):
        time.sleep(params["pace"])
        run.report(step, score=params["x"] * 100 + step)
        run.save({"step": step})


def moody(params: dict[str, Any], run: Run) -> None:
    """Fails as its parameters say: always, once, by a dying process, or by NaN."""
    run.report(1, score=1.0)
    first = Path(params["folder"]) / f"{params['mood']}-{run.seed}"
    if params["mood"] == "raises":
        raise RuntimeError("always in a bad mood")
    if params["mood"] == "once" and not first.exists():
        first.touch()
        raise RuntimeError("only this once")
    if params["mood"] == "dies" and not first.exists():
        first.touch()
        os._exit(7)
    if params["mood"] == "nan":
        run.report(2, score=float("nan"))
    run.report(3, score=3.0)


def marked(params: dict[str, Any], run: Run) -> None:
    """Like `steady`; leaves a mark of the node that it begins on."""
    Path(params["folder"], os.environ.get("TEST_NODE", "first")).touch()
    steady(params, run)


def choosy(params: dict[str, Any], run: Run) -> None:
    """Like `steady`, on nodes whose environment does not call them bad."""
    if "TEST_NODE" in os.environ:
        raise OSError("the disk of this node is broken")
    steady(params, run)


def stubborn(params: dict[str, Any], run: Run) -> None:
    """Catches even the end of its trial, and takes its time over it."""
    try:
        run.report(1, score=1.0)
    except BaseException:  # noqa: BLE001 - what a careless user may write
        time.sleep(5)


def stuck(params: dict[str, Any], run: Run) -> None:
    """Reports once and then computes on and on without a word."""
    run.report(1, score=1.0)
    while True:
        sum(range(10_000))


def talkative(params: dict[str, Any], run: Run) -> None:
    """Prints in every way there is, then does as its mood says."""
    mood = params["mood"]
    print(f"{mood} out")
    print(f"{mood} err", file=sys.stderr)
    subprocess.run([sys.executable, "-c", f"print('{mood} child')"], check=True)
    if mood == "floods":
        for number in range(200_000):
            print(f"line {number}")
    run.report(1, score=1.0)
    if mood == "raises":
        raise RuntimeError("in a talkative mood")
    if mood == "dies":
        print("last words", end="")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    run.report(2, score=2.0)
    print(f"{mood} bye")
