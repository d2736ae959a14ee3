"""The values that every side gets; needs the standard library alone."""

import random
from typing import Any

TASKS, NETWORKS = 27, 12


def values_of(draw: random.Random, step: int) -> dict[str, float]:
    """The metrics of one report."""
    return {"accuracy": draw.random(), "loss": 1 / step + draw.random()}


def parameters_of(index: int) -> dict[str, Any]:
    """The parameters of one trial."""
    return {
        "task": f"task-{index % TASKS}",
        "network": f"network-{index // TASKS % NETWORKS}",
        "lr": 1e-6 * (index % 1000 + 1),
    }
