"""The multiplicative interactions: the identities of their paper, and what they cost."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from simpleeval import simple_eval
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.utils._python_dispatch import TorchDispatchMode

from docs.generate import FOLDER
from workers.nn.gates import BoundedMask, DiagonalInteraction, FiLM, ScalarInteraction
from workers.nn.hypernetwork import Hypernetwork
from workers.nn.interactions import LowRankInteraction, MultiplicativeInteraction, bilinear
from workers.nn.metric import BilinearSimilarity, MahalanobisDistance

LAYERS_PAGE = FOLDER / "layers.md"
N, M, K, RANK, BATCH = 7, 5, 3, 2, 11


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def inputs(n: int = N, m: int = M) -> tuple[Tensor, Tensor]:
    return torch.randn(BATCH, n), torch.randn(BATCH, m)


def direct(x: Tensor, z: Tensor, layer: MultiplicativeInteraction) -> Tensor:
    """Equation 1, index by index."""
    return (
        torch.einsum("bm,mnk,bn->bk", z, layer.weight, x)
        + torch.einsum("bm,mk->bk", z, layer.context_weight)
        + torch.einsum("nk,bn->bk", layer.input_weight, x)
        + layer.bias
    )


def generator(n: int = M, out: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(n, 6), nn.Tanh(), nn.Linear(6, out))


LAYERS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "full": (lambda: MultiplicativeInteraction(N, M, K), N, M),
    "low rank": (lambda: LowRankInteraction(N, M, K, rank=RANK), N, M),
    "diagonal": (lambda: DiagonalInteraction(N, M), N, M),
    "sigmoid gate": (lambda: DiagonalInteraction(N, M, gate="sigmoid"), N, M),
    "tanh gate": (lambda: DiagonalInteraction(N, M, gate="tanh"), N, M),
    "film": (lambda: FiLM(N, M), N, M),
    "scalar": (lambda: ScalarInteraction(M), N, M),
    "sigmoid mask": (lambda: BoundedMask(MultiplicativeInteraction(N, M, N)), N, M),
    "softmax mask": (
        lambda: BoundedMask(LowRankInteraction(N, M, N, rank=RANK), bound="softmax"),
        N,
        M,
    ),
    "hypernetwork": (
        lambda: Hypernetwork(N, K, generator=generator(), embedding_features=4),
        N,
        M,
    ),
    "distance": (lambda: MahalanobisDistance(N, rank=RANK), N, N),
    "similarity": (lambda: BilinearSimilarity(N), N, N),
}

every_layer = pytest.mark.parametrize("name", LAYERS)


# The identities


@pytest.mark.parametrize(("n", "m", "k"), [(9, 2, 3), (2, 9, 3), (2, 3, 9), (4, 4, 4), (1, 1, 1)])
def test_every_order_of_contraction_is_equation_1(n: int, m: int, k: int) -> None:
    layer = MultiplicativeInteraction(n, m, k)
    nn.init.normal_(layer.bias)
    x, z = inputs(n, m)
    assert torch.allclose(layer(x, z), direct(x, z, layer), rtol=0, atol=1e-12)


def test_the_full_layer_is_pytorchs_bilinear_plus_linears() -> None:
    layer = MultiplicativeInteraction(N, M, K)
    x, z = inputs()
    both = nn.functional.bilinear(z, x, layer.weight.permute(2, 0, 1))
    expected = both + z @ layer.context_weight + x @ layer.input_weight + layer.bias
    assert torch.allclose(layer(x, z), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["full", "low rank", "hypernetwork"])
def test_the_generated_affine_layer_is_the_bilinear_form(name: str) -> None:
    layer: Any = LAYERS[name][0]()
    x, z = inputs()
    weights, bias = layer.generated(z)
    assert weights.shape == (BATCH, N, K)
    assert bias.shape == (BATCH, K)
    affine = torch.einsum("bn,bnk->bk", x, weights) + bias
    assert torch.allclose(affine, layer(x, z), rtol=0, atol=1e-12)


def test_an_affine_hypernetwork_is_a_full_interaction() -> None:
    embed = nn.Linear(M, 4)
    hyper = Hypernetwork(N, K, generator=embed, embedding_features=4)
    inner, full = hyper.interaction, MultiplicativeInteraction(N, M, K)
    with torch.no_grad():
        full.weight.copy_(torch.einsum("em,enk->mnk", embed.weight, inner.weight))
        full.context_weight.copy_(embed.weight.T @ inner.context_weight)
        full.input_weight.copy_(
            inner.input_weight + torch.einsum("e,enk->nk", embed.bias, inner.weight)
        )
        full.bias.copy_(inner.bias + embed.bias @ inner.context_weight)
    x, z = inputs()
    assert torch.allclose(hyper(x, z), full(x, z), rtol=0, atol=1e-12)


def test_a_nonlinear_hypernetwork_is_an_interaction_with_the_embedding() -> None:
    hyper = Hypernetwork(N, K, generator=generator(), embedding_features=4)
    x, z = inputs()
    expected = direct(x, hyper.generator(z), hyper.interaction)
    assert torch.allclose(hyper(x, z), expected, rtol=0, atol=1e-12)


def test_a_diagonal_w_is_a_hadamard_gate() -> None:
    gate, full = DiagonalInteraction(N, M), MultiplicativeInteraction(N, M, N)
    with torch.no_grad():
        full.weight.copy_(torch.diag_embed(gate.weight))  # (m, n, n)
        full.input_weight.copy_(torch.diag(gate.input_weight))
        full.context_weight.copy_(gate.context_weight)
        full.bias.copy_(nn.init.normal_(gate.bias))
    x, z = inputs()
    assert torch.allclose(gate(x, z), full(x, z), rtol=0, atol=1e-12)


@pytest.mark.parametrize("gate", ["sigmoid", "tanh"])
def test_a_bounded_gate_bounds_what_it_multiplies_with(gate: Any) -> None:
    layer = DiagonalInteraction(N, M, gate=gate)
    x, z = inputs()
    scale, bias = layer.generated(100 * z)
    plain = 100 * z @ layer.weight + layer.input_weight
    assert torch.allclose(scale, getattr(torch, gate)(plain), rtol=0, atol=1e-12)
    assert scale.abs().max() <= 1
    assert torch.allclose(layer(x, 100 * z), scale * x + bias, rtol=0, atol=1e-12)


def test_scale_and_bias_are_a_w_that_is_a_multiple_of_the_identity() -> None:
    layer, full = ScalarInteraction(M), MultiplicativeInteraction(N, M, N)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    with torch.no_grad():
        full.weight.copy_(layer.weight.unsqueeze(-1) * torch.eye(N))
        full.input_weight.copy_(torch.eye(N))
        full.context_weight.copy_(layer.context_weight.expand(M, N))
        full.bias.copy_(layer.bias.expand(N))
    x, z = inputs()
    assert torch.allclose(layer(x, z), full(x, z), rtol=0, atol=1e-12)


def test_film_is_a_diagonal_w_with_the_identity_for_v() -> None:
    film, gate = FiLM(N, M), DiagonalInteraction(N, M)
    with torch.no_grad():
        film.weight.copy_(gate.weight)
        film.context_weight.copy_(gate.context_weight)
        film.bias.copy_(nn.init.normal_(gate.bias))
        gate.input_weight.fill_(1)
    x, z = inputs()
    assert torch.allclose(film(x, z), gate(x, z), rtol=0, atol=1e-12)


def test_film_has_one_scale_and_bias_for_each_feature_map() -> None:
    film = FiLM(N, M)
    for parameter in film.parameters():
        nn.init.normal_(parameter)
    z, maps = torch.randn(BATCH, M), torch.randn(BATCH, N, 4, 6)
    answer = film(maps, z)
    for i, j in ((0, 0), (3, 5)):
        assert torch.allclose(answer[..., i, j], film(maps[..., i, j], z), rtol=0, atol=1e-12)


def test_low_rank_is_full_with_the_composed_w() -> None:
    low, full = LowRankInteraction(N, M, K, rank=RANK), MultiplicativeInteraction(N, M, K)
    with torch.no_grad():
        terms = (
            torch.einsum("i,j,l->ijl", p, q, r)
            for p, q, r in zip(
                low.context_factor.T, low.input_factor.T, low.out_factor, strict=True
            )
        )
        full.weight.copy_(sum(terms, torch.zeros(M, N, K)))
        full.context_weight.copy_(low.context_weight)
        full.input_weight.copy_(low.input_weight)
        full.bias.copy_(nn.init.normal_(low.bias))
    assert torch.allclose(low.composed(), full.weight, rtol=0, atol=1e-12)
    x, z = inputs()
    assert torch.allclose(low(x, z), full(x, z), rtol=0, atol=1e-12)


def test_theorem_1_an_mlp_layer_is_an_interaction_with_w_zero() -> None:
    linear, layer = nn.Linear(N + M, K), MultiplicativeInteraction(N, M, K)
    with torch.no_grad():
        layer.weight.zero_()
        layer.input_weight.copy_(linear.weight[:, :N].T)
        layer.context_weight.copy_(linear.weight[:, N:].T)
        layer.bias.copy_(linear.bias)
    x, z = inputs()
    assert torch.allclose(layer(x, z), linear(torch.cat((x, z), dim=1)), rtol=0, atol=1e-12)


def test_one_unit_is_the_square_exactly() -> None:
    layer = MultiplicativeInteraction(1, 1, 1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight.fill_(1)
    x = torch.linspace(-1e3, 1e3, 2_001).unsqueeze(-1)
    assert torch.equal(layer(x, x), x**2)
    assert torch.equal(torch.relu(layer(x, x)), x**2)


def test_one_unit_is_the_squared_norm() -> None:
    layer = MultiplicativeInteraction(N, N, 1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight.copy_(torch.eye(N).unsqueeze(-1))
    x = torch.randn(BATCH, N)
    assert torch.allclose(layer(x, x), x.square().sum(dim=1, keepdim=True), rtol=0, atol=1e-12)


def test_the_mahalanobis_distance_expands_into_bilinear_terms() -> None:
    distance = MahalanobisDistance(N, rank=RANK)
    x, z = inputs(N, N)
    c = distance.precision()
    quadratic = torch.einsum("bi,ij,bj->b", x, c, x) + torch.einsum("bi,ij,bj->b", z, c, z)
    expanded = quadratic - 2 * torch.einsum("bi,ij,bj->b", x, c, z)
    assert torch.allclose(distance(x, z), expanded, rtol=0, atol=1e-12)


def test_the_similarity_is_the_distances_cross_term() -> None:
    distance, similarity = MahalanobisDistance(N), BilinearSimilarity(N)
    similarity.load_state_dict(distance.state_dict())
    x, z = inputs(N, N)
    cross = (distance(x, 0 * z) + distance(0 * x, z) - distance(x, z)) / 2
    assert torch.allclose(similarity(x, z), cross, rtol=0, atol=1e-12)
    full = bilinear(x, z, similarity.precision().unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(similarity(x, z), full, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rank", [1, RANK, N])
def test_the_metrics_matrix_is_positive_semidefinite_of_its_rank(rank: int) -> None:
    for layer in (MahalanobisDistance(N, rank=rank), BilinearSimilarity(N, rank=rank)):
        values = torch.linalg.eigvalsh(layer.precision())
        assert values.min() > -1e-12
        assert int((values > 1e-9).sum()) == rank


@pytest.mark.parametrize("bound", ["sigmoid", "softmax"])
def test_a_mask_is_bounded_and_multiplies(bound: Any) -> None:
    layer = BoundedMask(MultiplicativeInteraction(N, M, N), bound=bound)
    x, z = inputs()
    mask = layer.mask(10 * x, z)
    assert mask.min() >= 0
    assert mask.max() <= 1
    if bound == "softmax":
        assert torch.allclose(mask.sum(dim=-1), torch.ones(BATCH), rtol=0, atol=1e-12)
    assert torch.equal(layer(10 * x, z), mask * (10 * x))


# Shapes, packing, memory, first weights, errors


@every_layer
def test_leading_axes_broadcast(name: str) -> None:
    make, n, m = LAYERS[name]
    layer = make()
    x, z = torch.randn(4, 6, n), torch.randn(4, 1, m)
    answer = layer(x, z)
    rows = torch.stack([layer(x[:, i], z[:, 0]) for i in range(6)], dim=1)
    assert torch.allclose(answer, rows, rtol=0, atol=1e-12)
    assert torch.allclose(layer(x[0, 0], z[0, 0]), answer[0, 0], rtol=0, atol=1e-12)


@every_layer
def test_gradients_batch_over_parameters(name: str) -> None:
    make, n, m = LAYERS[name]
    members = [make() for _ in range(3)]
    for member in members:
        for parameter in member.parameters():
            nn.init.normal_(parameter)
    x, z = inputs(n, m)
    parameters, buffers = stack_module_state(members)

    def loss(tensors: dict[str, Tensor]) -> Tensor:
        return functional_call(members[0], tensors, (x, z)).square().mean()

    packed = vmap(grad(loss))({**parameters, **buffers})
    for i, member in enumerate(members):
        alone = grad(loss)(dict(member.named_parameters()))
        for key, value in alone.items():
            assert torch.allclose(packed[key][i], value, rtol=1e-10, atol=1e-10)
            assert value.abs().max() > 0


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation made."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.untyped_storage().nbytes() // 8)
        return made


@contextmanager
def largest() -> Iterator[Largest]:
    with Largest() as mode:
        yield mode


SIZES = [(48, 3, 5), (3, 48, 5), (3, 5, 48), (20, 20, 20)]


@pytest.mark.parametrize(("n", "m", "k"), SIZES)
def test_no_tensor_of_batch_by_all_three_widths_is_made(n: int, m: int, k: int) -> None:
    batch = 64
    layer = MultiplicativeInteraction(n, m, k)
    x = torch.randn(batch, n, requires_grad=True)
    z = torch.randn(batch, m, requires_grad=True)
    with largest() as made:
        layer(x, z).square().sum().backward()
    cheapest = batch * n * m * k // max(n, m, k)
    assert made.elements <= max(cheapest, n * m * k, batch * max(n, m, k))
    with largest() as naive:
        torch.einsum("bm,mnk,bn->bmnk", z, layer.weight, x).sum()
    assert naive.elements == batch * n * m * k


@pytest.mark.parametrize(("n", "m", "k"), SIZES)
def test_low_rank_and_gates_make_nothing_of_the_size_of_w(n: int, m: int, k: int) -> None:
    batch, rank = 64, 2
    x, z = torch.randn(batch, n), torch.randn(batch, m)
    for layer in (LowRankInteraction(n, m, k, rank=rank), DiagonalInteraction(n, m)):
        with largest() as made:
            layer(x, z).square().sum().backward()
        assert made.elements <= max(batch * max(n, m, k), m * max(n, k), n * k)


def test_a_shared_context_is_projected_once() -> None:
    tasks, points, n, m, k = 3, 100, 6, 6, 6
    layer = MultiplicativeInteraction(n, m, k)
    x, z = torch.randn(tasks, points, n), torch.randn(tasks, 1, m)
    with largest() as made:
        answer = layer(x, z)
    assert made.elements <= tasks * points * max(n, k)
    assert torch.allclose(answer, layer(x, z.expand(tasks, points, m)), rtol=0, atol=1e-12)


ROWS = 400

VARIANCES: dict[str, tuple[Callable[[], nn.Module], int, int, float]] = {
    "full": (lambda: MultiplicativeInteraction(64, 48, 100), 64, 48, 1),
    "full, wide context": (lambda: MultiplicativeInteraction(8, 200, 100), 8, 200, 1),
    "low rank": (lambda: LowRankInteraction(64, 48, 100, rank=64), 64, 48, 1),
    "diagonal": (lambda: DiagonalInteraction(400, 48), 400, 48, 1),
    "sigmoid gate": (
        lambda: DiagonalInteraction(400, 48, gate="sigmoid"),
        400,
        48,
        0.283 + 1 / 3,
    ),
    "tanh gate": (lambda: DiagonalInteraction(400, 48, gate="tanh"), 400, 48, 0.332 + 1 / 3),
    "film": (lambda: FiLM(100, 48), 100, 48, 1),
    "scalar": (lambda: ScalarInteraction(48), 100, 48, 1),
    "sigmoid mask": (
        lambda: BoundedMask(MultiplicativeInteraction(100, 48, 100)),
        100,
        48,
        0.293,
    ),
    "softmax mask": (
        lambda: BoundedMask(LowRankInteraction(200, 48, 200, rank=64), bound="softmax"),
        200,
        48,
        2.718 / 200**2,
    ),
    "hypernetwork": (
        lambda: Hypernetwork(64, 100, generator=nn.Identity(), embedding_features=48),
        64,
        48,
        1,
    ),
    "similarity": (lambda: BilinearSimilarity(64), 64, 64, 1),
    "similarity of low rank": (lambda: BilinearSimilarity(64, rank=8), 64, 64, 1),
    "distance": (lambda: MahalanobisDistance(64), 64, 64, 2 / 64 + 2 / 64),
    "distance of low rank": (lambda: MahalanobisDistance(64, rank=8), 64, 64, 2 / 8 + 2 / 64),
}


@pytest.mark.parametrize("name", VARIANCES)
def test_first_weights_give_the_variance_that_is_stated(name: str) -> None:
    make, n, m, wanted = VARIANCES[name]
    found = []
    with torch.no_grad():
        for _ in range(20):
            answer = make()(torch.randn(ROWS, n), torch.randn(ROWS, m))
            found.append(answer.var().item())
    assert sum(found) / len(found) == pytest.approx(wanted, rel=0.1)


@pytest.mark.parametrize("rank", [8, 64])
def test_first_distances_have_mean_one(rank: int) -> None:
    x, z = torch.randn(ROWS, 64), torch.randn(ROWS, 64)
    means = [MahalanobisDistance(64, rank=rank)(x, z).mean().item() for _ in range(20)]
    assert sum(means) / len(means) == pytest.approx(1, rel=0.05)


FORMULAS: dict[str, nn.Module] = {
    "MultiplicativeInteraction": MultiplicativeInteraction(N, M, K),
    "LowRankInteraction": LowRankInteraction(N, M, K, rank=RANK),
    "DiagonalInteraction": DiagonalInteraction(N, M),
    "FiLM": FiLM(N, M),
    "ScalarInteraction": ScalarInteraction(M),
    "Hypernetwork": Hypernetwork(N, K, generator=nn.Identity(), embedding_features=4),
    "MahalanobisDistance": MahalanobisDistance(N, rank=RANK),
    "BilinearSimilarity": BilinearSimilarity(N, rank=RANK),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_numbers_of_weights_are_those_in_the_documentation(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|.*$", LAYERS_PAGE.read_text(), re.MULTILINE)
    formula = re.findall(r"`([^`]+)`", row.split(" | ")[2])[0]
    wanted = simple_eval(formula, names={"n": N, "m": M, "k": K, "r": RANK, "e": 4})
    assert sum(p.numel() for p in FORMULAS[name].parameters()) == wanted


@every_layer
def test_first_biases_are_zero(name: str) -> None:
    layer = LAYERS[name][0]()
    for key, value in layer.named_parameters():
        if key.endswith("bias") and not key.startswith("generator"):
            assert not value.any()


@pytest.mark.parametrize("layer", [FiLM(N, M), ScalarInteraction(M)], ids=["film", "scalar"])
def test_scales_and_biases_start_as_the_identity(layer: nn.Module) -> None:
    x, z = inputs()
    assert torch.equal(layer.double()(x, z), x)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: MultiplicativeInteraction(0, 1, 1), "x_features is 0: at least 1"),
        (lambda: LowRankInteraction(1, 1, 1, rank=-2), "rank is -2: at least 1"),
        (lambda: DiagonalInteraction(1, 0), "z_features is 0"),
        (lambda: FiLM(0, 1), "features is 0"),
        (lambda: ScalarInteraction(0), "z_features is 0"),
        (lambda: MahalanobisDistance(3, rank=0), "rank is 0"),
        (lambda: BilinearSimilarity(0), "features is 0"),
        (lambda: DiagonalInteraction(1, 1, gate="relu"), "gate is 'relu': there are linear"),  # type: ignore[arg-type]
        (lambda: BoundedMask(nn.Identity(), bound="tanh"), "bound is 'tanh': there are sig"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_are_named(make: Callable[[], nn.Module], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make()
