"""What is asked of Ray, and what its errors mean; the errors are Ray's own objects."""

import threading
from collections.abc import Sequence

import pytest
from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import ActorDiedError, ActorUnavailableError, RaySystemError
from ray.tune import PlacementGroupFactory

from tests.unit.driver.test_losses import GOOD, Driver
from workers.driver.nodes import Node
from workers.driver.placing import factory_of, node_of, was_cut_off, watch


def test_a_place_names_what_is_reserved_and_which_nodes_are_shunned() -> None:
    request = {"CPU": 1.0, "memory": 2.0**30, "licence": 2.0}
    free = factory_of(request, ())
    assert (free.bundles, free) == ([request], PlacementGroupFactory([request]))
    shy = factory_of(request, ("aa", "bb"))
    assert shy == PlacementGroupFactory(
        [request], bundle_label_selector=[{"ray.io/node-id": "!in(aa,bb)"}]
    )
    assert shy != free


def died(words: str) -> ActorDiedError:
    return ActorDiedError(ActorDiedErrorContext(error_message=words, actor_id=b"a" * 16))


@pytest.mark.parametrize(
    ("error", "cut_off"),
    [
        (ActorUnavailableError("Socket closed rpc_code: 14", None), True),
        (died("The actor died because its node has died. Node Id: aa"), True),
        (died("The actor is dead because its worker process has died."), False),
        (ValueError("its node has died"), False),
        (None, False),
    ],
)
def test_which_errors_mean_that_the_node_was_lost(error: object, cut_off: bool) -> None:
    assert was_cut_off(error) is cut_off


def test_an_error_that_is_about_no_actor_names_no_node() -> None:
    assert node_of(ValueError("mine")) is None
    assert node_of(None) is None


def test_the_watch_goes_on_when_ray_does_not_answer() -> None:
    answers: list[Sequence[Node] | Exception] = [
        (),
        RuntimeError("the head is away"),
        RaySystemError("it is still"),
        (GOOD,),
    ]
    seen = threading.Event()

    def read() -> Sequence[Node]:
        if not answers:
            seen.set()
            return (GOOD,)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    driver = Driver(1)
    shown: list[tuple[object, ...]] = []
    watch(driver.sweep, lambda *told: shown.append(told), read, every_s=0.001)
    assert seen.wait(30)
    assert shown[0] == (0, {"CPU": 1.0}, [GOOD.id])
    assert driver.sweep.signs().cluster == GOOD.resources
