"""The stacked optimizers against `torch.optim`, member by member."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from workers.fusion.alone import make_optimizer
from workers.fusion.optimizers import StackedOptimizer
from workers.fusion.packable import OptimizerKind, OptimizerSettings
from workers.fusion.precision import precision
from workers.fusion.state import SLOTS


def settings_of(kind: OptimizerKind) -> st.SearchStrategy[OptimizerSettings]:
    return st.builds(
        OptimizerSettings,
        kind=st.just(kind),
        lr=st.floats(1e-6, 10),
        beta1=st.floats(0, 0.99),
        beta2=st.floats(0, 0.9999),
        eps=st.floats(1e-12, 1e-2),
        weight_decay=st.floats(0, 0.5),
        momentum=st.floats(0, 0.99),
        clip_norm=st.none() | st.floats(1e-3, 10),
        clip_value=st.none() | st.floats(1e-3, 3),
    )


@pytest.mark.parametrize("stacked", [False, True], ids=["by member", "over the stacks"])
@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_each_member_is_updated_as_by_torch_optim(
    data: st.DataObject, kind: OptimizerKind, stacked: bool
) -> None:
    chosen = data.draw(st.lists(settings_of(kind), min_size=1, max_size=4))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    networks = [nn.Linear(3, 2).double() for _ in chosen]
    names = [name for name, _ in networks[0].named_parameters()]
    stacks = {
        name: torch.stack([dict(n.named_parameters())[name].detach() for n in networks])
        for name in names
    }
    slots = {
        slot: {name: torch.zeros_like(stack) for name, stack in stacks.items()}
        for slot in SLOTS[kind]
    }
    ours = StackedOptimizer(chosen, stacks, slots, [0] * len(chosen), by_member=not stacked)
    theirs = [make_optimizer(s, n) for s, n in zip(chosen, networks, strict=True)]
    for _ in range(4):
        gradients = {
            name: torch.randn(stack.shape, generator=generator, dtype=torch.float64)
            for name, stack in stacks.items()
        }
        for i, (network, optimizer, own) in enumerate(zip(networks, theirs, chosen, strict=True)):
            for name, parameter in network.named_parameters():
                parameter.grad = gradients[name][i].clone()
            if own.clip_norm is not None:
                nn.utils.clip_grad_norm_(network.parameters(), own.clip_norm)
            if own.clip_value is not None:
                nn.utils.clip_grad_value_(network.parameters(), own.clip_value)
            optimizer.step()
        ours.step({name: gradient.clone() for name, gradient in gradients.items()})
    for i, network in enumerate(networks):
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(stacks[name][i], parameter.detach(), rtol=1e-9, atol=1e-12)


def test_float32_products_are_exact_whatever_kernels_are_chosen() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(16, 32, 128, generator=generator)
    w = torch.randn(16, 128, 64, generator=generator)
    with precision("float32", torch.device("cpu")):
        product = torch.bmm(x, w)
    true = torch.bmm(x.double(), w.double())
    assert ((product - true).abs().max() / true.abs().max()).item() < 1e-5


def test_bf16_is_a_choice_and_is_left_behind_by_nobody() -> None:
    x = torch.randn(8, 8)
    with precision("bf16", torch.device("cpu")):
        assert (x @ x).dtype is torch.bfloat16
    assert (x @ x).dtype is torch.float32
