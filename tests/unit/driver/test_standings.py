"""Standings against sorting all of them anew, and against Ray Tune."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.experiment import Trial
from ray.tune.schedulers.pbt import PopulationBasedTraining, _PBTTrialState

from workers.driver.standings import Standings

TRIALS = range(6)
VALUES = st.none() | st.integers(-2, 2).map(float)
STEPS = st.one_of(
    st.tuples(st.just("note"), st.sampled_from(TRIALS), VALUES),
    st.tuples(st.sampled_from(["forget", "leave", "enter"]), st.sampled_from(TRIALS), st.none()),
)


def badness(value: float | None) -> float:
    return math.inf if value is None else -value


@given(st.lists(STEPS, max_size=40), st.floats(0.05, 0.5))
def test_they_are_in_order_whatever_happens(
    steps: list[tuple[str, int, float | None]], quantile: float
) -> None:
    standings = Standings(badness)
    values: dict[int, float | None] = {}
    gone: set[int] = set()
    for what, trial, value in steps:
        if what == "note":
            standings.note(trial, value)
            values[trial] = value
        elif what == "forget":
            standings.forget(trial)
            values.pop(trial, None)
        elif what == "leave":
            standings.leave(trial)
            gone.add(trial)
        else:
            standings.enter(trial)
            gone.discard(trial)
    living = sorted(values.keys() - gone, key=lambda i: (badness(values[i]), i), reverse=True)
    count = min(math.ceil(len(living) * quantile), len(living) // 2)
    assert len(standings) == len(living)
    assert list(standings.best(quantile)) == living[len(living) - count :]
    assert [i for i in living if standings.is_among_worst(i, quantile)] == living[:count]
    assert standings.cutoff(quantile) == (values[living[count - 1]] if count else None)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12, unique=True), st.floats(0.05, 0.5))
@settings(deadline=None)
def test_the_worst_and_the_best_are_those_of_ray_tune(values: list[float], share: float) -> None:
    theirs = PopulationBasedTraining(
        metric="score",
        mode="max",
        hyperparam_mutations={"lr": [1, 2]},
        quantile_fraction=share,
    )
    trials = [Trial("any", trial_id=str(i), stub=True) for i in range(len(values))]
    for trial, value in zip(trials, values, strict=True):
        theirs._trial_state[trial] = _PBTTrialState(trial)
        theirs._trial_state[trial].last_score = value
    lower, upper = theirs._quantiles()
    standings = Standings(badness)
    for index, value in enumerate(values):
        standings.note(index, value)
    worst = {str(i) for i in range(len(values)) if standings.is_among_worst(i, share)}
    assert worst == {trial.trial_id for trial in lower}
    assert [str(i) for i in standings.best(share)] == [trial.trial_id for trial in upper]
