"""Trials whose process or node was lost: who is to blame, who waits, what is told."""

from typing import Any

from sweep.states import TrialState
from sweep.wire import MAX_WAITING_CHARS, Assignment, Message
from tests.unit.driver.builders import at, kinds, make_spec, make_tasks, next_task, row, update
from workers.driver.breaker import Breaker
from workers.driver.core import SweepCore
from workers.driver.live import TrialUpdate, WorkUpdate
from workers.driver.nodes import Node, request_of
from workers.driver.retries import LOSSES_FORGIVEN
from workers.driver.running import QUEUED_AT_LEAST, LiveWork, RunningSweep

GOOD, BAD = (Node(name, f"10.0.0.{name}", {"CPU": 2.0}) for name in "12")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> Any:
        return at(self.seconds)


class Driver:
    """A running sweep, driven by hand."""

    def __init__(self, trials: int, **fields: Any) -> None:
        spec = make_spec(parameters={"x": {"grid": list(range(trials))}}, **fields)
        self.clock = Clock()
        self.told: list[Message] = []
        assignment = Assignment.model_validate(
            {
                **{"sweep_id": "s", "epoch": 1, "spec": spec.model_dump(mode="json")},
                **{"code": "m:f", "resources": {"cpu": 1}, "reuse_actors": True},
                **{"max_concurrent": None, "lease_s": 1, "checkpoint_root": "none"},
            }
        )
        self.core = SweepCore(
            spec,
            make_tasks(spec),
            (),
            max_concurrent=None,
            now=at(0),
            breaker=Breaker(request_of(assignment.resources), {}),
        )
        self.sweep = RunningSweep(self.core, assignment, clock=self.clock, emit=self.told.extend)

    def begin(self, node: Node) -> LiveWork:
        """Hand out the next work and let it begin on a node."""
        work = self.hand_out()
        work.node = node.id
        self.tell(work, update())
        return work

    def hand_out(self) -> LiveWork:
        plan = self.sweep.plan_next()
        assert plan is not None
        return LiveWork(plan)

    def tell(self, work: LiveWork, news: TrialUpdate) -> None:
        (index,) = work.members
        self.sweep.on_update(work, WorkUpdate(trials=((index, news),)))

    def moves(self) -> list[tuple[int, TrialState, str | None, bool]]:
        return [(m.trial, m.state, m.reason, m.failed) for m in self.told if m.kind == "moved"]


def test_a_lost_node_costs_a_trial_nothing_until_it_does_so_again_and_again() -> None:
    driver = Driver(1, max_failures=0)
    for _ in range(LOSSES_FORGIVEN):
        work = driver.begin(GOOD)
        driver.sweep.on_failure(work, "its node has died", with_node=True)
    assert driver.moves() == [(0, TrialState.PENDING, "node lost", False)] * LOSSES_FORGIVEN
    driver.sweep.on_failure(driver.begin(GOOD), "its node has died", with_node=True)
    assert driver.moves()[-1] == (0, TrialState.FAILED, "error", True)
    assert driver.sweep.done


def test_a_trial_that_was_handed_out_and_lost_before_it_began_is_as_if_never_handed_out() -> None:
    driver = Driver(1)
    driver.sweep.on_failure(driver.hand_out(), "its node has died", with_node=True)
    assert driver.told == []
    assert next_task(driver.core, at(0)) is not None


def test_the_third_trial_in_a_row_is_forgiven_with_those_before_it() -> None:
    driver = Driver(4, max_failures=1)
    driver.sweep.see((GOOD, BAD))
    works = [driver.begin(BAD) for _ in range(4)]
    for work in works[:3]:
        driver.sweep.on_failure(work, "OSError: broken")
    assert driver.moves() == [
        (0, TrialState.PENDING, "retry", True),
        (1, TrialState.PENDING, "retry", True),
        (2, TrialState.PENDING, "bad node", False),
    ]
    (excluded,) = [m for m in driver.told if m.kind == "node"]
    assert (excluded.node, excluded.forgiven) == (BAD.id, (0, 1))
    assert driver.sweep.shunned == (BAD.id,)
    driver.sweep.on_failure(works[3], "OSError: broken")  # it had begun there before
    assert driver.moves()[-1] == (3, TrialState.PENDING, "bad node", False)
    driver.clock.seconds = 1
    again = [driver.begin(GOOD) for _ in range(4)]
    assert sorted(index for work in again for index in work.members) == [0, 1, 2, 3]
    for work in again:  # each has its one retry still
        driver.sweep.on_failure(work, "ValueError: mine")
    assert not driver.sweep.done
    assert TrialState.FAILED not in {state for _, state, _, _ in driver.moves()}


def test_an_excluded_node_is_refused_what_was_handed_out_before() -> None:
    driver = Driver(5)
    driver.sweep.see((GOOD, BAD))
    works = [driver.begin(BAD) for _ in range(3)]
    late = driver.hand_out()
    for work in works:
        driver.sweep.on_failure(work, "OSError: broken")
    before = len(driver.told)
    late.node = BAD.id
    driver.tell(late, update(row(1, 0.5), error="OSError: broken"))
    assert late.members == {}
    assert len(driver.told) == before
    driver.clock.seconds = 1
    attempts = [attempt for _ in range(5) for attempt in driver.hand_out().members.values()]
    assert sorted(attempts) == [1, 1, 2, 2, 2]


def test_a_node_that_was_excluded_by_a_driver_before_stays_so() -> None:
    driver = Driver(1)
    driver.core.breaker.excluded[BAD.id] = "by the driver before"
    driver.sweep.see((BAD,))
    assert "excluded for this sweep" in (driver.sweep.signs().waiting or "")


def test_works_are_handed_out_for_all_places_and_some_for_an_autoscaler_to_see() -> None:
    driver = Driver(20)

    def fill() -> int:
        count = 0
        while driver.sweep.plan_next() is not None:
            count += 1
        return count

    driver.sweep.see(())
    assert fill() == QUEUED_AT_LEAST
    driver.sweep.see((GOOD,))
    assert fill() == 2
    driver.sweep.see((GOOD, BAD, Node("3", "10.0.0.3", {"CPU": 1.0})))
    assert fill() == 10 - 2 - QUEUED_AT_LEAST


def test_signs_tell_the_cluster_the_places_and_why_nothing_trains() -> None:
    driver = Driver(3)
    assert (driver.sweep.signs().waiting, driver.sweep.signs().places) == (None, 3)
    driver.sweep.see((Node("1", "10.0.0.1", {"GPU": 1.0}),))
    signs = driver.sweep.signs()
    assert signs.waiting == "waiting for 1 CPU: the cluster has none"
    assert (signs.cluster, signs.places) == ({"GPU": 1.0}, 0)
    driver.clock.seconds = 30
    driver.sweep.see((GOOD,))  # the wait for a place begins with it
    assert driver.sweep.signs().waiting is None
    assert driver.sweep.signs().places == 2  # on a node of two CPUs
    work = driver.hand_out()
    driver.clock.seconds = 60
    assert "all in use" in (driver.sweep.signs().waiting or "")
    work.node = GOOD.id
    driver.tell(work, update())
    assert driver.sweep.signs().waiting is None
    driver.tell(work, update(row(1, 0.5), finished=True))
    driver.clock.seconds = 61
    assert (driver.sweep.signs().waiting, driver.sweep.signs().places) == (None, 2)


def test_waiting_to_be_tried_again_is_not_being_done() -> None:
    driver = Driver(1)
    driver.sweep.on_failure(driver.begin(GOOD), "boom")
    assert driver.sweep.plan_next() is None
    assert not driver.sweep.done
    wait = driver.sweep.retry_in
    assert wait is not None
    assert wait.total_seconds() == 1
    driver.clock.seconds = 1
    assert driver.hand_out().members == {0: 2}
    assert driver.sweep.retry_in is None


def test_a_cancelled_sweep_tries_nothing_again() -> None:
    driver = Driver(1)
    driver.sweep.on_failure(driver.begin(GOOD), "boom")
    driver.core.cancel(at(0))
    assert driver.sweep.done
    driver.clock.seconds = 99
    assert driver.sweep.plan_next() is None
    assert "reports" not in kinds(driver.told)


def test_a_sweep_asks_for_no_more_places_than_it_may_use_at_once() -> None:
    driver = Driver(5)
    driver.core.max_concurrent = 1
    driver.sweep.see((GOOD,))
    assert driver.sweep.signs().places == 1


def test_why_it_waits_is_as_long_as_a_heartbeat_takes() -> None:
    driver = Driver(1)
    names = {f"{i}-{'x' * 90}": 1.0 for i in range(20)}
    driver.core.breaker.request = {"CPU": 1.0, **names}
    driver.sweep.see((GOOD,))
    assert len(driver.sweep.signs().waiting or "") == MAX_WAITING_CHARS
