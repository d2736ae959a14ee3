"""The verdicts of the studies that ship, from results made by hand."""

from typing import Any

import pytest

from studies.arithmetic import STUDY as ARITHMETIC
from studies.arithmetic import published
from studies.expressivity import STUDY as EXPRESSIVITY
from studies.expressivity import needed
from studies.multiplicative import STUDY as MULTIPLICATIVE
from studies.multitask_regression import STUDY as REGRESSION
from studies.multitask_rl import STUDY as RL
from studies.neural_process import STUDY as NEURAL_PROCESS
from studies.product import STUDY as PRODUCT
from sweep.records import TrialRecord
from sweep.states import TrialState
from sweep.study import Checked, Study, Verdict, check_claims, find_study, studies
from sweep.study.report import make_report
from tests.unit.study.builders import made_up_trials, results_of, trial

NAMES = sorted(studies())


def checked(study: Study, trials: list[TrialRecord]) -> dict[str, Checked]:
    return {c.claim.statement: c for c in check_claims(study, results_of(study, trials))}


def verdicts(study: Study, trials: list[TrialRecord]) -> set[Verdict]:
    return {c.verdict for c in checked(study, trials).values()}


@pytest.mark.parametrize("name", sorted({*NAMES} - {"expressivity"}))
def test_a_study_that_was_run_has_a_verdict_on_every_claim(name: str) -> None:
    study = find_study(name)
    assert Verdict.NOT_RUN not in verdicts(study, made_up_trials(study, share=1))


@pytest.mark.parametrize(("share", "diverged"), [(0.3, 0.5), (0.03, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize("name", NAMES)
def test_any_part_of_a_study_can_be_reported(name: str, share: float, diverged: float) -> None:
    study = find_study(name)
    results = results_of(study, made_up_trials(study, share=share, diverged=diverged))
    assert make_report(study, results).notices


@pytest.mark.parametrize("name", NAMES)
def test_what_diverged_everywhere_proves_no_claim(name: str) -> None:
    study = find_study(name)
    assert Verdict.AGREES not in verdicts(study, made_up_trials(study, share=1, diverged=1))


@pytest.mark.parametrize("name", ["product", "multitask-regression", "neural-process"])
def test_no_claim_on_an_interval_rests_on_one_run(name: str) -> None:
    study = find_study(name)
    first = [t for t in made_up_trials(study, share=1) if t.replicate == 0]
    assert Verdict.AGREES not in verdicts(study, first)


def test_the_seed_of_a_pair_is_the_parameter_not_the_trials_own() -> None:
    both = checked(MULTIPLICATIVE, made_up_trials(MULTIPLICATIVE, share=1))
    assert "of 48 pairs" in both["Losses and gradients are the same, so they train alike"].ours


def test_the_published_rows_pass_the_rules_that_check_them() -> None:
    rows = [
        trial(
            i,
            {
                "task": row.task,
                "dataset": row.dataset,
                "network": {
                    "type": row.network,
                    "depth": row.depth,
                    "activation": row.activation,
                },
            },
            {"accuracy": row.accuracy},
            best="accuracy",
        )
        for i, row in enumerate(published().itertuples())
    ]
    found = check_claims(ARITHMETIC, results_of(ARITHMETIC, rows))
    assert [c.claim.statement for c in found if c.verdict is not Verdict.AGREES] == []
    assert all(c.ours == c.published for c in found)


def test_xor_is_judged_when_every_kind_of_network_has_run_only() -> None:
    rows = [
        trial(
            i,
            {"task": task, "dataset": "many_hot", "network": {"type": "multiply"}},
            {"accuracy": 0.5},
            best="accuracy",
        )
        for i, task in enumerate(("logical_and", "logical_or", "logical_xor"))
    ]
    assert verdicts(ARITHMETIC, rows) == {Verdict.NOT_RUN, Verdict.DISAGREES}
    xor = "XOR is the hardest logical task on many_hot, and multiply the best at it"
    assert checked(ARITHMETIC, rows)[xor].verdict is Verdict.NOT_RUN


def product_trial(index: int, rmse: float | None, lr: float) -> TrialRecord:
    made = trial(
        index,
        {"network": {"type": "relu", "units": 80}, "lr": lr},
        {"rmse": rmse or 0.0, "rmse_outside": 30.0, "prediction_000": 0.0, "prediction_900": 8.0},
        best="rmse",
    )
    if rmse is not None:
        return made
    lost = {"state": TrialState.DIVERGED, "metrics": dict.fromkeys(made.metrics), "best": None}
    return made.model_copy(update=lost)


def test_a_rate_at_which_a_training_diverged_is_not_the_best() -> None:
    lucky = [product_trial(0, 1e-4, 0.1), product_trial(1, None, 0.1)]
    steady = [product_trial(2, 0.004, 1e-3), product_trial(3, 0.005, 1e-3)]
    claim = checked(PRODUCT, [*lucky, *steady])[PRODUCT.claims[0].statement]
    assert claim.ours.startswith("RMSE 0.0045 ")


def size(index: int, d: int, units: int, loss: float, total: int, used: int) -> TrialRecord:
    parameters = {"target": "dot", "model": "mlp", "dimension": d, "size": units, "lr": 0.1}
    metrics = {"loss": loss, "parameters": total, "parameters_used": used}
    return trial(index, parameters, metrics, best="loss")


def test_what_is_left_after_pruning_is_of_the_same_network() -> None:
    trials = [size(0, 2, 5, 0.05, 31, 30), size(1, 2, 9, 0.01, 55, 12), size(2, 2, 1, 0.9, 7, 7)]
    found = needed(results_of(EXPRESSIVITY, trials))
    assert found[["needed", "used"]].to_numpy().tolist() == [[31, 30]]


def test_dimensions_that_no_size_reached_are_named() -> None:
    reached = [size(d, d, 9, 0.01, 10 * 2**d, 10 * 2**d) for d in (1, 2, 3, 4)]
    claim = checked(EXPRESSIVITY, [*reached, size(8, 8, 600, 0.5, 9_000, 9_000)])[
        "An MLP needs exponentially many parameters for the dot product"
    ]
    assert claim.verdict is Verdict.AGREES
    assert "160 at d = 4, no size enough at d = 8" in claim.ours


def regression_trials(gain: dict[int, float]) -> list[TrialRecord]:
    return [
        trial(
            i,
            {"model": model, "tasks": tasks},
            {"log_mse": -3.0 - (gain[tasks] if model == "mi" else 0.0) + 0.1 * (i % 4)},
            best="log_mse",
        )
        for i, (model, tasks) in enumerate(
            (model, tasks)
            for model in ("mlp", "multihead", "mi")
            for tasks in gain
            for _ in range(4)
        )
    ]


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [({20: 1.0, 40: 2.0, 60: 3.0}, "agrees"), ({20: 1.0, 40: 1.0, 60: 1.01}, "disagrees")],
)
def test_a_gain_grows_when_its_interval_says_so(gain: dict[int, float], verdict: str) -> None:
    claim = checked(REGRESSION, regression_trials(gain))["The gain grows with the number of tasks"]
    assert claim.verdict == verdict


def test_a_claim_on_every_number_of_tasks_needs_each() -> None:
    trials = regression_trials({20: 1.0, 40: 1.0})
    part = [t for t in trials if t.parameters != {"model": "mlp", "tasks": 40}]
    claim = "Neither several heads nor the task's id help the MLP to do any better"
    assert checked(REGRESSION, trials)[claim].verdict is Verdict.AGREES
    assert checked(REGRESSION, part)[claim].verdict is Verdict.NOT_RUN


def agent(index: int, heads: str, score: float, **more: Any) -> TrialRecord:
    metrics = {"score": score, "score_one": score - 20, "score_two": score + 20, "frames": 1.0}
    made = trial(index, {"heads": heads}, metrics, best="score")
    return made.model_copy(update=more)


def test_an_agents_levels_are_one_sample() -> None:
    scores = {"shared": (50.0, 60.0), "multihead": (58.0, 72.0)}
    trials = [
        agent(2 * i + j, heads, score)
        for i, (heads, pair) in enumerate(scores.items())
        for j, score in enumerate(pair)
    ]
    claim = checked(RL, trials)["A head a level beats shared heads"]
    assert claim.verdict is Verdict.DISAGREES
    assert "n = 2" in claim.ours
    stopped = [agent(9 + i, "shared", 0.0, state=TrialState.STOPPED) for i in range(9)]
    assert checked(RL, [*trials, *stopped])["A head a level beats shared heads"].ours == claim.ours


def test_a_kind_of_heads_that_did_not_run_leaves_its_own_column_empty() -> None:
    (table,) = RL.tables
    rows = table.rows(results_of(RL, [agent(0, "multihead", 50.0)]))
    assert rows is not None
    assert rows[0] == ["one", "–", "30.0", "–", "–"]
    assert rows[-2] == ["**mean**", "**–**", "**50.0**", "**–**", "**–**"]
    assert rows[-1] == ["mean over levels and training", "–", "50.0", "–", "–"]


def likelihood(index: int, decoder: str, value: float, step: int) -> TrialRecord:
    metrics = {"log_likelihood": value, "parameters": 9.0}
    made = trial(index, {"decoder": decoder}, metrics, best="log_likelihood")
    return made.model_copy(update={"step": step})


def test_likelihoods_are_compared_at_the_last_step() -> None:
    trials = [likelihood(i, "mi", 2.0 + 0.1 * i, 4_000) for i in range(3)]
    trials += [likelihood(3 + i, "mlp", 1.0 + 0.1 * i, 4_000) for i in range(3)]
    early = likelihood(9, "mlp", 9.0, 250)
    claims = [checked(NEURAL_PROCESS, t)[NEURAL_PROCESS.claims[0].statement]
              for t in (trials, [*trials, early])]  # fmt: skip
    assert claims[0].verdict is Verdict.AGREES
    assert claims[0].ours == claims[1].ours


def test_trials_that_did_not_end_by_themselves_are_left_out_and_counted() -> None:
    done = [product_trial(i, 0.002, 1e-3) for i in range(3)]
    half = product_trial(3, 0.9, 1e-3).model_copy(update={"state": TrialState.CANCELLED})
    report = make_report(PRODUCT, results_of(PRODUCT, [*done, half]))
    assert report.claims[0].verdict is Verdict.AGREES
    assert "n = 3" in report.claims[0].ours
    assert report.notices == ("Trials that are left out of everything below: 1 cancelled.",)
    assert f"> **Note.** {report.notices[0]}" in report.markdown
