"""What a model-based search proposes: the same from the same results, and nothing excluded."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.parameters import kinds_in, parse_node
from sweep.space import Space
from sweep.spec import SweepSpec
from sweep.states import TrialState
from sweep.wire import SearchResult
from tests.unit.driver.builders import make_spec
from workers.driver.search.dimensions import dimension_of
from workers.driver.search.outcomes import Outcome, Seen, assignments
from workers.driver.search.proposals import SearchSpace
from workers.driver.search.searcher import Searcher

SEARCHES = ("tpe", "cmaes", "nsga2")
"""GP is slow and has tests of its own."""

TRIALS = 20

PARAMETERS: Mapping[str, Any] = {
    "lr": {"loguniform": {"min": 1e-4, "max": 1.0}},
    "depth": {"randint": {"min": 1, "max": 6}},
    "optimizer": {"choice": ["adam", "sgd"]},
    "momentum": {"when": "optimizer == 'sgd'", "uniform": {"min": 0, "max": 1}},
    "noise": {"normal": {"mean": 0, "std": 1}},
    "rate": {"quniform": {"min": 0, "max": 1, "step": 0.25}},
    "layers": {"width": {"qlograndint": {"min": 8, "max": 64, "step": 8}}, "bias": True},
}
EXCLUDE = ["depth == 3", "optimizer == 'sgd' and lr > 0.1"]


def spec_of(kind: str, *, trials: int = TRIALS, **fields: Any) -> SweepSpec:
    chosen = {"type": kind, "num_trials": trials, "startup_trials": 5, "parallel": 3, "seed": 1}
    if kind == "nsga2":
        chosen |= {"population": 4, "objectives": [{"name": "cost", "mode": "min"}]}
    chosen |= fields.pop("search", {})
    parameters = fields.pop("parameters", PARAMETERS)
    return make_spec(parameters=parameters, search=chosen, exclude=EXCLUDE, **fields)


def score(parameters: Mapping[str, Any], spec: SweepSpec) -> Outcome:
    """A made-up training: some are stopped early, some diverge, some fail."""
    lr, depth = parameters["lr"], parameters["depth"]
    if lr > 0.5:
        return Outcome("diverged")
    if depth == 6 and lr < 1e-3:
        return Outcome("failed")
    value = -((lr - 0.01) ** 2) - abs(depth - 2) + parameters.get("momentum", 0.5)
    values = (value, float(depth)) if spec.search.type == "nsga2" else (value,)
    return Outcome("stopped" if depth == 5 else "complete", values, 10)


def run(spec: SweepSpec, restart: Callable[[int], bool] = lambda at: False) -> list[Seen]:
    """A whole search, by a new searcher wherever `restart` says so."""
    seen = [
        Seen(trial.parameters, score(trial.parameters, spec))
        for trial in Space(spec).trials()
        if trial.replicate == 0
    ]
    searcher = Searcher(spec)
    while searcher.is_due(seen):
        if restart(len(seen)):
            searcher = Searcher(spec)
        parameters = searcher.propose(seen)
        seen.append(Seen(parameters, score(parameters, spec)))
    return seen


@pytest.fixture(scope="module")
def unbroken() -> Mapping[str, list[Seen]]:
    return {search: run(spec_of(search)) for search in SEARCHES}


@pytest.mark.parametrize("search", SEARCHES)
def test_every_proposal_is_of_the_space_and_not_excluded(
    search: str, unbroken: Mapping[str, Sequence[Seen]]
) -> None:
    seen = unbroken[search]
    assert len(seen) == TRIALS
    assert len({str(one.parameters) for one in seen}) > 7
    kinds = dict(kinds_in(spec_of(search).parameters))
    for one in seen:
        found = one.parameters
        assert found["depth"] != 3
        assert not (found["optimizer"] == "sgd" and found["lr"] > 0.1)
        assert ("momentum" in found) == (found["optimizer"] == "sgd")
        assert found["layers"]["bias"] is True
        for (first, *rest), kind in kinds.items():
            if first in found:
                kind.accept(found[first][rest[0]] if rest else found[first])


@pytest.mark.parametrize("search", SEARCHES)
@given(cuts=st.sets(st.integers(5, TRIALS - 1)))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_search_that_is_cut_anywhere_proposes_the_same(
    search: str, cuts: set[int], unbroken: Mapping[str, list[Seen]]
) -> None:
    assert run(spec_of(search), restart=lambda at: at in cuts) == unbroken[search]


GP_PARAMETERS: Mapping[str, Any] = {
    "x": {"uniform": {"min": 0, "max": 1}},
    "y": {"when": "x > 0.4", "choice": ["a", "b"]},
}


def gp_run(*, trials: int, restart: Sequence[int] = ()) -> list[Mapping[str, Any]]:
    search = {"type": "gp", "num_trials": trials, "startup_trials": 4, "parallel": 2}
    spec = make_spec(parameters=GP_PARAMETERS, search=search, exclude=["x > 0.45 and x < 0.55"])

    def told(parameters: Mapping[str, Any]) -> Seen:
        return Seen(parameters, Outcome("complete", (-((parameters["x"] - 0.5) ** 2),), 1))

    seen, searcher = [told(trial.parameters) for trial in Space(spec).trials()], Searcher(spec)
    while searcher.is_due(seen):
        searcher = Searcher(spec) if len(seen) in restart else searcher
        seen.append(told(searcher.propose(seen)))
    return [one.parameters for one in seen]


def test_a_gp_search_proposes_nothing_excluded_where_the_best_is() -> None:
    for found in gp_run(trials=5):
        assert not 0.45 < found["x"] < 0.55
        assert ("y" in found) == (found["x"] > 0.4)


@pytest.mark.long
def test_a_gp_search_that_is_cut_proposes_the_same() -> None:
    assert gp_run(trials=20, restart=(6, 7, 13)) == gp_run(trials=20)


@pytest.mark.parametrize("search", SEARCHES)
def test_results_within_the_window_change_nothing(
    search: str, unbroken: Mapping[str, Sequence[Seen]]
) -> None:
    before = unbroken[search][:9]
    running = [*before[:7], *(Seen(one.parameters) for one in before[7:])]
    assert Searcher(spec_of(search)).propose(running) == unbroken[search][9].parameters


@pytest.mark.parametrize("search", SEARCHES)
def test_results_before_the_window_do_count(
    search: str, unbroken: Mapping[str, Sequence[Seen]]
) -> None:
    values = (5.0, 0.0) if search == "nsga2" else (5.0,)
    other = [Seen(one.parameters, Outcome("complete", values, 10)) for one in unbroken[search]]
    spec = spec_of(search)
    proposed = [Searcher(spec).propose(other[:n]) for n in (11, 15, 19)]
    assert proposed != [unbroken[search][n].parameters for n in (11, 15, 19)]


@pytest.mark.parametrize("search", SEARCHES)
def test_what_ended_otherwise_after_all_or_never_was_is_not_remembered(
    search: str, unbroken: Mapping[str, Sequence[Seen]]
) -> None:
    spec, seen = spec_of(search), unbroken[search][:12]
    retried = [Seen(seen[0].parameters, Outcome("failed")), *seen[1:]]
    searcher = Searcher(spec)
    searcher.propose(seen)
    for other in (retried, seen[:8], seen):
        assert searcher.propose(other) == Searcher(spec).propose(other)


def test_a_proposal_is_due_once_the_window_has_moved_on() -> None:
    searcher = Searcher(spec_of("tpe"))
    ended, running = Seen(PARAMETERS, Outcome("failed")), Seen(PARAMETERS)
    assert searcher.is_due([ended] * 5 + [running] * 2)
    assert not searcher.is_due([ended] * 4 + [running] * 3)
    assert not searcher.is_due([ended] * 2 + [running] + [ended] * 5)
    assert not searcher.is_due([ended] * TRIALS)


def test_another_seed_proposes_others(unbroken: Mapping[str, Sequence[Seen]]) -> None:
    other = run(spec_of("tpe", search={"seed": 2}))
    assert [one.parameters for one in other] != [one.parameters for one in unbroken["tpe"]]


def test_a_space_of_which_little_is_left_gets_what_is_allowed() -> None:
    parameters = {"x": {"uniform": {"min": 0, "max": 1}}}
    spec = make_spec(
        parameters=parameters,
        search={"type": "tpe", "num_trials": 12, "startup_trials": 3, "parallel": 1},
        exclude=["x > 0.05"],
    )
    searcher = Searcher(spec)
    seen = [Seen({"x": 0.04}, Outcome("complete", (1.0,), 1))] * 3
    while searcher.is_due(seen):
        seen.append(Seen(searcher.propose(seen), Outcome("complete", (1.0,), 1)))
    assert len(seen) == 12
    assert all(one.parameters["x"] <= 0.05 for one in seen)


def test_tpe_finds_more_than_chance() -> None:
    parameters = {"x": {"uniform": {"min": 0, "max": 1}}, "y": {"uniform": {"min": 0, "max": 1}}}
    search = {"type": "tpe", "num_trials": 60, "startup_trials": 10, "parallel": 4}
    spec = make_spec(parameters=parameters, search=search)

    def value(p: Mapping[str, Any]) -> Outcome:
        return Outcome("complete", (-((p["x"] - 0.3) ** 2) - (p["y"] - 0.7) ** 2,), 1)

    seen = [Seen(t.parameters, value(t.parameters)) for t in Space(spec).trials()]
    searcher = Searcher(spec)
    while searcher.is_due(seen):
        parameters = searcher.propose(seen)
        seen.append(Seen(parameters, value(parameters)))
    found = [one.outcome.values[0] for one in seen if one.outcome is not None]
    assert max(found[10:]) > max(found[:10])
    late, early = sorted(found[40:])[10], sorted(found[:10])[5]
    assert late > early / 4


def test_history_of_other_sweeps_counts_and_what_does_not_fit_is_left_out() -> None:
    start = {"warm_start": {"sweeps": ["a"], "trials": 5}}
    spec = spec_of("tpe", search=start)
    good = {**Space(spec)._candidate(0), "lr": 0.02}
    history = [
        Seen({**good, "lr": 0.02 + i / 1e3}, Outcome("complete", (9.0,), 1)) for i in range(9)
    ]
    strange = [Seen({**good, "optimizer": "lion"}, Outcome("complete", (99.0,), 1))]
    seen = run(spec)
    with_it = Searcher(spec, history).propose(seen[:9])
    assert with_it != seen[9].parameters
    assert Searcher(spec, [*strange, *history[:5]]).propose(seen[:9]) == with_it
    assert Searcher(spec, strange).propose(seen[:9]) == seen[9].parameters


KINDS = [
    {"uniform": {"min": -1, "max": 2}},
    {"loguniform": {"min": 1e-5, "max": 10}},
    {"quniform": {"min": 0.1, "max": 0.7, "step": 0.1}},
    {"qloguniform": {"min": 0.5, "max": 50, "step": 0.5}},
    {"randint": {"min": -3, "max": 9}},
    {"qrandint": {"min": 1, "max": 20, "step": 3}},
    {"lograndint": {"min": 1, "max": 500}},
    {"qlograndint": {"min": 8, "max": 512, "step": 8}},
    {"normal": {"mean": 5, "std": 2}},
    {"qnormal": {"mean": 0, "std": 2, "step": 0.5}},
    {"lognormal": {"mean": 0, "std": 1}},
    {"beta": {"a": 2, "b": 5}},
    {"choice": [1, True, "a", None, {"type": "dense", "depth": 2}, [1, 2]]},
    {"grid": ["x", "y"]},
]


@pytest.mark.parametrize("raw", KINDS, ids=lambda raw: next(iter(raw)))
@given(unit=st.floats(1e-6, 1 - 1e-6))
@settings(max_examples=15, deadline=None)
def test_values_go_to_optuna_and_back(raw: Mapping[str, Any], unit: float) -> None:
    kind: Any = parse_node(raw, "p")
    dimension = dimension_of(("p",), kind)
    value = kind.sample(unit)
    inner = dimension.to_inner(value)
    assert inner is not None
    assert dimension.distribution._contains(dimension.distribution.to_internal_repr(inner))
    back: Any = dimension.to_value(inner)
    if isinstance(value, float):
        assert back == pytest.approx(value, rel=1e-6, abs=1e-9)
    else:
        assert (back, type(back)) == (value, type(value))


def space_of(kind: str) -> SearchSpace:
    unit = {"uniform": {"min": 0, "max": 1}}
    parameters = {"x": unit, "y": {"when": "x > 0.5", **unit}, "c": 3}
    return SearchSpace(
        make_spec(
            parameters=parameters, search={"type": kind, "num_trials": 9, "startup_trials": 2}
        )
    )


def test_a_value_of_another_kind_has_no_place() -> None:
    space = space_of("tpe")
    assert space.fits({"x": 0.5, "c": 3})
    assert not space.fits({"x": 2.0})
    assert not space.fits({"x": "much"})
    assert not space.fits({"c": 3})


def test_only_tpe_learns_from_a_trial_that_lacks_a_parameter_without_a_condition() -> None:
    assert space_of("tpe").fits({"y": 0.5})
    for kind in ("gp", "cmaes", "nsga2"):
        assert space_of(kind).fits({"x": 0.5})
        assert not space_of(kind).fits({"y": 0.5})


@pytest.mark.parametrize("kind", ["gp", "cmaes", "nsga2"])
def test_a_parameter_with_a_condition_is_learned_where_it_is_there(kind: str) -> None:
    unit = {"uniform": {"min": 0, "max": 1}}
    search: dict[str, Any] = {"type": kind, "num_trials": 20 if kind == "gp" else 100}
    search |= {"parallel": 1, "startup_trials": 8, "seed": 1}
    spec = make_spec(
        parameters={"z": unit, "y": {"when": "z > 0.1", **unit}},
        search=search | ({"population": 8} if kind == "nsga2" else {}),
    )
    searcher = Searcher(spec)

    def tried(parameters: Mapping[str, Any]) -> Seen:
        value = -((parameters["y"] - 0.7) ** 2) if "y" in parameters else -1.0
        return Seen(parameters, Outcome("complete", (value,), 1))

    seen = [tried(trial.parameters) for trial in Space(spec).trials()]
    while searcher.is_due(seen):
        seen.append(tried(searcher.propose(seen)))
    misses = [abs(one.parameters["y"] - 0.7) for one in seen[8:] if "y" in one.parameters]
    assert median(misses[-40:]) < 0.12  # 0.25 by chance


def result(assignment: int, state: TrialState, best: float | None = None, **f: Any) -> SearchResult:
    return SearchResult(
        index=0, assignment=assignment, parameters={}, state=state, best=best, step=3, **f
    )


def test_replicates_are_one_outcome() -> None:
    done, stopped = TrialState.COMPLETED, TrialState.STOPPED
    rows = [
        *(result(0, done, 1.0), result(0, done, 2.0)),
        *(result(1, done, 1.0), result(1, stopped, 3.0)),
        *(result(2, done, 1.0), result(2, TrialState.DIVERGED, 9.0)),
        *(result(3, done, 4.0), result(3, TrialState.FAILED)),
        *(result(4, TrialState.CANCELLED), result(4, TrialState.FAILED)),
        *(result(5, done, 1.0), result(5, TrialState.RUNNING, 1.0)),
    ]
    found = [one.outcome for one in assignments(rows, spec_of("tpe", replicates=2))]
    assert found == [
        Outcome("complete", (1.5,), 3),
        Outcome("stopped", (2.0,), 3),
        Outcome("diverged"),
        Outcome("complete", (4.0,), 3),
        Outcome("failed"),
        None,
    ]


def test_several_objectives_count_at_the_last_report() -> None:
    rows = [
        result(0, TrialState.COMPLETED, 9.0, last={"score": 2.0, "cost": 7.0}),
        result(1, TrialState.COMPLETED, 9.0, last={"score": 2.0, "cost": None}),
    ]
    found = [one.outcome for one in assignments(rows, spec_of("nsga2"))]
    assert found == [Outcome("complete", (2.0, 7.0), 3), Outcome("failed")]


@pytest.mark.parametrize("kind", SEARCHES)
def test_what_cannot_be_evaluated_counts_as_excluded(kind: str) -> None:
    parameters = {
        **PARAMETERS,
        "nesterov": {"when": "momentum < 2", "choice": [True, False]},
    }
    spec = spec_of(kind, parameters=parameters)
    outcome = Outcome("complete", (1.0, 1.0) if kind == "nsga2" else (1.0,), 1)
    first = Space(spec_of(kind)).trials()
    seen = [Seen(next(t.parameters for t in first if t.parameters["optimizer"] == "sgd"), outcome)]
    for _ in range(6):
        seen.append(Seen(Searcher(spec).propose(seen), outcome))
        assert seen[-1].parameters["optimizer"] == "sgd"
