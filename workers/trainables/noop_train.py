"""The training function of the trainable that does nothing."""

import time
from typing import Any

from sweep.run import Run
from workers.trainables.noop import NoopParameters


def train(params: dict[str, Any], run: Run) -> None:
    """Report x at each step."""
    settings = NoopParameters.model_validate(params)
    state = run.restore() or {"step": 0}
    for step in range(state["step"] + 1, settings.reports + 1):
        if settings.seconds:
            time.sleep(settings.seconds)
        run.report(step, value=settings.x)
        if settings.reports > 1:
            run.save({"step": step})
