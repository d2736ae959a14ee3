"""How running sweeps share a cluster: a pure function.

Sweeps of higher priority are served first. Among equal ones the places go, one after
the other, to the sweep whose *dominant share* is smallest for its weight: the largest
fraction that it holds of any one resource (Ghodsi et al. 2011, dominant resource
fairness). A place is what one work takes: a trial alone, or a pack.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from service.store.interface import SweepOnDuty
from sweep.states import SweepState, WantedState

_TOLERANCE = 1e-9
"""Resources are fractions; ten tenths make one."""


def share(sweeps: Sequence[SweepOnDuty]) -> dict[str, int | None]:
    """How many works each running sweep may train at once; None: any number.

    A sweep that is alone takes what it finds. So do all of them until one has said
    what the cluster offers.
    """
    taking = [s for s in sweeps if s.state is SweepState.RUNNING and s.wanted is WantedState.RUN]
    cluster = cluster_of(taking)
    if len(taking) < 2 or not cluster:
        return dict.fromkeys((s.id for s in taking), None)
    free = dict(cluster)
    places: dict[str, int | None] = {}
    taking.sort(key=lambda s: (-s.priority, s.created_at, s.id))
    for _, equals in groupby(taking, key=lambda s: s.priority):
        places |= _fill(list(equals), free, cluster)
    return places


def cluster_of(sweeps: Iterable[SweepOnDuty]) -> Mapping[str, float]:
    """What the cluster offers, as the driver last heard saw it; empty when none did."""
    seen = [s for s in sweeps if s.cluster and s.lease_expires_at is not None]
    newest = max(seen, key=lambda s: (s.lease_expires_at, s.id), default=None)
    return {} if newest is None else newest.cluster


def _fill(
    equals: Sequence[SweepOnDuty], free: dict[str, float], cluster: Mapping[str, float]
) -> dict[str, int | None]:
    """Give out places to sweeps of one priority until nobody wants, or fits, one more."""
    places: dict[str, int | None] = {}
    given = dict.fromkeys((s.id for s in equals), 0)
    queue = [(0.0, position) for position, s in enumerate(equals) if s.need]
    for sweep in equals:
        if not sweep.need:  # it has not said yet what it needs: it starts small
            places[sweep.id] = 1
    while queue:
        held, position = heapq.heappop(queue)
        sweep = equals[position]
        if given[sweep.id] >= sweep.wanted_places or not _fits(sweep.need, free):
            continue
        for name, amount in sweep.need.items():
            free[name] = free.get(name, 0) - amount
        given[sweep.id] += 1
        heapq.heappush(queue, (held + _dominant(sweep.need, cluster) / sweep.weight, position))
    return {**given, **places}


def _fits(need: Mapping[str, float], free: Mapping[str, float]) -> bool:
    return all(free.get(name, 0) >= amount - _TOLERANCE for name, amount in need.items())


def _dominant(need: Mapping[str, float], cluster: Mapping[str, float]) -> float:
    return max(
        (amount / cluster[name] for name, amount in need.items() if cluster.get(name)), default=0.0
    )
