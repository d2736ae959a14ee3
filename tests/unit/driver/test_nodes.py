"""What is said of a request and a cluster, and how many trials fit: pure functions."""

import pytest

from sweep.spec import Resources
from workers.driver.nodes import (
    GIB,
    Node,
    node_name,
    places_in,
    request_of,
    totals,
    waiting_text,
)


def node(name: str, **resources: float) -> Node:
    return Node(name, f"10.0.0.{name}", {"node:" + name: 1.0, **resources})


SMALL = node("1", CPU=4.0, memory=8.0 * GIB)
BIG = node("2", CPU=16.0, memory=64.0 * GIB)
GPUS = node("3", CPU=2.0, GPU=2.0, **{"accelerator_type:T4": 1.0})


def said(
    resources: Resources, *nodes: Node, excluded: tuple[str, ...] = (), stuck: bool = False
) -> str | None:
    return waiting_text(request_of(resources), nodes, excluded=excluded, stuck=stuck)


def test_a_request_names_all_that_ray_is_to_reserve() -> None:
    resources = Resources(
        cpu=0, gpu=0.5, memory=1.5, custom={"licence": 2}, accelerator_type="A100"
    )
    assert request_of(resources) == {
        "GPU": 0.5,
        "memory": 1.5 * GIB,
        "licence": 2,
        "accelerator_type:A100": 0.001,
    }


@pytest.mark.parametrize(
    ("resources", "places"),
    [
        (Resources(cpu=1), 22),
        (Resources(cpu=3), 6),  # 1 + 5 + 0: what is left over on several nodes holds nothing
        (Resources(cpu=4, memory=8), 5),
        (Resources(cpu=0.1), 220),
        (Resources(cpu=0, gpu=0.4), 4),  # two on each GPU, not five on both
        (Resources(cpu=1, gpu=2), 1),
        (Resources(cpu=17), 0),
    ],
)
def test_places_are_counted_node_by_node(resources: Resources, places: int) -> None:
    assert places_in((SMALL, BIG, GPUS), request_of(resources), ()) == places


def test_places_on_excluded_nodes_do_not_count() -> None:
    assert places_in((SMALL, BIG), request_of(Resources(cpu=1)), {"2"}) == 4


def test_totals_are_of_all_nodes_without_their_names() -> None:
    assert totals((SMALL, BIG)) == {"CPU": 20.0, "memory": 72.0 * GIB}


@pytest.mark.parametrize(
    ("resources", "nodes", "text"),
    [
        (Resources(gpu=1), (SMALL, BIG), "waiting for 1 GPU: the cluster has none"),
        (Resources(gpu=2), (SMALL,), "waiting for 2 GPUs: the cluster has none"),
        (
            Resources(gpu=1, accelerator_type="A100"),
            (SMALL, GPUS),
            "waiting for an accelerator of type A100: the cluster has none",
        ),
        (
            Resources(gpu=1, custom={"licence": 2}),
            (SMALL,),
            "waiting for 1 GPU and 2 of 'licence': the cluster has none",
        ),
        (Resources(cpu=8), (SMALL,), "needs 8 CPUs on one node, the largest has 4"),
        (
            Resources(memory=100),
            (SMALL, BIG),
            "needs 100 GiB of memory on one node, the largest has 64 GiB",
        ),
        (
            Resources(cpu=8, gpu=1),
            (BIG, GPUS),
            "needs 8 CPUs and 1 GPU on one node, and no node has all of it",
        ),
        (Resources(cpu=1), (), "waiting for 1 CPU: the cluster has no nodes"),
    ],
)
def test_what_no_node_can_ever_hold_is_said(
    resources: Resources, nodes: tuple[Node, ...], text: str
) -> None:
    assert said(resources, *nodes) == text
    assert said(resources, *nodes, stuck=True) == text


def test_a_node_that_joins_ends_the_wait() -> None:
    assert said(Resources(gpu=1), SMALL) is not None
    assert said(Resources(gpu=1), SMALL, GPUS) is None


def test_full_nodes_are_said_once_nothing_has_trained_for_a_while() -> None:
    assert said(Resources(cpu=2), SMALL) is None
    text = "waiting for 2 CPUs: all in use, or a process is starting"
    assert said(Resources(cpu=2), SMALL, stuck=True) == text


def test_nodes_that_would_do_but_are_excluded_are_named() -> None:
    text = said(Resources(gpu=1), SMALL, GPUS, excluded=("3",))
    assert text == (
        "waiting for 1 CPU and 1 GPU: the nodes that have it are excluded for this sweep "
        "(10.0.0.3); pause and resume it to have them tried again"
    )


def test_a_node_is_called_by_its_address_unless_that_is_its_own_alone() -> None:
    assert node_name("10.0.0.2", "trainer") == "10.0.0.2"
    assert node_name("fd00::2", "trainer") == "fd00::2"
    assert node_name("127.0.0.1", "laptop") == "laptop"
