"""How far a sweep in one process is, for who waits for it."""

import time
from typing import TextIO

from sweep.records import Origin
from sweep.searches import ModelSearch
from sweep.states import FINAL_TRIAL_STATES
from sweep.stopping import Halving
from workers.ledger import Ledger

_SHOW_EVERY_S = 2.0


class Progress:
    """What is done and how long it takes, a line every few seconds."""

    def __init__(self, ledger: Ledger, file: TextIO) -> None:
        self._ledger = ledger
        self._file = file
        self._began = self._shown = time.monotonic()

    def show(self, *, last: bool = False) -> None:
        """Print a line, when the last one is long enough ago: the more so, the longer it takes."""
        now = time.monotonic()
        if not last and now - self._shown < max(_SHOW_EVERY_S, (now - self._began) / 30):
            return
        self._shown = now
        rows = self._ledger.rows.values()
        ended = sum(row.state in FINAL_TRIAL_STATES for row in rows)
        took = now - self._began
        rate = self._ledger.steps / took if took else 0.0
        text = f"{ended:,} of {len(rows):,} trials ended; {self._ledger.steps:,} trial-steps"
        at_most = self._steps_left()
        if rate and not last and at_most is not None:
            text += f"; at most {_duration(at_most / rate)} left"
        self._file.write(f"{text}; {rate:,.0f} a second; {_duration(took)}\n")
        self._file.flush()

    def _steps_left(self) -> int | None:
        rows = self._ledger.rows.values()
        if any(row.max_t is None for row in rows):
            return None
        left = sum(
            (row.max_t or 0) - (row.step or 0)
            for row in rows
            if row.state not in FINAL_TRIAL_STATES
        )
        rule = self._ledger.spec.early_stopping
        left += self._to_propose * (rule.max_t or 0)
        if isinstance(rule, Halving) and rule.restart_winner is not None:
            groups = {row.group for row in rows}
            restarts = sum(row.origin is Origin.RESTART for row in rows)
            winners = len(groups) * self._ledger.spec.replicates
            left += (winners - restarts) * rule.restart_winner.max_t
        return left

    @property
    def _to_propose(self) -> int:
        """How many trials a model-based search has not proposed yet."""
        spec = self._ledger.spec
        if not isinstance(spec.search, ModelSearch):
            return 0
        searched = sum(row.origin is Origin.SEARCH for row in self._ledger.rows.values())
        return max(0, spec.search.num_trials * spec.replicates - searched)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
