"""What the three systems' documentation says that each parameter draws, in NumPy."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Rng = np.random.Generator


def _picked(rng: Rng, values: list[Any], n: int, weights: list[float] | None = None) -> list[Any]:
    return [values[i] for i in rng.choice(len(values), n, p=weights)]


def wandb(one: Mapping[str, Any], rng: Rng, n: int) -> list[Any]:
    """A parameter of a W&B configuration."""
    if "value" in one:
        return [one["value"]] * n
    if "values" in one:
        return _picked(rng, one["values"], n, one.get("probabilities"))
    low, high = one.get("min"), one.get("max")
    whole = isinstance(low, int) and isinstance(high, int)
    name = one.get("distribution", "int_uniform" if whole else "uniform")
    mu, sigma = one.get("mu", 0), one.get("sigma", 1)
    draw: dict[str, Callable[[], Any]] = {
        "int_uniform": lambda: rng.integers(low, high, n, endpoint=True),
        "uniform": lambda: rng.uniform(low, high, n),
        "log_uniform": lambda: np.exp(rng.uniform(low, high, n)),
        "log_uniform_values": lambda: np.exp(rng.uniform(math.log(low), math.log(high), n)),
        "inv_log_uniform": lambda: 1 / np.exp(rng.uniform(low, high, n)),
        "inv_log_uniform_values": lambda: (
            1 / np.exp(rng.uniform(math.log(1 / high), math.log(1 / low), n))
        ),
        "normal": lambda: rng.normal(mu, sigma, n),
        "log_normal": lambda: np.exp(rng.normal(mu, sigma, n)),
        "beta": lambda: rng.beta(one.get("a", 1), one.get("b", 1), n),
    }
    drawn = draw[name.removeprefix("q_")]()
    if name.startswith("q_"):
        q = one.get("q", 1)
        drawn = np.round(drawn / q) * q
        drawn = drawn.astype(int) if isinstance(q, int) else drawn
    return drawn.tolist()  # type: ignore[no-any-return]


def determined(one: Any, rng: Rng, n: int) -> list[Any]:
    """A hyperparameter of a Determined configuration."""
    if not isinstance(one, Mapping):
        return [one] * n
    if one["type"] == "const":
        return [one["val"]] * n
    if one["type"] == "categorical":
        return _picked(rng, one["vals"], n)
    low, high = one["minval"], one["maxval"]
    if one["type"] == "int":
        return rng.integers(low, high, n, endpoint=True).tolist()
    drawn = rng.uniform(low, high, n)
    return (one.get("base", 10) ** drawn if one["type"] == "log" else drawn).tolist()


def katib(one: Mapping[str, Any], rng: Rng, n: int) -> list[Any]:
    """A parameter of a Katib Experiment."""
    kind, space = one["parameterType"], one["feasibleSpace"]
    if "list" in space:
        number = float if kind == "discrete" else str
        values = [number(text) for text in space["list"]]
        if kind == "discrete" and all(v == int(v) for v in values):
            values = [int(v) for v in values]
        return _picked(rng, values, n)
    low, high, step = (float(space.get(key, 0)) for key in ("min", "max", "step"))
    name, whole = space.get("distribution", "uniform"), kind == "int"
    if name in ("logUniform", "logNormal"):
        low, high = math.log(low), math.log(high)
    if name in ("normal", "logNormal"):
        drawn = rng.normal((low + high) / 2, (high - low) / 6, n)
    elif step or (whole and name == "uniform"):
        step = step or 1
        drawn = low + step * rng.integers(0, math.floor((high - low) / step + 1e-9) + 1, n)
    elif whole:  # as log-uniform as integers can be: each has the share up to the next
        drawn = rng.uniform(low, math.log(math.exp(high) + 1), n)
        return np.floor(np.exp(drawn) + 1e-12).astype(int).tolist()  # type: ignore[no-any-return]
    else:
        drawn = rng.uniform(low, high, n)
    drawn = np.exp(drawn) if name.startswith("log") else drawn
    return (np.round(drawn).astype(int) if whole else drawn).tolist()  # type: ignore[no-any-return]
