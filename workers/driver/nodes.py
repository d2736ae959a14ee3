"""What nodes offer, what a trial asks of one, and why none of a sweep trains: no Ray here."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from sweep.spec import Resources

GIB = 2**30
ACCELERATOR = "accelerator_type:"
"""What Ray puts before the type of a node's accelerator to name a resource of it."""

_ACCELERATOR_AMOUNT = 0.001
"""What Ray takes of that resource to say that a node must have it."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Node:
    """A live node of the cluster."""

    id: str
    """Ray's."""
    address: str
    resources: Mapping[str, float]
    """What it offers in all, by Ray's names; memory in bytes."""


def node_name(address: str, host: str) -> str:
    """What a node is called where people read and filter: its address, which hosts never share.

    Args:
        address: the node's IP address as Ray knows it.
        host: its host name, which stands for an address that only it can reach.
    """
    return host if ip_address(address).is_loopback else address


def request_of(resources: Resources) -> dict[str, float]:
    """What a trial reserves, by Ray's names; memory in bytes."""
    request = {"CPU": resources.cpu, "GPU": resources.gpu}
    request |= {"memory": float(int(resources.memory * GIB)), **resources.custom}
    if resources.accelerator_type is not None:
        request[ACCELERATOR + resources.accelerator_type] = _ACCELERATOR_AMOUNT
    return {name: amount for name, amount in request.items() if amount > 0}


def places_on(node: Node, request: Mapping[str, float]) -> int:
    """How many trials a node has room for when nothing else runs there."""
    offered = node.resources
    return min((_times(n, need, offered.get(n, 0)) for n, need in request.items()), default=0)


def places_in(
    nodes: Sequence[Node], request: Mapping[str, float], excluded: Collection[str]
) -> int:
    """How many trials the cluster has room for; a trial fits on one node or not at all."""
    return sum(places_on(node, request) for node in nodes if node.id not in excluded)


def totals(nodes: Sequence[Node]) -> dict[str, float]:
    """What all nodes offer together, without the resources that only name a node."""
    summed: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.resources.items():
            if not name.startswith("node:"):
                summed[name] = summed.get(name, 0) + amount
    return summed


def waiting_text(
    request: Mapping[str, float],
    nodes: Sequence[Node],
    *,
    excluded: Collection[str],
    stuck: bool,
) -> str | None:
    """Why trials that wait are not trained, in words for the user; None: no reason is seen.

    Args:
        request: what a trial reserves.
        nodes: the cluster's live nodes.
        excluded: the ids of nodes on which the sweep starts nothing.
        stuck: whether nothing of the sweep has been training for a while.
    """
    usable = [node for node in nodes if node.id not in excluded]
    if any(places_on(node, request) for node in usable):
        wait = f"waiting for {_words(request)}: all in use, or a process is starting"
        return wait if stuck else None
    shut = [n.address for n in nodes if n.id in excluded and places_on(n, request)]
    if shut:
        text = f"waiting for {_words(request)}: the nodes that have it are excluded for this sweep"
        return f"{text} ({', '.join(shut[:5])}); pause and resume it to have them tried again"
    if not nodes:
        return f"waiting for {_words(request)}: the cluster has no nodes"
    return _never(request, usable or nodes)


def _never(request: Mapping[str, float], nodes: Sequence[Node]) -> str:
    """Why no node could ever hold the request."""
    largest = {name: max(n.resources.get(name, 0) for n in nodes) for name in request}
    missing = {name: need for name, need in request.items() if largest[name] <= 0}
    if missing:
        return f"waiting for {_words(missing)}: the cluster has none"
    for name, need in request.items():
        if not _times(name, need, largest[name]):
            has = _amount(name, largest[name])
            return f"needs {_words({name: need})} on one node, the largest has {has}"
    return f"needs {_words(request)} on one node, and no node has all of it"


def _times(name: str, need: float, offered: float) -> int:
    """How often a need is met; a fraction of a GPU lies on one GPU."""
    if name == "GPU" and need < 1:
        return int(offered) * int(1 / need + _ROUNDING)
    return int(offered / need + _ROUNDING)


def _words(request: Mapping[str, float]) -> str:
    parts = [_part(name, amount) for name, amount in request.items()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _part(name: str, amount: float) -> str:
    if name in ("CPU", "GPU"):
        return f"{amount:g} {name}{'s' if amount > 1 else ''}"
    if name == "memory":
        return f"{_amount(name, amount)} of memory"
    if name.startswith(ACCELERATOR):
        return f"an accelerator of type {name.removeprefix(ACCELERATOR)}"
    return f"{amount:g} of {name!r}"


def _amount(name: str, amount: float) -> str:
    return f"{amount / GIB:.3g} GiB" if name == "memory" else f"{amount:g}"
