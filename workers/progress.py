"""How far a sweep in one process is, for who waits for it."""

import time
from typing import TextIO

from sweep.records import Origin
from sweep.rows import TrialRow
from sweep.searches import unproposed
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
        spec = self._ledger.spec
        rule = spec.early_stopping
        left = sum((row.max_t or 0) - (row.step or 0) for row in rows if self._is_open(row))
        left += self._unproposed * (rule.max_t or 0)
        if isinstance(rule, Halving) and rule.restart_winner is not None:
            groups = {row.group for row in rows}
            restarts = sum(row.origin is Origin.RESTART for row in rows)
            winners = len(groups) * spec.replicates
            left += (winners - restarts) * rule.restart_winner.max_t
        return left

    def _is_open(self, row: TrialRow) -> bool:
        """Whether a trial has not ended, and the budget has room for it."""
        limit = self._ledger.spec.budget.trials
        is_affordable = limit is None or row.index < limit or row.origin is Origin.RESTART
        return is_affordable and row.state not in FINAL_TRIAL_STATES

    @property
    def _unproposed(self) -> int:
        """How many trials a model-based search will propose yet."""
        spec, rows = self._ledger.spec, self._ledger.rows.values()
        limit = spec.budget.trials
        return unproposed(
            spec.search,
            replicates=spec.replicates,
            searched=sum(row.origin is Origin.SEARCH for row in rows),
            room=None if limit is None else limit - len(rows),
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
