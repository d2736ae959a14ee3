"""Replicates as one unit: compared by their mean, decided together, rebuilt from SQL."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.spec import SweepSpec
from sweep.states import TrialState
from tests.unit.driver.builders import make_spec
from tests.unit.driver.killing import Curve, MemoryStore, Simulation, run_to_end
from workers.driver.stopping import make_rule

RULES: dict[str, dict[str, Any]] = {
    "asha": {"type": "asha", "grace_period": 2, "max_t": 9, "reduction_factor": 2},
    "halving": {"type": "halving", "grace_period": 2, "max_t": 9, "reduction_factor": 2},
    "hyperband": {"type": "hyperband", "max_t": 9, "reduction_factor": 2},
    "median": {"type": "median", "grace_period": 2, "interval": 3, "max_t": 9},
}


def spec_of(rule: str, *, replicates: int = 2, units: int = 4, **fields: Any) -> SweepSpec:
    peers = {} if rule == "halving" else {"min_peers": 1}
    return make_spec(
        early_stopping={**RULES[rule], **peers, **fields},
        parameters={"x": {"grid": list(range(units))}},
        replicates=replicates,
        max_failures=0,
    )


def noisy(seed: int) -> Curve:
    def curve(index: int, step: int) -> float:
        return random.Random(f"{seed}/{index}/{step}").gauss(index / 4, 1)

    return curve


def check_kills(rule: str, data: st.DataObject) -> None:
    replicates = data.draw(st.integers(1 if rule == "median" else 2, 3))
    spec = spec_of(rule, replicates=replicates, units=3)
    curve = noisy(data.draw(st.integers(0, 999)))
    order = data.draw(st.lists(st.integers(0, 8), max_size=60))
    kills = data.draw(st.dictionaries(st.integers(0, 60), st.integers(0, 4), max_size=8))
    trials = st.integers(0, 3 * replicates - 1)
    failing = data.draw(st.dictionaries(trials, st.integers(0, 8), max_size=2))
    whole = run_to_end(spec, curve, order, {}, failing=failing)
    broken = run_to_end(spec, curve, order, kills, failing=failing)
    assert broken.verdicts == whole.verdicts
    assert broken.ends == whole.ends


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_kills_at_any_message_change_no_decision(rule: str, data: st.DataObject) -> None:
    check_kills(rule, data)


@pytest.mark.long
@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_many_kills_change_no_decision(rule: str, data: st.DataObject) -> None:
    check_kills(rule, data)


def test_a_unit_is_decided_by_its_mean_once_its_last_replicate_is_there() -> None:
    """Replicates that trained past the rung meanwhile are stopped with it."""
    simulation = Simulation(spec_of("asha", units=2), lambda index, step: [9, 7, 8, 0][index])
    for index in (0, 1):
        for _ in range(2):
            simulation.advance(index)
    for _ in range(3):
        simulation.advance(2)
    assert not [v for v in simulation.store.verdicts if v[1] == 2]
    simulation.advance(3)
    assert simulation.store.rows[2].state is TrialState.RUNNING
    simulation.advance(3)
    rows = simulation.store.rows
    assert [(rows[i].state, rows[i].reason, rows[i].step) for i in (2, 3)] == [
        (TrialState.STOPPED, "rung", 3),
        (TrialState.STOPPED, "rung", 2),
    ]
    entries = [simulation.store.rungs[i, 2] for i in (2, 3)]
    assert [(e.value, e.cutoff, e.peers, e.decision) for e in entries] == [
        (8, 8, 1, "stop"),
        (0, 8, 1, "stop"),
    ]


def test_a_failed_replicate_is_left_out_and_a_diverged_one_is_worst() -> None:
    def curve(index: int, step: int) -> float:
        return [9.0, 0.0, 5.0, 5.0][index]

    simulation = Simulation(spec_of("asha", units=2), curve)
    simulation.fail(1, None)
    for index in (0, 0, 2, 2, 3, 3):
        simulation.advance(index)
    assert {simulation.store.rows[i].state for i in (2, 3)} == {TrialState.STOPPED}
    assert simulation.store.rungs[2, 2].cutoff == 9

    diverging = Simulation(spec_of("asha", units=2), lambda i, s: None if i == 2 else curve(i, s))
    for index in (0, 0, 1, 1, 3, 3, 2):
        diverging.advance(index)
    states = [diverging.store.rows[i].state for i in (2, 3)]
    assert states == [TrialState.DIVERGED, TrialState.STOPPED]
    assert diverging.store.rungs[2, 2].value is None


def test_halving_keeps_the_best_units_whole_and_restarts_the_winner_whole() -> None:
    spec = spec_of("halving", units=4, restart_winner={"max_t": 12})
    store = run_to_end(spec, lambda index, step: index + step, [], {})
    searched = [store.rows[i] for i in range(8)]
    assert [row.step for row in searched] == [2, 2, 2, 2, 4, 4, 9, 9]
    again = [store.rows[i] for i in range(8, len(store.rows))]
    assert [(row.parent, row.step, row.seed) for row in again] == [
        (6, 12, searched[6].seed),
        (7, 12, searched[7].seed),
    ]


def test_a_failed_replicate_of_a_stopped_unit_is_stopped_when_it_is_tried_again() -> None:
    simulation = Simulation(spec_of("asha", units=2), lambda index, step: 9 - index)
    simulation.fail(3, None)
    for index in (0, 0, 1, 1, 2, 2):
        simulation.advance(index)
    simulation.retry(3)
    assert simulation.store.rows[3].state is TrialState.STOPPED


def test_a_report_that_was_taken_back_is_awaited_anew() -> None:
    """Also where it was of a later step than the rung, and what is gone on from is not."""
    spec = spec_of("asha", units=2)
    tasks = MemoryStore(spec).tasks()
    rule = make_rule(spec, tasks)
    rule.observe(tasks[0], step=3, value=9.0)
    rule.rewind(tasks[0], 2)
    assert not rule.observe(tasks[1], step=2, value=1.0)
    again = rule.observe(tasks[0], step=3, value=5.0)
    assert [(d.trial, d.value) for d in again] == [(0, 5.0), (1, 1.0)]
