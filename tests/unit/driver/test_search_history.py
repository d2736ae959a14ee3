"""A search that learns takes the history that its spec carries as results of its own."""

import math
from statistics import fmean
from typing import Any

import pytest

from sweep.errors import SpecError
from sweep.history import MAX_HISTORY
from sweep.spec import SweepSpec, parse_spec
from workers.driver.search.outcomes import Outcome, Seen
from workers.driver.search.searcher import Searcher

POINTS = [({"lr": 10 ** -(1 + i / 8), "opt": "ab"[i % 2]}, (i - 9) ** 2.0) for i in range(20)]
HISTORY = [{"parameters": parameters, "value": value} for parameters, value in POINTS]
KNOWN = [Seen(parameters, Outcome("complete", (value,))) for parameters, value in POINTS]
SEEN = (Seen({"lr": 0.1, "opt": "a"}, Outcome("complete", (81.0,))),)


def spec(**search: Any) -> SweepSpec:
    return parse_spec(
        {
            "name": "history",
            "trainable": "training:train",
            "metric": {"name": "loss", "mode": "min"},
            "parameters": {
                "lr": {"loguniform": {"min": 1e-4, "max": 0.1}},
                "opt": {"choice": ["a", "b"]},
            },
            "search": {
                "type": "tpe",
                "num_trials": 9,
                "startup_trials": 1,
                "parallel": 1,
                **search,
            },
        }
    )


@pytest.mark.parametrize("kind", ["tpe", "cmaes", "nsga2"])
def test_it_counts_as_another_sweeps_trials_do(kind: str) -> None:
    carried = Searcher(spec(type=kind, history=HISTORY)).propose(SEEN)
    warm = Searcher(spec(type=kind, warm_start={"sweeps": ["id1"]}), KNOWN).propose(SEEN)
    assert carried == warm


def test_tpe_goes_on_where_the_history_was_best() -> None:
    def distance(seed: int, **search: Any) -> float:
        proposed = Searcher(spec(seed=seed, **search)).propose(SEEN)["lr"]
        return abs(math.log10(proposed) + 1 + 9 / 8)

    seeds = range(12)
    alone = fmean(distance(seed) for seed in seeds)
    assert fmean(distance(seed, history=HISTORY) for seed in seeds) < alone / 2


def test_cmaes_starts_around_the_best_of_the_history() -> None:
    """Also where the space has choices, which CMA-ES leaves aside."""
    proposed = Searcher(spec(type="cmaes", history=HISTORY)).propose(SEEN)["lr"]
    assert abs(math.log10(proposed) + 1 + 9 / 8) < 0.5


def test_what_does_not_fit_is_left_out() -> None:
    odd = [
        {"parameters": {"lr": 5.0, "opt": "a"}, "value": 0.0},
        {"parameters": {"lr": 0.01, "opt": "c"}, "value": 0.0},
        {"parameters": {"other": 1}, "value": 0.0},
    ]
    with_odd = Searcher(spec(history=[*odd, *HISTORY])).propose(SEEN)
    assert with_odd == Searcher(spec(history=HISTORY)).propose(SEEN)


@pytest.mark.parametrize(
    ("history", "found"),
    [
        ([{"parameters": {}, "value": 1.0}], "at least 1 item"),
        ([{"parameters": {"lr": 0.1}}], "search.history[0].value"),
        ([{"parameters": {"lr": 0.1}, "value": 1, "step": 2}], "search.history[0].step"),
        (HISTORY[:1] * (MAX_HISTORY + 1), "at most 10000 items"),
    ],
)
def test_bad_histories_are_refused(history: list[Any], found: str) -> None:
    with pytest.raises(SpecError) as refused:
        spec(history=history)
    assert found in str(refused.value)


def test_one_value_is_too_few_for_several_objectives() -> None:
    with pytest.raises(SpecError, match="history has one value a trial"):
        spec(type="nsga2", objectives=[{"name": "size", "mode": "min"}], history=HISTORY)
