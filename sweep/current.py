"""The run that a script is part of: `sweep.run()`.

    import sweep

    run = sweep.run(defaults={"lr": 0.1})
    for step in range(1, 101):
        ...
        run.report(step, loss=loss)

In a sweep, whatever runs the script installs the trial's run first. Started by hand
(`python train.py`) a script gets a `NullRun` instead, which keeps the same rules.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sweep.run import NullRun, Run


class ScriptRun:
    """A run together with the trial's parameters."""

    def __init__(self, run: Run, params: Mapping[str, Any]) -> None:
        self._run = run
        self.params: dict[str, Any] = dict(params)

    @property
    def seed(self) -> int:
        """See `sweep.run.Run`."""
        return self._run.seed

    @property
    def device(self) -> str:
        """See `sweep.run.Run`."""
        return self._run.device

    @property
    def max_t(self) -> int | None:
        """See `sweep.run.Run`."""
        return self._run.max_t

    def report(self, step: int, **metrics: float) -> None:
        """See `sweep.run.Run`."""
        self._run.report(step, **metrics)

    def save(self, state: Mapping[str, Any]) -> None:
        """See `sweep.run.Run`."""
        self._run.save(state)

    def restore(self) -> dict[str, Any] | None:
        """See `sweep.run.Run`."""
        return self._run.restore()


_installed: list[tuple[Run, Mapping[str, Any]]] = []
"""The trial of this process, if it runs a script: one at most.

Of the process and not of a thread, since a script's own threads may ask too.
"""


def run(*, defaults: Mapping[str, Any] | None = None) -> ScriptRun:
    """The run of the trial that this script is, or a `NullRun` outside of a sweep.

    Args:
        defaults: parameters where the trial, or nobody, gives any.
    """
    given = defaults or {}
    if not _installed:
        return ScriptRun(NullRun(), given)
    real, params = _installed[-1]
    return ScriptRun(real, {**given, **params})


@contextmanager
def installed(run: Run, params: Mapping[str, Any]) -> Iterator[None]:
    """Have `sweep.run()` answer this run for the length of the block."""
    entry = (run, params)
    _installed.append(entry)
    try:
        yield
    finally:
        _installed.remove(entry)
