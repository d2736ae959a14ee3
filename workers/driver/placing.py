"""What the driver asks of Ray about its cluster: nodes, places on them, who was lost."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError
from ray.tune import PlacementGroupFactory

from workers.driver.nodes import Node
from workers.driver.running import RunningSweep

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
_NODE_ID = "ray.io/node-id"
"""The label that every Ray node has."""

_NODE_DIED = "The actor died because its node has died"
"""How Ray words an actor's death with its node; it has no type for it."""


def read_nodes() -> tuple[Node, ...]:
    """The cluster's live nodes.

    Raises:
        RayError, RuntimeError: when Ray is away.
    """
    return tuple(
        Node(node["NodeID"], node["NodeManagerAddress"], dict(node["Resources"]))
        for node in ray.nodes()
        if node["Alive"]
    )


def watch(
    sweep: RunningSweep,
    show: Callable[[int, Mapping[str, float], Sequence[str]], None],
    read: Callable[[], Sequence[Node]] = read_nodes,
    every_s: float = _LOOK_EVERY_S,
) -> None:
    """Show the sweep the cluster's nodes now, and go on doing so in a thread.

    Args:
        sweep: the sweep.
        show: is told how many places more it could use, what each reserves, and the nodes.
        read: tells which nodes there are.
        every_s: the seconds between two looks.
    """
    sweep.see(read())

    def look_forever() -> None:
        while True:
            time.sleep(every_s)
            try:
                nodes = read()
                sweep.see(nodes)
                show(sweep.wants_more, sweep.request, [node.id for node in nodes])
            except (RayError, RuntimeError, OSError) as error:
                logger.warning("Ray does not tell its nodes: %s", error)

    threading.Thread(target=look_forever, name="cluster", daemon=True).start()


def factory_of(request: Mapping[str, float], shunned: Sequence[str]) -> PlacementGroupFactory:
    """A place for one work, on any node but some.

    Args:
        request: what it reserves, by Ray's names.
        shunned: nodes to stay away from, by Ray's id.
    """
    if not shunned:
        return PlacementGroupFactory([dict(request)])
    return PlacementGroupFactory([dict(request)], bundle_label_selector=[away_from(shunned)])


def away_from(nodes: Sequence[str]) -> dict[str, str]:
    """A selector of every node but some, by Ray's id."""
    return {_NODE_ID: f"!in({','.join(nodes)})"}


def was_cut_off(error: object) -> bool:
    """Whether an actor's error says that its node is lost, or cannot be reached."""
    if isinstance(error, ActorUnavailableError):
        return True
    return isinstance(error, ActorDiedError) and _NODE_DIED in str(error)


def node_of(error: object) -> str | None:
    """Where the actor was that an error is about, by Ray's id of the node, if Ray knows."""
    actor = getattr(error, "actor_id", None)
    try:
        return None if actor is None else node_of_actor(actor)
    except (RayError, RuntimeError, OSError):
        return None


def node_of_actor(actor_id: str) -> str | None:
    """Ray's id of the node on which an actor runs or ran; None when it never started.

    Raises:
        RayError, RuntimeError, OSError: when Ray is away.
    """
    from ray._private import state  # the public state API asks the dashboard, which may be off

    address: Mapping[str, Any] = state.actors(actor_id).get("Address", {})
    node = address.get("NodeID") or None
    return None if node is None or set(node) <= {"f"} else str(node)
