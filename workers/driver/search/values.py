"""What samplers are told of assignments that ended."""

from collections.abc import Sequence

from workers.driver.search.outcomes import Outcome


class Told:
    """The values that a sampler is told, in the order of the assignments.

    An assignment that diverged counts as the worst of those before it, in each
    objective; one that failed is left out, since that may be no fault of its parameters.
    """

    def __init__(self, modes: Sequence[str]) -> None:
        self._modes = modes
        self.worst: tuple[float, ...] | None = None
        """The worst values so far; None before there were any."""

    def take(self, outcome: Outcome) -> tuple[float, ...] | None:
        """The values of the next assignment; None when it is left out."""
        if outcome.values:
            worst = outcome.values if self.worst is None else self.worst
            self.worst = tuple(
                min(a, b) if mode == "max" else max(a, b)
                for mode, a, b in zip(self._modes, worst, outcome.values, strict=True)
            )
            return outcome.values
        return self.worst if outcome.ending == "diverged" else None
