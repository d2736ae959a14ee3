"""What a sweep that shares the cluster shows an autoscaler."""

from typing import Any

from sweep.spec import Budget
from tests.unit.driver.builders import at
from tests.unit.driver.test_losses import GOOD, Driver
from workers.driver.demand import Demand
from workers.driver.running import QUEUED_AT_LEAST, RunningSweep


class Ray:
    """The placement groups that were asked for and not given back."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Any, Any]] = []

    def ask(self, bundles: Any, *, bundle_label_selector: Any) -> tuple[Any, Any]:
        group = (bundles, bundle_label_selector)
        self.waiting.append(group)
        return group

    def withdraw(self, group: tuple[Any, Any]) -> None:
        self.waiting.remove(group)


def test_as_many_places_wait_as_are_wanted_on_no_node_that_is_there() -> None:
    ray = Ray()
    demand = Demand(ray.ask, ray.withdraw)
    demand.show(2, {"GPU": 1.0}, ["bb", "aa"])
    assert ray.waiting == [([{"GPU": 1.0}], [{"ray.io/node-id": "!in(aa,bb)"}])] * 2
    demand.show(1, {"GPU": 1.0}, ["aa", "bb"])
    assert len(ray.waiting) == 1
    demand.show(3, {"GPU": 1.0}, ["aa", "bb", "cc"])  # one joined: those for before give way
    assert ray.waiting == [([{"GPU": 1.0}], [{"ray.io/node-id": "!in(aa,bb,cc)"}])] * 3
    demand.show(3, {"GPU": 1.0}, [])
    assert ray.waiting == []
    demand.show(3, {"GPU": 1.0}, ["aa"])
    demand.show(0, {"GPU": 1.0}, ["aa"])
    assert ray.waiting == []


def shared(sweep: RunningSweep, driver: Driver, places: int | None, most: int | None = None) -> int:
    driver.core.limit(at(0), places=places, max_concurrent=most, budget=Budget())
    return sweep.wants_more


def test_more_is_wanted_past_a_share_alone() -> None:
    driver = Driver(6)
    driver.sweep.see([GOOD])
    driver.begin(GOOD)
    assert shared(driver.sweep, driver, None) == 0
    assert shared(driver.sweep, driver, 6) == 0
    assert shared(driver.sweep, driver, 4) == 2
    assert shared(driver.sweep, driver, 4, most=5) == 1
    assert shared(driver.sweep, driver, 1) == QUEUED_AT_LEAST
