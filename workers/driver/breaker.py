"""Which nodes a sweep stays away from, because its trials fail there: pure, no Ray."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.driver.nodes import Node, places_on

BAD_AFTER = 3
"""Failures in a row: two may be chance, and each one more costs another trial an attempt."""

_ERROR_CHARS = 500


@dataclass(frozen=True)
class Exclusion:
    """A node that the sweep stays away from as of now."""

    node: str
    reason: str
    trials: tuple[int, ...]
    """Trials that failed alone there in the same streak, before the failure that showed it."""


class Breaker:
    """Counts failures in a row by node.

    Only failures that point to the node count: those of trials that have no trial in
    common with the streak's other failures (a trial, or a pack's member, that fails
    again and again says nothing about its node), and that did not fail on another node.
    A node is excluded only while another that could train has had no failure since its
    last success; and none is any more once a trial that led to an exclusion has failed
    on another node too, for then the trials are bad, not the nodes.

    Args:
        request: what a trial reserves, by Ray's names.
        excluded: nodes that are excluded already, by Ray's id, and why.
    """

    def __init__(self, request: Mapping[str, float], excluded: Mapping[str, str]) -> None:
        self.request = request
        self.excluded = dict(excluded)
        self.nodes: tuple[Node, ...] = ()
        self._streaks: dict[str, list[frozenset[int]]] = {}
        self._witnesses: set[int] = set()
        """Trials whose failures led to an exclusion."""
        self._refuted = False
        """Whether one of them failed on another node too."""

    def failed(self, node: str | None, trials: frozenset[int], error: str) -> Exclusion | None:
        """Take in that an attempt failed on a node; whether the node is excluded for it.

        Args:
            node: Ray's id; None when it is not known.
            trials: the trial, or the members of its pack.
            error: what it failed with.
        """
        if node is None or node in self.excluded:
            return None
        self._refuted |= bool(trials & self._witnesses)
        if self._failed_elsewhere(node, trials):
            return None
        streak = self._streaks.setdefault(node, [])
        if any(trials & other for other in streak):
            return None
        streak.append(trials)
        del streak[:-BAD_AFTER]
        if len(streak) < BAD_AFTER or self._refuted or not self._others(node):
            return None
        return self._exclude(node, error)

    def succeeded(self, node: str | None) -> None:
        """Take in that an attempt went well on a node."""
        if node is not None:
            self._streaks.pop(node, None)

    def _failed_elsewhere(self, node: str, trials: frozenset[int]) -> bool:
        found = False
        for other, streak in self._streaks.items():
            kept = [failed for failed in streak if other == node or not failed & trials]
            found |= len(kept) < len(streak)
            streak[:] = kept
        return found

    def _others(self, node: str) -> bool:
        """Whether another node, one where all is well, could train in its stead."""
        return any(
            other.id != node
            and other.id not in self.excluded
            and not self._streaks.get(other.id)
            and places_on(other, self.request)
            for other in self.nodes
        )

    def _exclude(self, node: str, error: str) -> Exclusion:
        streak = self._streaks.pop(node)
        self._witnesses.update(*streak)
        lines: Sequence[str] = error.strip().splitlines() or ["no error was told"]
        address = next((n.address for n in self.nodes if n.id == node), node)
        reason = (
            f"{address}: {len(streak)} trials in a row failed there; "
            f"the last: {lines[-1][:_ERROR_CHARS]}"
        )
        self.excluded[node] = reason
        alone = tuple(i for failed in streak[:-1] if len(failed) == 1 for i in failed)
        return Exclusion(node, reason, alone)
