"""Population based training: who goes on from whose state, and what a new driver repeats."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.spec import SweepSpec
from sweep.states import TrialState
from sweep.stopping import Pbt
from sweep.wire import Exploited, Message, RungDecided, TrialTask
from tests.unit.driver.builders import (
    START,
    kinds,
    make_spec,
    make_task,
    make_tasks,
    next_task,
    on_update,
    row,
    update,
)
from tests.unit.driver.killing import MemoryStore
from workers.driver.core import SweepCore
from workers.driver.population import PopulationRule

VALUES = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=12)


def make_pbt(
    *, trials: int = 4, parameters: dict[str, Any] | None = None, **rule: Any
) -> SweepSpec:
    return make_spec(
        parameters=parameters or {"lr": {"loguniform": {"min": 1e-4, "max": 1.0}}},
        search={"type": "random", "num_trials": trials},
        early_stopping={
            "type": "pbt",
            "interval": 10,
            "max_t": 40,
            "perturb": ["lr"],
            "resample_probability": 0,
            **rule,
        },
    )


def make_rule(**fields: Any) -> PopulationRule:
    spec = make_pbt(**fields)
    assert isinstance(spec.early_stopping, Pbt)
    return PopulationRule(spec.early_stopping, spec)


def saved_task(index: int, *, group: str = "{}") -> TrialTask:
    return make_task(index, group=group).model_copy(
        update={"checkpoint": f"folder-{index}/10", "checkpoint_step": 10}
    )


@given(VALUES, st.floats(0.05, 0.5))
@settings(deadline=None)
def test_the_quantiles_are_those_of_their_definition(values: list[float], share: float) -> None:
    rule = make_rule(quantile=share)
    tasks = {i: saved_task(i) for i in range(len(values))}
    for i, value in enumerate(values[:-1]):
        rule.observe(tasks[i], step=10, value=value)
        rule.turn(tasks[i], tasks)
    last = len(values) - 1
    rule.observe(tasks[last], step=10, value=values[last])
    turn = rule.turn(tasks[last], tasks)
    count = min(math.ceil(len(values) * share), len(values) // 2)
    worse = sum(value < values[last] for value in values)
    if turn.donor is None:
        assert worse + values.count(values[last]) > count or len(values) < 2
    else:
        assert worse < count
        better = sum(value > values[turn.donor] for value in values)
        assert better < count
        assert turn.donor_value == values[turn.donor]
        assert values[turn.donor] >= values[last]


def test_groups_are_ranked_apart_and_the_ended_are_left_out() -> None:
    rule = make_rule()
    tasks = {i: saved_task(i, group="a" if i < 2 else "b") for i in range(4)}
    for i, value in enumerate([5.0, 6.0, 1.0, 0.5]):
        rule.observe(tasks[i], step=10, value=value)
        turn = rule.turn(tasks[i], tasks)
        assert turn.donor == {3: 2}.get(i)
    rule.leave(tasks[1], outcome="completed", value=6.0)
    rule.observe(tasks[0], step=20, value=0.0)
    assert rule.turn(tasks[0], tasks).donor is None


def test_a_trial_without_a_saved_state_is_nobodys_donor() -> None:
    rule = make_rule()
    tasks = {0: make_task(0), 1: saved_task(1)}
    rule.observe(tasks[0], step=10, value=9.0)
    rule.turn(tasks[0], tasks)
    rule.observe(tasks[1], step=10, value=1.0)
    assert rule.turn(tasks[1], tasks).donor is None


def make_core(
    spec: SweepSpec, told: Sequence[Message] = (), *, places: int | None = None
) -> SweepCore:
    """A driver that begins where another was lost after these messages."""
    store = MemoryStore(spec)
    store.take(told)
    return started(store, places)


def started(store: MemoryStore, places: int | None) -> SweepCore:
    core = store.core(max_concurrent=places)
    core.spread_over(len(store.rows) if places is None else places)
    return core


def arrive(
    core: SweepCore, index: int, step: int, score: float, *, attempt: int = 1, begin: int = 0
) -> bool:
    news = update(
        row(step, score),
        parked=True,
        checkpoint=(step, f"folder-{index}/{attempt}-{step}"),
        from_step=begin,
    )
    return on_update(core, index, attempt, news)


def exploits(messages: Sequence[Any]) -> list[Exploited]:
    return [m for m in messages if isinstance(m, Exploited)]


def test_the_worst_goes_on_from_the_best_with_its_parameters_explored() -> None:
    spec = make_pbt()
    core = make_core(spec)
    tasks = make_tasks(spec)
    while next_task(core):
        pass
    assert arrive(core, 0, 10, 0.7)
    assert arrive(core, 1, 10, 0.9)
    assert not arrive(core, 2, 10, 0.1)
    messages = core.take_messages()
    (found,) = exploits(messages)
    assert (found.trial, found.donor, found.step, found.value) == (2, 1, 10, 0.1)
    assert (found.checkpoint, found.checkpoint_step) == ("folder-1/1-10", 10)
    lr = tasks[1].parameters["lr"]
    assert found.parameters["lr"] in [max(1e-4, lr * 0.8), min(1.0, lr * 1.2)]
    assert kinds(messages)[-2:] == ["exploited", "rung"]
    handed = next_task(core)
    assert handed is not None
    task, attempt = handed
    assert (task.index, attempt, task.parameters) == (2, 2, found.parameters)
    assert (task.checkpoint, task.checkpoint_step) == ("folder-1/1-10", 10)
    assert on_update(core, 2, 2, update(row(11, 0.9), from_step=10))


def test_members_of_a_pack_that_arrive_together_are_compared_with_each_other() -> None:
    rule = make_rule()
    tasks = {i: saved_task(i) for i in range(4)}
    for i, value in enumerate([0.1, 0.2, 0.3, 0.4]):
        rule.observe(tasks[i], step=10, value=value)
    donors = [rule.turn(task, tasks).donor for task in tasks.values()]
    assert donors == [3, None, None, None]


def test_a_trial_waits_for_its_state_to_be_saved_and_has_one_turn_an_interval() -> None:
    core = make_core(make_pbt(trials=1))
    next_task(core)
    for _ in range(2):
        assert core.on_updates([(0, 1, update(row(10, 0.5)))], START)[0] == "save"
    parked = update(parked=True, checkpoint=(10, "folder-0/1-10"))
    assert core.on_updates([(0, 1, parked)], START)[0] == "go"
    assert on_update(core, 0, 1, update(row(15, 0.5)))
    decided = [m.entry for m in core.take_messages() if isinstance(m, RungDecided)]
    assert [(e.trial, e.step, e.decision) for e in decided] == [(0, 10, "continue")]


def test_trials_take_turns_where_not_all_of_them_fit() -> None:
    core = make_core(make_pbt(trials=3), places=1)
    order = []
    attempts = dict.fromkeys(range(3), 0)
    reached = dict.fromkeys(range(3), 0)
    while (handed := next_task(core)) is not None:
        task, attempt = handed
        attempts[task.index] = attempt
        step = reached[task.index] + 10
        reached[task.index] = step
        order.append((task.index, step))
        begin = step - 10
        if not arrive(core, task.index, step, 1.0, attempt=attempt, begin=begin):
            continue
        while step < 40:
            step += 10
            reached[task.index] = step
            order.append((task.index, step))
            if not arrive(core, task.index, step, 1.0, attempt=attempt, begin=begin):
                break
    first_round = [trial for trial, step in order if step == 10]
    assert first_round == [0, 1, 2]
    assert order.index((2, 10)) < order.index((0, 20))
    assert order.index((2, 20)) < order.index((0, 30))
    assert core.done


def test_a_driver_that_takes_over_decides_as_the_first_would_have() -> None:
    spec = make_pbt(trials=8, resample_probability=0.5)
    scores = [0.3, 0.9, 0.2, 0.8, 0.4, 0.5, 0.6, 0.1]
    whole = make_core(spec)
    while next_task(whole):
        pass
    for index, score in enumerate(scores):
        arrive(whole, index, 10, score)
    expected = exploits(whole.take_messages())
    assert expected
    for cut in range(1, len(scores)):
        first = make_core(spec)
        while next_task(first):
            pass
        for index in range(cut):
            arrive(first, index, 10, scores[index])
        told = first.take_messages()
        second = make_core(spec, told)
        handed = hand_out(second)
        for index in range(cut, len(scores)):
            arrive(second, index, 10, scores[index], attempt=handed[index][1])
        again = exploits(told) + exploits(second.take_messages())
        assert [deed(m) for m in again] == [deed(m) for m in expected]


def deed(message: Exploited) -> tuple[object, ...]:
    donor = message.checkpoint.partition("/")[0]
    return (message.trial, message.donor, message.step, donor, dict(message.parameters))


def hand_out(core: SweepCore) -> dict[int, tuple[TrialTask, int]]:
    """All that may train now: each trial, and the number of this attempt."""
    handed = {}
    while (pair := next_task(core)) is not None:
        handed[pair[0].index] = pair
    return handed


def test_an_exploited_trial_goes_on_after_its_driver_was_lost() -> None:
    spec = make_pbt(trials=2)
    core = make_core(spec)
    while next_task(core):
        pass
    arrive(core, 0, 10, 0.9)
    arrive(core, 1, 10, 0.1)
    told = core.take_messages()
    (found,) = exploits(told)
    again = make_core(spec, told)
    task, attempt = hand_out(again)[1]
    assert (attempt, task.parameters, task.checkpoint) == (2, found.parameters, found.checkpoint)
    assert not exploits(again.take_messages())


def test_a_trial_that_loses_its_process_at_an_interval_is_tried_again() -> None:
    core = make_core(make_pbt(trials=2))
    while next_task(core):
        pass
    on_update(core, 0, 1, update(row(10, 0.5), checkpoint=(10, "folder-0/1-10")))
    core.losses.lost([(0, 1)], "node gone", START, with_node=True)
    handed = next_task(core)
    assert handed is not None
    assert (handed[0].index, handed[1]) == (0, 2)


def test_an_arrival_is_gone_with_the_process_that_came_there() -> None:
    rule = make_rule()
    tasks = {i: saved_task(i) for i in range(2)}
    rule.observe(tasks[0], step=10, value=9.0)
    rule.turn(tasks[0], tasks)
    rule.observe(tasks[0], step=20, value=0.1)
    rule.rewind(tasks[0], 20)
    assert rule.has_arrived(tasks[0])
    rule.rewind(tasks[0], 12)
    assert not rule.has_arrived(tasks[0])
    rule.observe(tasks[1], step=10, value=1.0)
    turn = rule.turn(tasks[1], tasks)
    assert (turn.donor, turn.donor_value) == (0, 9.0)


class Cluster:
    """Trials in training, their states and SQL, all of them as the core would meet them."""

    def __init__(self, spec: SweepSpec, seed: int, places: int) -> None:
        self.places = places
        self.chance = random.Random(seed)
        self.store = MemoryStore(spec)
        self.exploits: list[Exploited] = []
        self.training: dict[int, tuple[int, int]] = {}
        """The attempt and the step of each trial that is in a process."""
        self.core = self.started()

    def started(self) -> SweepCore:
        """A driver, from what SQL holds."""
        self.training = {}
        return started(self.store, self.places)

    def tell(self) -> None:
        messages = self.core.take_messages()
        self.exploits += exploits(messages)
        for _ in range(2):  # whatever is sent comes twice
            self.store.take(messages)

    def step(self) -> None:
        """Something happens: a driver or a process dies, or a trial comes to its next interval."""
        for task, attempt in hand_out(self.core).values():
            self.training[task.index] = (attempt, task.checkpoint_step)
        what = self.chance.random()
        index = self.chance.choice(sorted(self.training))
        attempt, reached = self.training[index]
        if what < 0.05:
            self.tell()
            self.core = self.started()
        elif what < 0.1:
            self.core.losses.lost([(index, attempt)], "node gone", START, with_node=True)
            del self.training[index]
        else:
            self.advance(index, attempt, reached)
        self.tell()

    def advance(self, index: int, attempt: int, reached: int) -> None:
        begin = self.core._book.tasks[index].checkpoint_step
        news = update(
            row(reached + 10, self.chance.random()),
            parked=True,
            checkpoint=(reached + 10, f"folder-{index}/{attempt}-{reached + 10}"),
            from_step=begin,
        )
        self.training[index] = (attempt, reached + 10)
        if not on_update(self.core, index, attempt, news):
            del self.training[index]


@given(st.integers(0, 10_000), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_whatever_dies_every_trial_comes_to_its_end_and_no_exploit_is_told_twice(
    seed: int, places: int
) -> None:
    cluster = Cluster(make_pbt(trials=6, resample_probability=0.3), seed, places)
    for _ in range(2_000):
        if cluster.core.done:
            break
        cluster.step()
    rows = cluster.store.rows.values()
    assert {(r.state, r.reason, r.step) for r in rows} == {(TrialState.COMPLETED, "max_t", 40)}
    assert len({(m.trial, m.attempt) for m in cluster.exploits}) == len(cluster.exploits)
    assert cluster.store.exploits == len(cluster.exploits)
    for exploit in cluster.exploits:
        assert exploit.trial != exploit.donor
        assert exploit.checkpoint.split("/")[0] != f"folder-{exploit.trial}"
        assert 1e-4 <= exploit.parameters["lr"] <= 1.0
    for one in rows:
        mine = [m for m in cluster.exploits if m.trial == one.index]
        assert not mine or one.parameters == mine[-1].parameters
        assert all(a.step < b.step for a, b in pairwise(mine))


def test_a_trial_leaves_its_place_to_one_that_ray_queues_and_only_then() -> None:
    for places, stays in ((2, True), (1, False)):
        core = make_core(make_pbt(trials=2))
        core.spread_over(places)
        while next_task(core):
            pass
        assert arrive(core, 0, 10, 0.5) is stays
        moves = [m.reason for m in core.take_messages() if m.kind == "moved"]
        assert moves == ([] if stays else ["interval"])
