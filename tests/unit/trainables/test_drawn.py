"""Batches drawn by (seed, step), and the three regressions that are trained on them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sweep.errors import SpecError
from sweep.run import NullRun, TrialStop
from sweep.trainables import Trainable, check_parameters
from workers.fusion.alone import train_alone
from workers.fusion.pack import Pack
from workers.nn.regression import InLogarithms, Multitask, OneHidden, OneMultiplicative, WithSize
from workers.trainables.drawn import BLOCK, BlockStream, DrawnTraining
from workers.trainables.expressivity import EXPRESSIVITY
from workers.trainables.expressivity.training import train as expressivity
from workers.trainables.expressivity.training import wanted
from workers.trainables.multitask_regression import MULTITASK_REGRESSION
from workers.trainables.multitask_regression.training import Repeat
from workers.trainables.multitask_regression.training import train as multitask
from workers.trainables.product import ASKED, PRODUCT, prediction_name
from workers.trainables.product.training import train as product

CASES: list[tuple[DrawnTraining, dict[str, Any]]] = [
    (product, {"network": {"type": "multiply", "units": 3}, "lr": 1e-2, "eval_every": 50}),
    (
        expressivity,
        {
            **{"target": "dot", "dimension": 3, "model": "mi", "size": 4},
            **{"lr": 1e-2, "eval_every": 50},
        },
    ),
    (multitask, {"model": "mi", "tasks": 4, "points": 10, "eval_every": 50}),
]
EACH = pytest.mark.parametrize(("training", "params"), CASES, ids=["product", "dot", "multitask"])


def trained(training: DrawnTraining, params: dict[str, Any], steps: int, seed: int = 3) -> NullRun:
    run = NullRun(seed=seed, max_t=steps)
    with pytest.raises(TrialStop):
        training(params, run)
    return run


def test_batches_are_a_function_of_seed_and_step() -> None:
    def draw(rng: np.random.Generator, count: int) -> tuple[Tensor]:
        return (torch.from_numpy(rng.random((count, 2))),)

    (whole,) = BlockStream(5, draw).take(1, 3 * BLOCK)
    (part,) = BlockStream(5, draw).take(BLOCK - 3, BLOCK + 10)
    torch.testing.assert_close(part, whole[BLOCK - 4 : 2 * BLOCK + 6], rtol=0, atol=0)
    (other,) = BlockStream(6, draw).take(1, 3 * BLOCK)
    assert not torch.equal(whole, other)
    assert whole.unique().numel() == whole.numel()


@EACH
def test_trials_that_share_a_batch_seed_share_batches(
    training: DrawnTraining, params: dict[str, Any]
) -> None:
    shared = {**params, "batch_seed": 7}
    cpu = torch.device("cpu")
    assert training.stream_key(shared, 1) == training.stream_key(shared, 2)
    assert training.stream_key(params, 1) != training.stream_key(params, 2)
    first, second = (training.stream(shared, seed, cpu).take(1, 2)[0] for seed in (1, 2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    first, second = (training.stream(params, seed, cpu).take(1, 2)[0] for seed in (1, 2))
    assert not torch.equal(first, second)


@EACH
def test_no_training_draws_what_it_is_tested_on(
    training: DrawnTraining, params: dict[str, Any]
) -> None:
    batches = training.stream(params, 0, torch.device("cpu")).take(1, 50)
    tested = set(training.evaluation(params)[0].flatten()[:100].tolist())
    assert not tested & set(batches[0].flatten().tolist())


@EACH
def test_a_member_of_a_pack_equals_its_training_alone(
    training: DrawnTraining, params: dict[str, Any]
) -> None:
    pack = Pack(training, dtype=torch.float64)
    rates = (1e-2, 3e-3)
    pack.add([pack.member(i, {**params, "lr": lr}, 3) for i, lr in enumerate(rates)])
    found: dict[int, Mapping[str, float]] = {}
    while len(found) < len(rates):
        found |= {e.key: e.metrics for e in pack.advance()}
    for i, lr in enumerate(rates):
        run = NullRun(seed=3, max_t=50)
        with pytest.raises(TrialStop):
            train_alone(training, {**params, "lr": lr}, run, dtype=torch.float64)
        for name, value in run.reports[0][1].items():
            assert found[i][name] == pytest.approx(value, rel=1e-9), name


def test_multiplicative_units_learn_a_product_exactly_and_beyond() -> None:
    params = {"network": {"type": "multiply", "units": 3}, "lr": 1e-2, "eval_every": 500}
    metrics = trained(product, params, 3_000).reports[-1][1]
    assert metrics["rmse"] < 1e-2
    assert metrics["rmse_outside"] < 1
    assert metrics[prediction_name(9.75)] == pytest.approx(9.75**2, rel=0.02)


def test_what_is_asked_for_is_named_by_its_hundredths() -> None:
    assert [prediction_name(x) for x in (0.05, 1.25, 9.75)] == [
        "prediction_005",
        "prediction_125",
        "prediction_975",
    ]
    names = [prediction_name(x) for x in ASKED]
    assert names == sorted(set(names))


def test_a_linear_layer_between_logarithm_and_exponential_multiplies() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return x + z

    a, b = torch.rand(2, 50, 1, dtype=torch.float64) + 0.01
    torch.testing.assert_close(InLogarithms(Sum())(a, b), a * b)


def test_targets() -> None:
    x = torch.tensor([[0.0, 2.0]])
    z = torch.tensor([[3.0, -1.0]])
    assert wanted("sum", x, z).tolist() == [[3.0, 1.0]]
    assert wanted("dot", x, z).tolist() == [[-2.0]]
    gate = 0.8807970780  # sigmoid(2)
    torch.testing.assert_close(wanted("gating", x, z), torch.tensor([[1.5, -gate]]))


@pytest.mark.parametrize(
    ("network", "count"),
    [(OneHidden(3, 3, 5, 2), 6 * 5 + 5 + 5 * 2 + 2), (OneMultiplicative(3, 3, 5, 2), 92)],
)
def test_weights_are_counted_and_small_ones_left_out(network: nn.Module, count: int) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
        next(network.parameters()).flatten()[:4] = torch.tensor([0.0, 9e-4, -9e-4, 1e-3])
    _, total, used = WithSize(network, 1e-3)(torch.zeros(1, 3), torch.zeros(1, 3))
    assert (int(total), int(used)) == (count, count - 3)


def one_hot_answers(network: Multitask, x: Tensor) -> Tensor:
    """What the paper's formulas give, point by point with one-hot tasks."""
    tasks = x.shape[0]
    rows = []
    for t in range(tasks):
        z = torch.eye(tasks)[t].expand(x.shape[1], -1)
        if network.model == "multihead":
            rows.append(network.trunk(x[t]) @ network.head_weight[t : t + 1].T
                        + network.head_bias[t])  # fmt: skip
        elif network.model == "mi":
            rows.append(network.last(network.trunk(x[t]), network.context(z)))
        else:
            beside = torch.cat((x[t], network.context(z)), dim=-1)
            rows.append(network.last(network.trunk(beside)))
    return torch.stack(rows)


@pytest.mark.parametrize("model", ["mlp", "multihead", "mi"])
def test_a_tasks_context_may_be_worked_out_once(model: Any) -> None:
    network, x = Multitask(model, 6), torch.randn(6, 5, 1)
    torch.testing.assert_close(network(x), one_hot_answers(network, x))


def test_half_of_the_tasks_are_sines() -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros_like(x)

    repeat = Repeat(Nothing(), 4)
    x = torch.rand(4, 3, 1)
    _, labels = repeat(x)
    a, b = repeat.scale, repeat.shift
    torch.testing.assert_close(labels[:2], a[:2] * x[:2] + b[:2])
    torch.testing.assert_close(labels[2:], a[2:] * torch.sin(10 * x[2:]) + b[2:])


def test_each_repeat_has_tasks_of_its_own() -> None:
    params = {"model": "mlp", "tasks": 4}
    first, again, second = (multitask.build(params, seed) for seed in (0, 0, 1))
    assert torch.equal(first.get_buffer("scale"), again.get_buffer("scale"))
    assert not torch.equal(first.get_buffer("scale"), second.get_buffer("scale"))


def test_multitask_training_learns() -> None:
    params = {"model": "mi", "tasks": 4, "eval_every": 100}
    reports = trained(multitask, params, 600).reports
    assert reports[-1][1]["mse"] < 0.5 * reports[0][1]["mse"]
    assert reports[-1][1]["log_mse"] == pytest.approx(np.log(reports[-1][1]["mse"]), rel=1e-5)


@pytest.mark.parametrize(
    ("trainable", "parameters", "path"),
    [
        (PRODUCT, {"network": {"type": "relu", "units": 0}, "lr": 0.1}, "network"),
        (PRODUCT, {"network": {"type": "cubic"}, "lr": 0.1}, "network"),
        (PRODUCT, {"network": {"type": "log_linear"}, "lr": -1.0}, "lr"),
        (EXPRESSIVITY, {"target": "dot", "dimension": 0, "model": "mi", "size": 1, "lr": 0.1},
         "dimension"),
        (EXPRESSIVITY, {"target": "cross", "dimension": 1, "model": "mi", "size": 1, "lr": 0.1},
         "target"),
        (MULTITASK_REGRESSION, {"model": "mi", "tasks": 3}, "tasks"),
        (MULTITASK_REGRESSION, {"model": "mi", "tasks": 4, "task": 3}, "task"),
    ],
)  # fmt: skip
def test_bad_parameters_are_named(
    trainable: Trainable, parameters: dict[str, Any], path: str
) -> None:
    with pytest.raises(SpecError) as caught:
        check_parameters(parameters, trainable)
    assert any(path in problem.path for problem in caught.value.problems)
