"""Makes Tune forget trials that ended.

Tune keeps the object of every trial, its configuration and the history of its results, to
show and save them; for each that is about 28 kB until the sweep ends, and every step of its
loop gets slower with them. SQL is the record here, so nobody asks for them again.
"""

from typing import Any

from ray.tune.experiment import Trial

_KEPT_IN = ("_stopped_trials", "_failed_trials", "_trials_to_cache")
"""Where Tune's controller has an ended trial besides its list. A version of Ray that names
them otherwise only goes on keeping its trials."""


class EndedTrials:
    """The trials that are ending, until Tune has let go of their actors."""

    def __init__(self) -> None:
        self._ending: list[tuple[Any, Trial]] = []

    def add(self, controller: Any, trial: Trial) -> None:
        """Note that a trial of Tune's is about to end."""
        self._ending.append((controller, trial))

    def forget(self, trials: list[Trial]) -> None:
        """Drop those that have ended; between two steps of Tune's loop alone.

        Args:
            trials: the controller's own list.
        """
        ended = [entry for entry in self._ending if entry[1].is_finished()]
        if not ended:
            return
        self._ending = [entry for entry in self._ending if not entry[1].is_finished()]
        for controller, trial in ended:
            trials.remove(trial)
            for name in _KEPT_IN:
                getattr(controller, name, set()).discard(trial)
