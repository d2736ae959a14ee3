"""Product layers, multiplicative networks and the additive ones that they equal."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from workers.nn.converted import NONLINEARITIES, Nonlinearity
from workers.nn.product import (
    CUBE,
    EXP,
    IDENTITY,
    AdditiveTwin,
    MixingLayer,
    MultiplicativeNet,
    ProductLayer,
    check_positive,
    positive_softmax,
)

N, K, BATCH = 6, 4, 9
NAMES: tuple[Nonlinearity, ...] = tuple(NONLINEARITIES)

every_nonlinearity = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def positive(*shape: int) -> Tensor:
    return torch.randn(*shape).exp()


def with_biases(net: nn.Module) -> Any:
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return net


# Product layers and other mixings


def test_a_product_layer_is_a_product_of_powers() -> None:
    layer = with_biases(ProductLayer(N, K))
    x = positive(BATCH, N)
    answer = layer(x)
    for row in range(BATCH):
        for i in range(K):
            powers = [x[row, j].item() ** layer.weight[i, j].item() for j in range(N)]
            expected = math.exp(layer.bias[i].item()) * math.prod(powers)
            assert answer[row, i].item() == pytest.approx(expected, rel=1e-12)


def test_a_product_layer_is_exp_of_a_linear_layer_of_ln() -> None:
    layer = with_biases(ProductLayer(N, K))
    x = positive(BATCH, N)
    linear = functional.linear(torch.log(x), layer.weight, layer.bias)
    assert torch.allclose(layer(x), torch.exp(linear), rtol=1e-12, atol=0)
    assert torch.allclose(layer.add(torch.log(x)), linear, rtol=1e-12, atol=0)


def test_the_bias_is_the_factor_e_to_the_b() -> None:
    layer = ProductLayer(N, K)
    x = positive(BATCH, N)
    without = layer(x)
    nn.init.normal_(layer.bias)
    assert torch.allclose(layer(x), torch.exp(layer.bias) * without, rtol=1e-12, atol=0)


@pytest.mark.parametrize("f", [IDENTITY, EXP, CUBE], ids=lambda f: f.name)
def test_a_mixing_function_and_its_inverse_undo_each_other(f: Any) -> None:
    u = torch.linspace(-5, 5, 101)
    assert torch.allclose(f.invert(f.apply(u)), u, rtol=0, atol=1e-12)


def test_mixing_through_the_identity_is_a_linear_layer() -> None:
    layer = with_biases(MixingLayer(N, K, f=IDENTITY))
    x = torch.randn(BATCH, N)
    assert torch.equal(layer(x), functional.linear(x, layer.weight, layer.bias))


def test_mixing_through_exp_is_a_product_layer() -> None:
    layer, product = MixingLayer(N, K, f=EXP), ProductLayer(N, K)
    product.load_state_dict(with_biases(layer).state_dict())
    x = positive(BATCH, N)
    assert torch.equal(layer(x), product(x))


def test_mixing_through_the_cube_is_the_cube_of_mixed_cube_roots() -> None:
    layer = with_biases(MixingLayer(N, K, f=CUBE))
    x = torch.randn(BATCH, N)
    roots = torch.from_numpy(np.cbrt(x.numpy()))
    expected = (roots @ layer.weight.T + layer.bias) ** 3
    assert torch.allclose(layer(x), expected, rtol=1e-10, atol=1e-12)


def test_a_net_mixing_through_the_cube_is_additive_with_a_converted_nonlinearity() -> None:
    first, second = (with_biases(MixingLayer(N, N, f=CUBE)) for _ in range(2))
    x = torch.randn(BATCH, N)
    mixed = second(torch.tanh(first(x)))
    hidden = first.add(CUBE.invert(x))
    converted = CUBE.invert(torch.tanh(CUBE.apply(hidden)))  # f^-1 . s . f
    assert torch.allclose(mixed, CUBE.apply(second.add(converted)), rtol=1e-10, atol=1e-12)


# The four nonlinearities


EXTENDED = np.linspace(-30, 30, 2_401).astype(np.longdouble)


def exact_log_tanh_exp(u: Any) -> Any:
    """In extended precision, each half by the form that cancels nothing there."""
    t = -2 * np.exp(u)
    difference = np.where(u < -1, np.log(-np.expm1(t)), np.log1p(-np.exp(t)))
    return difference - np.log1p(np.exp(t))


EXACT: dict[Nonlinearity, Callable[[Any], Any]] = {
    "relu1": lambda u: np.maximum(u, 0),
    "tanh": exact_log_tanh_exp,
    "sigmoid": lambda u: -np.log1p(np.exp(-np.exp(u))),
    "relu": lambda u: u,
}


@every_nonlinearity
def test_converted_nonlinearities_are_their_closed_forms_to_30(name: Nonlinearity) -> None:
    u = torch.from_numpy(EXTENDED.astype(np.float64))
    found = NONLINEARITIES[name].converted(u).numpy()
    expected = EXACT[name](EXTENDED).astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-300)


@every_nonlinearity
def test_converted_nonlinearities_are_ln_s_exp(name: Nonlinearity) -> None:
    u = torch.linspace(-30, 3, 1_201)
    pair = NONLINEARITIES[name]
    composed = torch.log(pair.positive(torch.exp(u)))
    assert torch.allclose(pair.converted(u), composed, rtol=1e-12, atol=1e-14)


SLOPES: dict[Nonlinearity, Callable[[Any], Any]] = {
    "relu1": lambda u: (u > 0) * 1.0,
    "tanh": lambda u: 2 * np.exp(u) / np.sinh(np.minimum(2 * np.exp(u), 11_000)),
    "sigmoid": lambda u: np.exp(u) / (1 + np.exp(np.minimum(np.exp(u), 11_000))),
    "relu": np.ones_like,
}


@every_nonlinearity
def test_their_slopes_are_the_closed_forms_to_30(name: Nonlinearity) -> None:
    u = torch.from_numpy(EXTENDED.astype(np.float64)).requires_grad_()
    NONLINEARITIES[name].converted(u).sum().backward()
    assert u.grad is not None
    expected = SLOPES[name](EXTENDED).astype(np.float64)
    np.testing.assert_allclose(u.grad.numpy(), expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_nonlinearity
def test_far_out_they_and_their_slopes_are_the_limits(
    name: Nonlinearity, dtype: torch.dtype
) -> None:
    u = torch.tensor([-1e30, -1e3, 1e3, 1e30], dtype=dtype, requires_grad=True)
    low, high = -1e30, 1e30
    values, slopes = {
        "relu1": ([0, 0, 1e3, high], [0, 0, 1, 1]),
        "tanh": ([low, -1e3, 0, 0], [1, 1, 0, 0]),
        "sigmoid": ([-math.log(2), -math.log(2), 0, 0], [0, 0, 0, 0]),
        "relu": ([low, -1e3, 1e3, high], [1, 1, 1, 1]),
    }[name]
    found = NONLINEARITIES[name].converted(u)
    found.sum().backward()
    assert torch.allclose(found, torch.tensor(values, dtype=dtype), rtol=1e-6, atol=0)
    assert torch.equal(u.grad, torch.tensor(slopes, dtype=dtype))


def test_relu_on_positive_numbers_converts_to_the_identity() -> None:
    x = positive(100)
    assert torch.equal(NONLINEARITIES["relu"].positive(x), x)
    u = torch.randn(100)
    assert torch.equal(NONLINEARITIES["relu"].converted(u), u)


def test_the_maximum_with_one_converts_to_exactly_relu() -> None:
    pair, u = NONLINEARITIES["relu1"], torch.randn(100) * 10
    assert torch.equal(pair.converted(u), functional.relu(u))
    assert torch.equal(pair.positive(positive(100)) >= 1, torch.ones(100, dtype=torch.bool))
    assert torch.allclose(torch.log(pair.positive(u.exp())), functional.relu(u), atol=1e-14)


def test_neither_form_of_the_maximum_has_a_slope_at_its_corner() -> None:
    pair = NONLINEARITIES["relu1"]
    assert grad(pair.positive)(torch.tensor(1.0)) == 0
    assert grad(pair.converted)(torch.tensor(0.0)) == 0


def test_tanh_converts_to_a_softplus_flipped_over_both_axes() -> None:
    u = torch.linspace(-30, 30, 601)
    found, flipped = NONLINEARITIES["tanh"].converted(u), -functional.softplus(-u)
    assert found.max() <= 0
    assert (found.diff() >= 0).all()
    assert (found.diff().diff() <= 1e-12).all()  # concave, as the flipped softplus
    assert (found - flipped).abs().max() < 0.43
    ends = u.abs() > 20
    assert torch.allclose(found[ends], flipped[ends], rtol=0, atol=1e-8)


def test_sigmoid_converts_to_a_sigmoid_flipped_over_both_axes() -> None:
    u = torch.linspace(-30, 30, 601)
    found = NONLINEARITIES["sigmoid"].converted(u)
    assert torch.allclose(
        found, -functional.softplus(-torch.exp(u.clamp(max=20))), rtol=1e-12, atol=1e-300
    )
    assert found[0].item() == pytest.approx(-math.log(2), abs=1e-12)
    assert found[-1].item() == 0
    assert (found.diff() >= 0).all()
    bend = found.diff().diff()
    steepest = int(found.diff().argmax())
    assert (bend[: steepest - 1] >= -1e-15).all()
    assert (bend[steepest:] <= 1e-15).all()


# Networks


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@every_nonlinearity
def test_a_multiplicative_net_is_its_additive_twin(name: Nonlinearity, depth: int) -> None:
    net = with_biases(MultiplicativeNet([N, *[8] * depth, K], name))
    twin = AdditiveTwin(net)
    x, classes = positive(BATCH, N), torch.randint(K, (BATCH,))
    found: list[tuple[Tensor, Tensor, list[Tensor]]] = []
    for logits in (torch.log(net(x)), twin(torch.log(x))):
        loss = functional.cross_entropy(logits, classes)
        found.append((logits, loss, [*torch.autograd.grad(loss, [*net.parameters()])]))
    (outputs, loss, slopes), (outputs_too, loss_too, slopes_too) = found
    assert torch.allclose(outputs, outputs_too, rtol=0, atol=1e-10)
    assert abs(loss.item() - loss_too.item()) < 1e-10
    assert len(slopes) == 2 * (depth + 1)
    for slope, slope_too in zip(slopes, slopes_too, strict=True):
        assert slope.abs().max() > 1e-6
        assert torch.allclose(slope, slope_too, rtol=0, atol=1e-10)


def test_the_twin_shares_the_weights() -> None:
    net = MultiplicativeNet([N, 8, K], "relu1")
    twin = AdditiveTwin(net)
    x = positive(BATCH, N)
    before = twin(torch.log(x))
    with torch.no_grad():
        net.layers[0].weight.mul_(2)
    assert not torch.allclose(twin(torch.log(x)), before)
    assert torch.allclose(torch.log(net(x)), twin(torch.log(x)), rtol=0, atol=1e-10)


def test_a_net_with_relu_is_one_product_layer() -> None:
    net = with_biases(MultiplicativeNet([N, 8, 8, K], "relu"))
    one = ProductLayer(N, K)
    first, second, third = net.layers
    with torch.no_grad():
        one.weight.copy_(third.weight @ second.weight @ first.weight)
        one.bias.copy_(third.add(second.add(first.bias)))
    x = positive(BATCH, N)
    assert torch.allclose(net(x), one(x), rtol=1e-10, atol=0)


def test_any_base_would_do() -> None:
    layer = with_biases(ProductLayer(N, K))
    x = positive(BATCH, N)
    base2 = torch.exp2(
        functional.linear(torch.log2(x), layer.weight, layer.bias * math.log2(math.e))
    )
    assert torch.allclose(layer(x), base2, rtol=1e-12, atol=0)


def test_max_pooling_commutes_with_exp_and_ln() -> None:
    u = torch.randn(2, 3, 8, 8)
    assert torch.equal(functional.max_pool2d(u.exp(), 2), functional.max_pool2d(u, 2).exp())
    x = positive(2, 3, 8, 8)
    assert torch.equal(functional.max_pool2d(x, 2).log(), functional.max_pool2d(x.log(), 2))


def test_softmax_over_the_net_needs_no_exponentials() -> None:
    net = with_biases(MultiplicativeNet([N, 8, K], "tanh"))
    x = positive(BATCH, N)
    expected = torch.softmax(AdditiveTwin(net)(torch.log(x)), dim=-1)
    assert torch.allclose(positive_softmax(net(x)), expected, rtol=1e-10, atol=0)


# Packing, first weights, errors


@pytest.mark.parametrize(
    ("make", "logs"),
    [
        (lambda: ProductLayer(N, K), False),
        (lambda: MixingLayer(N, K, f=CUBE), False),
        *[(lambda name=name: MultiplicativeNet([N, 5, K], name), False) for name in NAMES],
        *[
            (lambda name=name: AdditiveTwin(MultiplicativeNet([N, 5, K], name)), True)
            for name in NAMES
        ],
    ],
)
def test_gradients_batch_over_parameters(make: Callable[[], nn.Module], logs: bool) -> None:
    members = [make() for _ in range(3)]
    parameters, _ = stack_module_state(members)
    x = positive(BATCH, N)
    given = x.log() if logs else x

    def loss(tensors: dict[str, Tensor]) -> Tensor:
        return functional_call(members[0], tensors, (given,)).square().mean()

    packed = vmap(grad(loss))(parameters)
    for i, member in enumerate(members):
        for key, value in grad(loss)(dict(member.named_parameters())).items():
            assert torch.allclose(packed[key][i], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("f", [IDENTITY, EXP, CUBE], ids=lambda f: f.name)
def test_first_weights_keep_the_variance_of_what_is_mixed(f: Any) -> None:
    u = torch.randn(400, 64)
    found = [f.invert(MixingLayer(64, 100, f=f)(f.apply(u))).var().item() for _ in range(20)]
    assert sum(found) / len(found) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("value", [0.0, -0.0, -1.5, math.nan, math.inf])
def test_inputs_that_have_no_real_logarithm_are_refused(value: float) -> None:
    x = torch.ones(2, 3)
    x[1, 2] = value
    problem = rf"pixels holds {value} at index \(1, 2\), 1 such values in all: .*exp\(data\)"
    with pytest.raises(ValueError, match=problem):
        check_positive(x, "pixels")


def test_positive_inputs_pass_unchanged() -> None:
    x = positive(3, 2)
    assert check_positive(x) is x
    assert check_positive(torch.empty(0, 2)).shape == (0, 2)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: MultiplicativeNet([3], "tanh"), r"widths is \[3\]: those of the input and"),
        (lambda: MultiplicativeNet([3, 0], "tanh"), "out_features is 0: at least 1"),
        (lambda: MultiplicativeNet([3, 1], "selu"), "nonlinearity is 'selu': there are relu1"),  # type: ignore[arg-type]
        (lambda: ProductLayer(0, 2), "in_features is 0: at least 1"),
    ],
)
def test_bad_arguments_are_named(make: Callable[[], nn.Module], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make()
