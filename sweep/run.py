"""What a training function sees of the sweep that it is part of.

    def train(params, run):
        state = run.restore() or fresh(params, run.seed)
        for step in range(state.step + 1, 1001):
            ...
            run.report(step, loss=loss)

The same function runs on a cluster and, with a `NullRun`, anywhere else. Both keep
the same rules, which `ReportRules` states: a report names an integer step above the
one before it, and at least one metric with a real number.
"""

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Protocol

from sweep.errors import TrialFault


class TrialStop(BaseException):
    """Ends a training function from inside `run.report`: the trial need not go on.

    Not an `Exception`, so that a training function's own handlers let it pass.
    """


class Run(Protocol):
    """One trial's link to its sweep."""

    @property
    def seed(self) -> int:
        """What to seed every generator with; in [0, 2**31)."""
        ...

    @property
    def device(self) -> str:
        """Where to train, in PyTorch's words: 'cuda' or 'cpu'."""
        ...

    @property
    def max_t(self) -> int | None:
        """The step at which the trial is completed; None when the spec names none."""
        ...

    def report(self, step: int, **metrics: float) -> None:
        """Report the metrics at a step.

        Raises:
            TrialStop: when the trial need not go on; let it pass.
            TrialFault: when the report breaks a rule.
        """
        ...

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep a state (anything that pickles) to go on from, as of the last report."""
        ...

    def restore(self) -> dict[str, Any] | None:
        """The state saved last, or None on a fresh start."""
        ...


class ReportRules:
    """The rules of `run.report`, for every kind of run."""

    def __init__(self, last_step: int = 0) -> None:
        self.last_step = last_step

    def accept(self, step: int, metrics: Mapping[str, float]) -> dict[str, float]:
        """The metrics as floats.

        Raises:
            TrialFault: for a step that is no integer above the last, or for no or
                non-numeric metrics.
        """
        if isinstance(step, bool) or not isinstance(step, int):
            raise TrialFault(f"run.report needs an integer step; got {step!r:.100}")
        if step >= 2**63:
            raise TrialFault(f"run.report got step {step}, which does not fit into 64 bits")
        if step <= self.last_step:
            raise TrialFault(
                f"run.report got step {step} after step {self.last_step}: steps must ascend from 1"
            )
        if not metrics:
            raise TrialFault(f"run.report at step {step} names no metric")
        values: dict[str, float] = {}
        for name, value in metrics.items():
            try:
                values[name] = float(value)
            except (TypeError, ValueError):
                raise TrialFault(
                    f"run.report at step {step}: metric {name!r} is no number; got {value!r:.100}"
                ) from None
        self.last_step = step
        return values


class NullRun:
    """A run with no service behind it: keeps the rules and remembers the reports."""

    def __init__(self, *, seed: int = 0, device: str = "cpu", max_t: int | None = None) -> None:
        self.seed = seed
        self.device = device
        self.max_t = max_t
        self.reports: list[tuple[int, dict[str, float]]] = []
        self._rules = ReportRules()
        self._state: dict[str, Any] | None = None

    def report(self, step: int, **metrics: float) -> None:
        """Remember the metrics; stop at `max_t` and at a non-finite value, as a sweep does."""
        values = self._rules.accept(step, metrics)
        self.reports.append((step, values))
        if any(not math.isfinite(value) for value in values.values()):
            raise TrialStop(f"diverged at step {step}")
        if self.max_t is not None and step >= self.max_t:
            raise TrialStop(f"reached max_t {self.max_t}")

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep the state as it is now, in memory."""
        self._state = deepcopy(dict(state))

    def restore(self) -> dict[str, Any] | None:
        """The state saved last."""
        return deepcopy(self._state)

    def __iter__(self) -> Iterator[tuple[int, dict[str, float]]]:
        return iter(self.reports)
