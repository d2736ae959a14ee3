"""The arithmetic trainable against slow definitions of what it trains."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.func import vmap

import studies
from sweep.loading import load_yaml
from sweep.records import BestValue, TrialRecord
from sweep.run import NullRun, TrialStop
from sweep.space import Space
from sweep.spec import parse_spec
from sweep.states import TrialState
from sweep.trainables import check_parameters, check_spec, find, registered
from workers.nn.arithmetic import Dense
from workers.trainables.arithmetic import (
    ARITHMETIC,
    COLUMNS,
    DATASETS,
    TASKS,
    WIDTH,
    ArithmeticParameters,
    networks,
    output_width,
)
from workers.trainables.arithmetic.datasets import (
    PAIRS,
    TEST_RECORDS,
    TRAINING_RECORDS,
    batch_records,
    draw,
)
from workers.trainables.arithmetic.datasets import (
    test_records as all_test_records,
)
from workers.trainables.arithmetic.tasks import accuracy, label
from workers.trainables.arithmetic.training import train


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def one_hot(index: int) -> np.ndarray:  # type: ignore[type-arg]
    vector = np.zeros(WIDTH)
    if index < WIDTH:
        vector[index] = 1
    return vector


SLOW: dict[str, Any] = {
    "reduce_sum": lambda a, b: [sum(a) + sum(b)],
    "reduce_max": lambda a, b: [max(*a, *b)],
    "concat": lambda a, b: [*a, *b],
    "dot": lambda a, b: [sum(x * y for x, y in zip(a, b, strict=True))],
    "elementwise_mul": lambda a, b: a * b,
    "elementwise_add": lambda a, b: a + b,
    "one_hot_sum": lambda a, b: one_hot(int(np.argmax(a)) + int(np.argmax(b))),
    "equality": lambda a, b: a == b,
    "almost_equal": lambda a, b: abs(a - b) <= 0.001,
    "logical_and": lambda a, b: (a != 0) & (b != 0),
    "logical_or": lambda a, b: (a != 0) | (b != 0),
    "logical_xor": lambda a, b: (a != 0) != (b != 0),
}


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("task", TASKS)
def test_labels_are_what_the_text_says(task: Any, dataset: Any) -> None:
    a, b = draw(dataset, 0, torch.arange(40))
    found = label(task, a, b)
    assert found.shape == (40, output_width(task))
    for row, x, y in zip(found, a.double().numpy(), b.double().numpy(), strict=True):
        np.testing.assert_allclose(row.numpy(), np.asarray(SLOW[task](x, y), float), atol=1e-4)


def test_a_sum_of_one_hots_past_the_end_is_zero() -> None:
    a, b = torch.eye(WIDTH)[[100]], torch.eye(WIDTH)[[50]]
    assert label("one_hot_sum", a, b).sum() == 0
    assert label("one_hot_sum", a, torch.eye(WIDTH)[[27]]).argmax() == 127


def test_accuracy_counts_elements_within_half_a_decimal() -> None:
    wanted = torch.zeros(1, 4)
    predicted = torch.tensor([[0.158, -0.158, 0.1582, 5.0]])
    assert accuracy(predicted, wanted).item() == 0.5
    assert accuracy(predicted.expand(3, 1, 4), wanted).shape == (3,)


@pytest.mark.parametrize("dataset", DATASETS)
def test_records_are_drawn_by_their_number_alone(dataset: Any) -> None:
    records = torch.tensor([5, 999_999, 5, 1_000_003])
    a, b = draw(dataset, 3, records)
    assert torch.equal(a[0], a[2])
    assert torch.equal(draw(dataset, 3, records[1:2])[1][0], b[1])
    assert not torch.equal(a, b)
    if dataset != "one_hot":
        assert not torch.equal(a, draw(dataset, 4, records)[0])


def test_data_sets_have_their_ranges_and_means() -> None:
    records = torch.arange(4000)
    for dataset, low, high, mean in (
        ("many_hot", 0, 1, 0.5),
        ("random", -1, 1, 0.0),
        ("random_pos", 0, 1, 0.5),
        ("random_pos_as_published", -1, 1, 0.0),
        ("one_hot", 0, 1, 1 / WIDTH),
    ):
        a, b = draw(dataset, 0, records)  # type: ignore[arg-type]
        both = torch.cat((a, b), dim=1)
        assert low <= both.min() < low + 0.01
        assert high - 0.01 < both.max() <= high
        spread = both.std().item() / both.numel() ** 0.5
        assert abs(both.mean().item() - mean) < 5 * spread
        correlation = torch.corrcoef(torch.stack((a.flatten(), b.flatten())))[0, 1]
        assert abs(correlation.item()) < 0.01
    bits, _ = draw("many_hot", 0, records)
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    assert (bits.mean(dim=0) - 0.5).abs().max() < 0.04


def test_training_and_test_records_do_not_overlap() -> None:
    assert all_test_records("cpu").min() == TRAINING_RECORDS
    a, b = draw("one_hot", 0, torch.arange(PAIRS))
    training = set((a.argmax(1) * WIDTH + b.argmax(1)).tolist())
    a, b = draw("one_hot", 0, all_test_records("cpu"))
    test = set((a.argmax(1) * WIDTH + b.argmax(1)).tolist())
    assert (len(training), len(test), len(training & test)) == (PAIRS - TEST_RECORDS, 4000, 0)


def test_batches_are_functions_of_seed_and_step_and_can_be_stacked() -> None:
    seeds, step = torch.tensor([1, 2, 3]), torch.tensor(7)
    stacked = vmap(lambda seed: batch_records(seed, step, 32))(seeds)
    for seed, records in zip(seeds, stacked, strict=True):
        assert torch.equal(records, batch_records(seed, step, 32))
    drawn = torch.cat([batch_records(seeds[0], torch.tensor(s), 32) for s in range(500)])
    assert len(drawn.unique()) > 15_000
    assert drawn.min() >= 0
    assert drawn.max() < TRAINING_RECORDS
    assert abs(drawn.double().mean().item() / TRAINING_RECORDS - 0.5) < 0.01


def test_there_are_27_networks_and_1296_experiments() -> None:
    kinds = [network.type for network in networks()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "dense": 15,
        "dense_residual": 10,
        "multiply": 1,
        "multiply_simple": 1,
    }
    assert len(TASKS) * 4 * len(networks()) == 1296


@pytest.mark.parametrize("network", networks(), ids=str)
def test_first_weights_are_a_function_of_the_seed(network: Any) -> None:
    a, b = draw("random", 0, torch.arange(8))
    params = {"task": "equality", "dataset": "random", "network": network.model_dump(), "lr": 1}
    first, again, other = (train.build(params, seed=s) for s in (1, 1, 2))
    assert torch.equal(first(a, b), again(a, b))
    assert not torch.equal(first(a, b), other(a, b))
    for name, weights in first.named_parameters():
        if name.endswith("bias"):
            assert not weights.any()
        elif getattr(network, "activation", "") == "selu":
            assert abs(weights.var().item() * weights.shape[1] - 1) < 0.1
        else:
            bound = (6 / sum(weights.shape)) ** 0.5
            assert weights.abs().max() <= bound
            assert abs(weights.var().item() / (bound**2 / 3) - 1) < 0.1


def test_the_activation_follows_every_layer_and_residuals_where_widths_agree() -> None:
    a, b = draw("random", 0, torch.arange(4))
    x = torch.cat((a, b), dim=1)
    for out, residual in ((128, True), (256, True), (1, False)):
        net = Dense(width=WIDTH, out=out, depth=2, activation="tanh", residual=residual)
        first, last = net.layers
        hidden = torch.tanh(first(x)) + (x if residual else 0)
        answer = torch.tanh(last(hidden)) + (hidden if residual and out == 256 else 0)
        assert torch.allclose(net(a, b), answer)


def params(**changes: Any) -> dict[str, Any]:
    return {
        "task": "elementwise_mul",
        "dataset": "many_hot",
        "network": {"type": "multiply_simple"},
        "lr": 1e-2,
        "eval_every": 20,
        **changes,
    }


def run_to(max_t: int, run: NullRun | None = None, **changes: Any) -> NullRun:
    run = run or NullRun(seed=1, max_t=max_t)
    with pytest.raises(TrialStop):
        train(params(**changes), run)
    return run


def test_a_short_training_learns() -> None:
    reports = run_to(200).reports
    assert [step for step, _ in reports] == list(range(20, 201, 20))
    assert reports[-1][1]["accuracy"] > 0.99
    assert reports[-1][1]["loss"] < reports[0][1]["loss"] / 10


def test_the_curve_is_the_one_it_always_was() -> None:
    losses = [values["loss"] for _, values in run_to(60).reports]
    assert losses == pytest.approx([0.214172, 0.110796, 0.061923], rel=1e-3)


def test_the_last_step_is_evaluated_even_off_the_beat() -> None:
    assert [step for step, _ in run_to(50).reports] == [20, 40, 50]


def test_a_resumed_training_goes_on_to_the_bit() -> None:
    whole = run_to(1500, eval_every=500, network={"type": "multiply"})
    state = whole.restore()
    assert state is not None
    assert state["step"] == 1000
    resumed = NullRun(seed=1, max_t=1500)
    resumed.save(state)
    run_to(1500, resumed, eval_every=500, network={"type": "multiply"})
    assert resumed.reports[-1] == whole.reports[-1]


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "divide"},
        {"lr": 0},
        {"lr": "0.1"},
        {"network": {"type": "dense", "depth": 4, "activation": "relu"}},
        {"network": {"type": "dense_residual", "depth": 1, "activation": "relu"}},
        {"network": {"type": "multiply", "depth": 1}},
        {"batch_size": 32.5},
        {"steps": 3},
        {"precision": "float16"},
    ],
)
def test_parameters_are_checked(changes: dict[str, Any]) -> None:
    ArithmeticParameters.model_validate(params())
    with pytest.raises(ValidationError):
        ArithmeticParameters.model_validate(params(**changes))


def record(network: dict[str, Any], accuracy: float) -> TrialRecord:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return TrialRecord(
        id="s-0",
        sweep_id="s",
        index=0,
        state=TrialState.COMPLETED,
        parameters=params(network=network, lr=1e-4),
        best=BestValue(value=accuracy, step=700, metrics={"accuracy": accuracy, "loss": 2.5e-6}),
        seed=0,
        created_at=now,
        ended_at=now,
    )


def test_rows_have_the_published_columns_and_forms() -> None:
    assert ARITHMETIC.published is not None
    assert ",".join(COLUMNS) == (
        "task,dataset,network_type,network_depth,network_activation,"
        "accuracy_pct,accuracy,loss,lr,global_step,datetime"
    )
    dense = record({"type": "dense", "depth": 2, "activation": "selu"}, 0.99171096)
    row = ARITHMETIC.published.row(dense)
    assert list(row.values()) == [
        *("elementwise_mul", "many_hot", "dense", "2", "selu"),
        *("99.0%", "0.99171096", "2.5e-06", "0.0001", "700", "2026-01-02 03:04:05"),
    ]
    multiply = ARITHMETIC.published.row(record({"type": "multiply"}, 1.0))
    assert [multiply[c] for c in COLUMNS[2:7]] == ["multiply", "1", "linear", "100.0%", "1"]


@pytest.mark.parametrize(
    ("name", "trials"), [("arithmetic", 11_664), ("arithmetic-quickstart", 40)]
)
def test_the_studies_are_valid_and_whole(name: str, trials: int) -> None:
    assert name in studies.names()
    spec = parse_spec(load_yaml(studies.read(name)))
    trainable = find(spec.trainable, registered())
    check_spec(spec, trainable)
    found = list(Space(spec).trials())
    assert len(found) == trials
    for trial in found:
        check_parameters(trial.parameters, trainable)
    assert len({trial.group for trial in found}) == trials // (9 if name == "arithmetic" else 5)


def test_descriptors_load_neither_torch_nor_ray() -> None:
    code = (
        "import sys, json; from sweep.trainables import registered; r = registered();"
        "print(json.dumps([sorted(r), [m for m in ('torch', 'ray', 'numpy') if m in sys.modules]]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    names, loaded = json.loads(answer.stdout)
    assert {"arithmetic", "multiplicative", "noop"} <= set(names)
    assert loaded == []


def test_equal_fuse_keys_mean_equal_graphs() -> None:
    assert ARITHMETIC.fuse_key is not None
    keys = {
        ARITHMETIC.fuse_key(params(lr=lr, task=t))
        for lr in (1, 2)
        for t in ("equality", "logical_or")
    }
    assert len(keys) == 1
    assert ARITHMETIC.fuse_key(params(task="dot")) not in keys


def test_precision_is_a_parameter_that_packs_do_not_mix() -> None:
    assert ARITHMETIC.fuse_key is not None
    assert ARITHMETIC.fuse_key(params()) == ARITHMETIC.fuse_key(params(precision="float32"))
    assert ARITHMETIC.fuse_key(params()) != ARITHMETIC.fuse_key(params(precision="float64"))
    for kind in ("float64", "bf16"):
        losses = [values["loss"] for _, values in run_to(60, precision=kind).reports]
        assert losses == pytest.approx([0.214172, 0.110796, 0.061923], rel=0.05)
    state = run_to(1500, precision="float64", eval_every=500).restore()
    assert state is not None
    assert {tensor.dtype for tensor in state["model"].values()} == {torch.float64}
