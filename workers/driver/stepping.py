"""Keeps Tune's loop going while a sweep has nothing to hand out.

Once no trial is left, Tune waits inside of a step, for up to ten minutes, until its searcher
has one more. Meanwhile it sees to nothing else: processes of trials that made room for
other sweeps would keep their places, and the others would wait for those.
"""

import time
from typing import Any

from ray.tune.execution.tune_controller import TuneController

_PAUSE_S = 0.1


def keep_stepping() -> None:
    """Have Tune look for a further trial once a step, and never wait for one."""
    look = TuneController._update_trial_queue

    def look_once(controller: Any, blocking: bool = False, timeout: int = 0) -> bool:
        found: bool = look(controller, blocking=False)
        if blocking and not found:
            time.sleep(_PAUSE_S)
        return found

    TuneController._update_trial_queue = look_once
