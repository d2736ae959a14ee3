"""What a sweep that shares the cluster could use beyond its share, shown to an autoscaler.

Ray's autoscaler acts on what waits for a place. A sweep alone has works waiting in Tune's
queue; one that shares hands out no more than its share, so here as many places are asked
for as it could use besides. They fit on no node that is there now: they take nothing from
anyone, and when a node joins they give way to works at the next look.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.util.placement_group import placement_group, remove_placement_group

from workers.driver.placing import away_from


class Demand:
    """Keeps as many placement groups waiting as are wanted.

    Args:
        ask: Ray's way to ask for a placement group.
        withdraw: Ray's way to give one back.
    """

    def __init__(
        self,
        ask: Callable[..., Any] = placement_group,
        withdraw: Callable[[Any], None] = remove_placement_group,
    ) -> None:
        self._ask = ask
        self._withdraw = withdraw
        self._waiting: list[Any] = []
        self._nodes: tuple[str, ...] = ()

    def show(self, count: int, request: Mapping[str, float], nodes: Sequence[str]) -> None:
        """Have so many places waiting.

        Args:
            count: how many.
            request: what each would reserve, by Ray's names.
            nodes: the live nodes, by Ray's id; while there are none, nothing is asked for.

        Raises:
            RayError, RuntimeError: when Ray is away.
        """
        present = tuple(sorted(nodes))
        if present != self._nodes:
            self._keep(0)
            self._nodes = present
        wanted = count if present else 0
        self._keep(wanted)
        while len(self._waiting) < wanted:
            self._waiting.append(
                self._ask([dict(request)], bundle_label_selector=[away_from(present)])
            )

    def _keep(self, most: int) -> None:
        while len(self._waiting) > most:
            self._withdraw(self._waiting.pop())
