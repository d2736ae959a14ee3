"""What can be packed, what cannot, and how it is said."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.unit.fusion.trainings import Line, alone
from workers.fusion.faults import PackError
from workers.fusion.pack import Pack
from workers.fusion.packable import OptimizerSettings, Packable, Params


class Small(Packable):
    """Any network of three inputs and two outputs."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        self._make = make

    def model(self, params: Params) -> nn.Module:
        return self._make()

    def loss(self, model: Callable[..., Tensor], batch: Tensor) -> Tensor:
        return functional.mse_loss(model(batch), batch[:, :2])

    def batches(self, params: Params, seed: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            yield torch.randn(4, 3, generator=generator)

    def metrics(self, model: Callable[..., Tensor], batch: Tensor) -> dict[str, Tensor]:
        return {"loss": self.loss(model, batch)}


class Branching(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if y.sum() > 0 else -y


class Reading(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * x.max().item()


class Drawing(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.randn(2)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.core = nn.LSTM(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.core(x)[0]


def trained(packable: Packable) -> None:
    pack = Pack(packable)
    pack.add([pack.member(0, {}, 0), pack.member(1, {}, 1)])
    pack.advance()


def linear(*more: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(3, 2), *deepcopy(more))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (linear(nn.BatchNorm1d(2)), "layer '1' (BatchNorm1d) updates running statistics"),
        (linear(nn.Dropout(0.5)), "layer '1' (Dropout) draws random numbers at every step"),
        (Recurrent, "layer 'core' (LSTM) is one operation that PyTorch cannot batch"),
        (lambda: Branching(3, 2), "its control flow depends on data"),
        (lambda: Reading(3, 2), "its control flow depends on data"),
        (lambda: Drawing(3, 2), "it draws random numbers while training"),
    ],
)
def test_what_cannot_be_packed_says_why_and_what_to_do(
    make: Callable[[], nn.Module], words: str
) -> None:
    with pytest.raises(PackError) as raised:
        trained(Small(make))
    assert words in str(raised.value)
    assert "set pack: off" in str(raised.value)


@pytest.mark.parametrize(
    "make",
    [
        linear(nn.Linear(2, 8, bias=False), nn.LayerNorm(8), nn.Linear(8, 2)),
        linear(nn.Linear(2, 8, bias=False), nn.GroupNorm(2, 8), nn.Linear(8, 2)),
        lambda: nn.Sequential(
            nn.Linear(3, 8, bias=False),
            nn.BatchNorm1d(8, track_running_stats=False),
            nn.Linear(8, 2),
        ),
        linear(nn.Dropout(0.0), nn.GELU(), nn.Softmax(dim=-1)),
        lambda: nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 3), nn.Flatten()),
    ],
)
def test_what_can_be_packed_equals_itself_alone(make: Callable[[], nn.Module]) -> None:
    small = Small(make)
    pack = Pack(small, dtype=torch.float64)
    pack.add([pack.member(i, {"lr": 0.01 * (i + 1)}, i) for i in range(3)])
    for _ in range(2):
        evaluations = pack.advance()
    for evaluation in evaluations:
        expected = alone(small, {"lr": 0.01 * (evaluation.key + 1)}, evaluation.key, 200)
        assert evaluation.metrics["loss"] == pytest.approx(expected[-1][1]["loss"], rel=1e-9)


def test_a_parameter_shared_by_two_layers_stays_one() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.second(torch.tanh(self.first(x)))[:, :2]

    small = Small(Tied)
    pack = Pack(small, dtype=torch.float64)
    pack.add([pack.member(i, {}, i) for i in range(2)])
    pack.advance()
    assert "second.weight" not in pack.state(0).optimizer["exp_avg"]
    (evaluation, _) = pack.advance()
    expected = alone(small, {}, evaluation.key, 200)
    assert evaluation.metrics["loss"] == pytest.approx(expected[-1][1]["loss"], rel=1e-9)


def test_a_frozen_parameter_stays_as_it_is() -> None:
    def make() -> nn.Module:
        network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
        network[0].requires_grad_(False)
        return network

    pack = Pack(Small(make))
    pack.add([pack.member(0, {"weight_decay": 0.1}, 0)])
    before = pack.state(0).model
    pack.advance()
    after = pack.state(0).model
    assert torch.equal(before["0.weight"], after["0.weight"])
    assert not torch.equal(before["1.weight"], after["1.weight"])


def test_a_batch_of_something_else_says_so() -> None:
    class Odd(Small):
        def batches(self, params: Params, seed: int) -> Any:
            while True:
                yield {"x": "text"}

    pack = Pack(Odd(linear()))
    with pytest.raises(Exception, match="list or dict of tensors; got str"):
        pack.add([pack.member(0, {}, 0)])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"optimizer": "lion"}, "'optimizer' is 'lion': there are adam, adamw, sgd"),
        ({"lr": "fast"}, "'lr' is 'fast': a number is needed"),
        ({"momentum": True}, "'momentum' is True: a number is needed"),
    ],
)
def test_bad_optimizer_settings_say_so(params: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=words):
        OptimizerSettings.read(params)


def test_trials_share_a_pack_when_they_differ_in_member_parameters_alone() -> None:
    line = Line()
    key = line.fuse_key({"lr": 1, "width": 2})
    assert key == line.fuse_key({"lr": 5, "width": 2, "weight": 3.0})
    assert key != line.fuse_key({"lr": 1, "width": 3})
    assert key != line.fuse_key({"lr": 1, "width": 2, "optimizer": "sgd"})
