"""The trainable that lays a multiplicative network's curves over its additive twin's."""

import gzip
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sweep.errors import TrialFault
from sweep.run import NullRun, TrialStop
from sweep.trainables import registered
from workers.fusion.pack import Pack
from workers.trainables.multiplicative import MULTIPLICATIVE, MultiplicativeParameters
from workers.trainables.multiplicative import data as data_module
from workers.trainables.multiplicative.data import (
    HELD_OUT,
    DigitData,
    Examples,
    ShuffledBatches,
    load,
)
from workers.trainables.multiplicative.idx import read
from workers.trainables.multiplicative.training import train

NONLINEARITIES = ("relu1", "tanh", "sigmoid", "relu")
FORMS = ("multiplicative", "additive")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def params(**changes: Any) -> dict[str, Any]:
    return {"form": "multiplicative", "lr": 0.01, "width": 16, "eval_every": 20, **changes}


def digits() -> DigitData:
    return load(MultiplicativeParameters.model_validate(params()))


def curve(max_t: int, run: NullRun | None = None, **changes: Any) -> list[dict[str, float]]:
    run = run or NullRun(seed=1, max_t=max_t)
    with pytest.raises(TrialStop):
        train(params(**changes), run)
    return [values for _, values in run.reports]


# The two forms


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_both_forms_have_the_same_curves(nonlinearity: str, depth: int) -> None:
    one, other = (curve(60, form=form, nonlinearity=nonlinearity, depth=depth) for form in FORMS)
    assert len(one) == len(other) == 3
    for values, values_too in zip(one, other, strict=True):
        assert values["loss"] == pytest.approx(values_too["loss"], abs=1e-9)
        assert values["accuracy"] == values_too["accuracy"]
        assert values["output_gap"] < 1e-10
        assert values_too["output_gap"] < 1e-10
    assert one[-1]["loss"] < one[0]["loss"]


def test_a_training_learns_the_digits() -> None:
    last = curve(300, width=64, lr=0.003)[-1]
    assert last["accuracy"] > 0.94
    assert last["loss"] < 0.2


def test_trainings_run_in_float64_unless_told_otherwise() -> None:
    assert train.precision(params()) == "float64"
    gaps = [curve(20, precision=name)[0]["output_gap"] for name in ("float64", "float32")]
    assert gaps[0] < 1e-12 < 1e-8 < gaps[1]


def test_the_output_gap_is_not_zero_by_construction() -> None:
    model = train.build(params(nonlinearity="tanh"), 0).double()
    images, _ = train.evaluation(params())
    assert 0 < train.metrics(model, train.evaluation(params()))["output_gap"] < 1e-12
    with torch.no_grad():
        model.twin.net.nonlinearity = "relu1"
        as_relu = model(images, "additive")
        model.twin.net.nonlinearity = "tanh"
    assert (model(images, "multiplicative") - as_relu).abs().max() > 0.1


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("form", FORMS)
def test_a_pack_trains_each_member_as_alone(form: str, optimizer: str) -> None:
    members = [
        params(form=form, nonlinearity="tanh", depth=2, optimizer=optimizer, lr=lr)
        for lr in (0.001, 0.01)
    ]
    assert len({MULTIPLICATIVE.fuse_key(member) for member in members}) == 1  # type: ignore[misc]
    pack = Pack(train)
    pack.add([pack.member(i, member, seed=i) for i, member in enumerate(members)])
    packed: dict[int, list[dict[str, float]]] = {0: [], 1: []}
    while any(len(reports) < 2 for reports in packed.values()):
        for evaluation in pack.advance():
            packed[evaluation.key].append(dict(evaluation.metrics))
    for i, member in enumerate(members):
        run = NullRun(seed=i, max_t=40)
        with pytest.raises(TrialStop):
            train(member, run)
        for (_, alone), together in zip(run.reports, packed[i], strict=True):
            assert together["loss"] == pytest.approx(alone["loss"], abs=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_a_resumed_training_goes_on_to_the_bit(form: str) -> None:
    whole, resumed = NullRun(seed=1, max_t=60), NullRun(seed=1, max_t=60)
    curve(60, whole, form=form, eval_every=4)
    state = whole.restore()
    assert state is not None
    assert state["step"] == 40
    resumed.save(state)
    curve(60, resumed, form=form, eval_every=4)
    assert resumed.reports[0][0] == 44
    assert resumed.reports[-1] == whole.reports[-1]


# Seeds and batches


def test_first_weights_are_the_same_for_both_forms_of_a_seed() -> None:
    def weights(run_seed: int, **changes: Any) -> torch.Tensor:
        model = train.build(params(**changes), run_seed)
        return torch.cat([p.flatten() for p in model.parameters()])

    one = weights(3, form="multiplicative")
    assert torch.equal(one, weights(3, form="additive"))
    assert torch.equal(one, weights(9, form="additive", seed=3))
    assert not torch.equal(one, weights(4))


def test_trials_that_share_a_seed_share_batches_whatever_their_form() -> None:
    one = train.stream(params(form="multiplicative", seed=5), 1, torch.device("cpu")).take(7, 3)
    other = train.stream(params(form="additive"), 5, torch.device("cpu")).take(7, 3)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert train.stream_key(params(seed=5), 1) == train.stream_key(params(form="additive"), 5)
    assert train.stream_key(params(), 1) != train.stream_key(params(), 2)
    assert train.stream_key(params(batch_size=8), 1) != train.stream_key(params(), 1)


def test_batches_go_through_all_records_each_round_and_are_functions_of_the_step() -> None:
    records = torch.arange(10)
    batches = ShuffledBatches(Examples(records[:, None].double(), records), size=4, seed=7)
    images, drawn = batches.take(1, 5)
    assert images.shape == (5, 4, 1)
    assert drawn.shape == (5, 4)
    assert torch.equal(images[..., 0].long(), drawn)
    first, second = drawn.flatten()[:10], drawn.flatten()[10:]
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert not torch.equal(first, second)
    for step in range(1, 6):
        assert torch.equal(batches.take(step, 1)[1][0], drawn[step - 1])


def test_a_batch_may_be_larger_than_the_data() -> None:
    records = torch.arange(3)
    batches = ShuffledBatches(Examples(records[:, None].double(), records), size=8, seed=0)
    _, drawn = batches.take(2, 1)
    counts = torch.bincount(drawn[0], minlength=3)
    assert counts.sum() == 8
    assert counts.max() - counts.min() <= 2


def test_batches_are_the_streams() -> None:
    first = next(iter(train.batches(params(), 4)))
    streamed = train.stream(params(), 4, torch.device("cpu")).take(1, 1)
    assert torch.equal(first[0], streamed[0][0])
    assert torch.equal(first[1], streamed[1][0])


# Data


def test_the_digits_are_positive_numbers_split_once() -> None:
    data = digits()
    assert (len(data.training), len(data.held_out), data.pixels) == (1797 - HELD_OUT, HELD_OUT, 64)
    both = torch.cat((data.training.images, data.held_out.images))
    assert both.dtype == torch.float64
    assert both.min() == 1
    assert both.max().item() == pytest.approx(np.e)
    assert torch.bincount(data.held_out.digits, minlength=10).min() > 20
    held_out = {tuple(image.tolist()) for image in data.held_out.images}
    training = {tuple(image.tolist()) for image in data.training.images}
    assert not held_out & training


def test_without_scikit_learn_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    data_module._digits.cache_clear()
    with pytest.raises(TrialFault, match=r"scikit-learn.* pip install 'sweep-service\[studies\]'"):
        digits()
    monkeypatch.undo()
    assert digits().pixels == 64


def idx(array: Any, *, kind: int = 8) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, *, gz: bool) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 60), ("t10k", 20)):
        arrays[part] = generator.integers(0, 256, (count, 28, 28)), np.arange(count) % 10
        for name, array in zip(("images-idx3", "labels-idx1"), arrays[part], strict=True):
            path = folder / f"{part}-{name}-ubyte"
            body = idx(array)
            if gz:
                path, body = path.with_name(f"{path.name}.gz"), gzip.compress(body)
            path.write_bytes(body)
    return arrays


@pytest.mark.parametrize("gz", [False, True], ids=["plain", "gz"])
def test_mnist_is_read_from_its_four_files_and_trains(tmp_path: Path, gz: bool) -> None:
    arrays = write_mnist(tmp_path, gz=gz)
    where = {"dataset": "mnist", "mnist": str(tmp_path)}
    data = load(MultiplicativeParameters.model_validate(params(**where)))
    for part, (images, labels) in zip((data.training, data.held_out), arrays.values(), strict=True):
        expected = np.exp(images.reshape(len(images), 784) / 255)
        np.testing.assert_allclose(part.images.numpy(), expected, rtol=1e-15)
        assert part.digits.tolist() == labels.tolist()
    reports = curve(20, **where)
    assert reports[0]["output_gap"] < 1e-10


def test_missing_mnist_files_are_an_error_that_says_where_to_get_them(tmp_path: Path) -> None:
    where = {"dataset": "mnist", "mnist": str(tmp_path)}
    problem = r"no train-images-idx3-ubyte or train-images-idx3-ubyte.gz in .* download .* https://"
    with pytest.raises(TrialFault, match=problem):
        train.evaluation(params(**where))


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path, gz=False)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(59) % 10))
    with pytest.raises(TrialFault, match=r"'train' .* are not MNIST: .*59 labels"):
        load(MultiplicativeParameters.model_validate(params(dataset="mnist", mnist=str(tmp_path))))


GOOD = idx(np.arange(12).reshape(3, 4))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "starts with nothing"),
        (b"\x00\x00", r"starts with 00 00 \(2 bytes of header\)"),
        (b"PK" + GOOD[2:], "starts with 50 4b 08 02"),
        (idx(np.arange(12).reshape(3, 4), kind=0x0D), "starts with 00 00 0d 02"),
        (idx(np.arange(12)), "starts with 00 00 08 01"),
        (GOOD[:-1], r"announces 12 bytes \(\(3, 4\)\) and has 11 of them"),
        (GOOD + b"\x00", "announces 12 bytes .* and has more"),
        (struct.pack(">BBBB2I", 0, 0, 8, 2, 0, 4), r"announces the sizes \(0, 4\): 1 to"),
        (struct.pack(">BBBB2I", 0, 0, 8, 2, 2**31, 2**31), "announces the sizes"),
    ],
)
def test_malformed_idx_is_refused(tmp_path: Path, body: bytes, problem: str) -> None:
    assert read_bytes(tmp_path, GOOD).tolist() == np.arange(12).reshape(3, 4).tolist()
    with pytest.raises(TrialFault, match=problem):
        read_bytes(tmp_path, body)


def read_bytes(folder: Path, body: bytes, name: str = "file") -> Any:
    (folder / name).write_bytes(body)
    return read(folder / name, dimensions=2)


@pytest.mark.parametrize("body", [GOOD, gzip.compress(GOOD)[:-9]], ids=["not gzip", "cut off"])
def test_broken_gzip_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(TrialFault, match=r"file\.gz cannot be read"):
        read_bytes(tmp_path, body, "file.gz")


# The descriptor


def test_it_is_registered_with_what_it_reports() -> None:
    assert registered()["multiplicative"] is MULTIPLICATIVE
    model = train.build(params(), 0)
    reported = train.metrics(model.double(), train.evaluation(params()))
    assert set(reported) == set(MULTIPLICATIVE.metrics)


def test_only_the_rate_and_the_seed_may_differ_in_a_pack() -> None:
    key = MULTIPLICATIVE.fuse_key
    assert key is not None
    assert key(params()) == key(params(lr=1.0, seed=3))
    assert train.fuse_key(params()) == key(params())
    others = (
        {"form": "additive"},
        {"nonlinearity": "tanh"},
        {"depth": 2},
        {"width": 8},
        {"batch_size": 8},
        {"optimizer": "sgd"},
        {"eval_every": 10},
        {"precision": "float32"},
    )
    assert len({key(params(**change)) for change in ({}, *others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"form": "both"}, "form"),
        ({"nonlinearity": "selu"}, "nonlinearity"),
        ({"depth": 0}, "depth"),
        ({"depth": 5}, "depth"),
        ({"width": 0}, "width"),
        ({"lr": 0}, "lr"),
        ({"lr": "0.1"}, "lr"),
        ({"batch_size": 0}, "batch_size"),
        ({"optimizer": "adamw"}, "optimizer"),
        ({"dataset": "cifar"}, "dataset"),
        ({"dataset": "mnist"}, "parameter 'mnist' must name its folder"),
        ({"mnist": "data/mnist"}, "mnist is 'data/mnist', but dataset is 'digits'"),
        ({"seed": -1}, "seed"),
        ({"precision": "float16"}, "precision"),
        ({"steps": 3}, "steps"),
    ],
)
def test_parameters_are_checked(changes: dict[str, Any], problem: str) -> None:
    MultiplicativeParameters.model_validate(params())
    with pytest.raises(ValidationError, match=problem):
        MultiplicativeParameters.model_validate(params(**changes))
