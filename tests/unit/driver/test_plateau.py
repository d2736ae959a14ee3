"""Plateaus: counted alike in the process and the driver, and after a driver was killed."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.metric import Metric
from sweep.states import TrialState
from sweep.stopping import Plateau
from tests.unit.driver.builders import make_spec
from tests.unit.driver.killing import Simulation, run_to_end
from workers.driver.plateau import PlateauPlan, Plateaus, Watch

MAX = Metric(name="score", mode="max")


def plain(values: list[float], rule: Plateau, *, mode: str) -> int | None:
    """After which report of one a step a trial is on a plateau."""
    reference, since = values[0], 0
    for step, value in enumerate(values[1:], start=2):
        gain = value - reference if mode == "max" else reference - value
        if gain > 0 and gain >= rule.min_delta:
            reference, since = value, 0
        else:
            since += step > rule.grace_period
        if since >= rule.patience:
            return step
    return None


@given(
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30),
    st.integers(1, 5),
    st.sampled_from([0.0, 1.0, 2.0]),
    st.integers(0, 10),
    st.sampled_from(["max", "min"]),
)
def test_it_ends_a_trial_where_the_definition_does(
    values: list[float], patience: int, delta: float, grace: int, mode: str
) -> None:
    rule = Plateau(patience=patience, min_delta=delta, grace_period=grace)
    plateaus = Plateaus(rule, Metric.model_validate({"name": "score", "mode": mode}))
    ended = [plateaus.take(0, step, value) for step, value in enumerate(values, start=1)]
    first = ended.index(True) + 1 if True in ended else None
    assert first == plain(values, rule, mode=mode)


@given(st.lists(st.integers(0, 5).map(float), max_size=20), st.integers(0, 20))
def test_what_goes_on_from_a_state_counts_on_from_there(values: list[float], at: int) -> None:
    plateaus = Plateaus(Plateau(patience=100), MAX)
    alone = Watch(PlateauPlan(rule=Plateau(patience=100), metric=MAX))
    for step, value in enumerate(values, start=1):
        plateaus.take(0, step, value)
        if step <= at:
            alone.take(step, value)
    plan = plateaus.plan(0, at)
    assert plan is not None
    assert (plan.best, plan.poor) == (alone.best, alone.poor)
    plateaus.rewind(0, at)
    onward = Watch(plan)
    for step, value in enumerate(values[at:], start=at + 1):
        onward.take(step, value)
        plateaus.take(0, step, value)
    whole = plateaus.plan(0, len(values))
    assert whole is not None
    assert (onward.best, onward.poor) == (whole.best, whole.poor)


def spec_of(**rule: Any) -> Any:
    stopping = {"type": "none", "max_t": 30, "plateau": {"patience": 3, "grace_period": 4}}
    return make_spec(early_stopping={**stopping, **rule})


def test_a_trial_on_a_plateau_is_completed_and_says_why() -> None:
    store = run_to_end(spec_of(), lambda index, step: min(step, 2 + 4 * index), [], {})
    ends = [(row.state, row.reason, row.step) for row in store.rows.values()]
    assert ends == [
        (TrialState.COMPLETED, "plateau", 7),
        (TrialState.COMPLETED, "plateau", 9),
        (TrialState.COMPLETED, "plateau", 13),
    ]


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(st.integers(0, 40), st.integers(0, 3), max_size=6), st.integers(0, 99))
def test_a_killed_driver_changes_no_plateau(kills: dict[int, int], seed: int) -> None:
    def curve(index: int, step: int) -> float:
        return random.Random(f"{seed}/{index}/{step}").random()

    spec = spec_of()
    whole, broken = run_to_end(spec, curve, [], {}), run_to_end(spec, curve, [], kills)
    assert broken.ends == whole.ends


def test_a_process_is_told_where_the_count_stands() -> None:
    simulation = Simulation(spec_of(), lambda index, step: 1.0)
    for _ in range(5):
        simulation.advance(0)
    simulation.kill(0)
    plan = simulation.core.plateau_of(simulation.task(0))
    assert plan is not None
    assert (plan.best, plan.poor) == (1.0, 1)
