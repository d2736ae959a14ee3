"""The neural processes: what they are shown, what they compute, and how they learn."""

import math
from contextlib import suppress
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from sweep.run import NullRun, TrialStop
from sweep.trainables import registered
from workers.fusion.alone import train_alone
from workers.fusion.pack import Pack
from workers.trainables.neural_process import NEURAL_PROCESS, NeuralProcessParameters
from workers.trainables.neural_process.functions import (
    NOISE,
    RANGE,
    Functions,
    Shape,
    _values,
    covariance,
    draw,
)
from workers.trainables.neural_process.model import (
    LATENT,
    WIDTH,
    Answer,
    ConditionedLinear,
    Gaussian,
    HiddenOfBoth,
    HiddenOfX,
    MlpDecoder,
    MultiplicativeDecoder,
    NeuralProcess,
)
from workers.trainables.neural_process.training import (
    TEST_DRAWS,
    TEST_FUNCTIONS,
    NeuralProcessTraining,
    log_likelihood,
    train,
)

DECODERS = ("mlp", "skip_mlp", "mi", "mi_of_x")
SHAPE = Shape(functions=5, points=8, latent=LATENT, min_context=2, max_context=6)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def params(**changes: Any) -> dict[str, Any]:
    small = {"batch_size": 4, "points": 6, "max_context": 4, "eval_every": 10, "batch_seed": 1}
    return {"decoder": "mi", "lr": 1e-3, **small, **changes}


def batch(seed: int = 0, shape: Shape = SHAPE) -> Functions:
    drawn = draw(shape, seed, torch.tensor([1]))
    return Functions(*(tensor[0].double() for tensor in drawn))


def network(decoder: Any, seed: int = 0) -> NeuralProcess:
    torch.manual_seed(seed)
    return NeuralProcess(decoder).double()


# The functions


def test_many_draws_have_the_kernels_covariance() -> None:
    x = torch.linspace(-2, 2, 5, dtype=torch.float64)
    scale = torch.tensor([0.5, 3.0], dtype=torch.float64).view(2, 1, 1)
    normal = torch.randn(40_000, 2, 5, dtype=torch.float64, generator=torch.manual_seed(0))
    values = _values(x, scale, normal)
    found = torch.einsum("nfi,nfj->fij", values, values) / len(values)
    for f, length in enumerate((0.5, 3.0)):
        for i in range(5):
            for j in range(5):
                wanted = math.exp(-((x[i] - x[j]).item() ** 2) / (2 * length**2))
                assert found[f, i, j].item() == pytest.approx(wanted, abs=0.03)
    torch.testing.assert_close(covariance(x, scale), found, atol=0.03, rtol=0)


def test_functions_are_drawn_as_published() -> None:
    shape = Shape(functions=400, points=20, latent=4, min_context=3, max_context=7)
    x, y, context, noise = draw(shape, 0, torch.arange(1, 51))
    assert x.shape == y.shape == context.shape == (50, 400, 20, 1)
    assert noise.shape == (50, 400, 4)
    assert RANGE[0] <= x.min() < RANGE[0] + 0.01
    assert RANGE[1] - 0.01 < x.max() <= RANGE[1]
    assert y.mean().item() == pytest.approx(0, abs=0.03)
    assert y.var().item() == pytest.approx(1 + NOISE**2, abs=0.05)
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    counts = context.sum(dim=(-2, -1)).flatten()
    assert counts.unique().tolist() == [3, 4, 5, 6, 7]
    assert min((counts == n).float().mean().item() for n in range(3, 8)) > 0.18
    assert (context.diff(dim=-2) <= 0).all()  # the context comes first


def test_smooth_functions_show_the_noise_of_the_observations() -> None:
    x = torch.linspace(-2, 2, 64, dtype=torch.float64)
    scale = torch.full((1, 1, 1), 10.0, dtype=torch.float64)
    quiet = _values(x, scale, torch.randn(200, 1, 64, generator=torch.manual_seed(0)).double())
    assert quiet.diff(n=2, dim=-1).std() < 0.1 * NOISE
    shape = Shape(functions=2000, points=2, latent=1, min_context=1, max_context=1)
    found = draw(shape, 3, torch.tensor([1]))
    near = (found.x[..., 0, 0] - found.x[..., 1, 0]).abs() < 0.005
    gaps = (found.y[..., 0, 0] - found.y[..., 1, 0])[near]
    assert gaps.abs().median().item() == pytest.approx(0.6745 * NOISE * 2**0.5, rel=0.5)


def test_draws_are_functions_of_seed_and_step() -> None:
    together = draw(SHAPE, 7, torch.tensor([3, 4, 5]))
    apart = draw(SHAPE, 7, torch.tensor([4]))
    other = draw(SHAPE, 8, torch.tensor([4]))
    for a, b, c in zip(together, apart, other, strict=True):
        assert torch.equal(a[1], b[0])
        assert not torch.equal(a[0], a[1])
        assert not torch.equal(b, c)


def test_the_stream_is_the_batches_one_after_the_other() -> None:
    stream = train.stream(params(), 0, torch.device("cpu")).take(1, 3)
    for i, one in zip(range(3), train.batches(params(), 0), strict=False):
        assert all(torch.equal(a[i], b) for a, b in zip(stream, one, strict=True))


def test_held_out_functions_are_fixed_and_drawn_by_no_training() -> None:
    first, again = train.evaluation(params()), train.evaluation(params(lr=0.1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first.noise.shape == (TEST_DRAWS, TEST_FUNCTIONS, LATENT)
    shown = train.stream(params(), 0, torch.device("cpu")).take(1, 50).x.flatten()
    assert not torch.isin(first.x.flatten(), shown).all()


# The networks


@pytest.mark.parametrize("decoder", DECODERS)
def test_predictions_ignore_points_outside_the_context(decoder: Any) -> None:
    x, y, context, noise = batch()
    model = network(decoder)
    answer = model(x, y, context, noise)
    elsewhere = y + 5 * (1 - context)
    other = model(x, elsewhere, context, noise)
    assert torch.equal(answer.expected, other.expected)
    assert torch.equal(answer.prior.mean, other.prior.mean)
    assert not torch.allclose(answer.posterior.mean, other.posterior.mean)
    changed = model(x, y + context, context, noise)
    assert not torch.allclose(answer.expected, changed.expected)


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_order_of_points_does_not_matter(decoder: Any) -> None:
    x, y, context, noise = batch()
    order = torch.randperm(SHAPE.points, generator=torch.manual_seed(1))
    model = network(decoder)
    first = model(x, y, context, noise)
    again = model(x[:, order], y[:, order], context[:, order], noise)
    for a, b in zip((first.prior, first.posterior), (again.prior, again.posterior), strict=True):
        torch.testing.assert_close(a.mean, b.mean)
    torch.testing.assert_close(first.y.mean[:, order], again.y.mean)
    torch.testing.assert_close(first.expected[:, order], again.expected)


def test_the_divergence_is_zero_where_all_points_are_context() -> None:
    x, y, context, noise = batch()
    answer = network("mi")(x, y, torch.ones_like(context), noise)
    assert answer.posterior.kl(answer.prior).abs().max() < 1e-12
    partly = network("mi")(x, y, context, noise)
    assert (partly.posterior.kl(partly.prior).sum(dim=(-2, -1)) > 0).all()


def test_densities_and_divergences_are_those_of_torch() -> None:
    torch.manual_seed(0)
    a, b = (Gaussian(torch.randn(9), torch.rand(9) + 0.1) for _ in range(2))
    theirs = [torch.distributions.Normal(*g) for g in (a, b)]
    torch.testing.assert_close(a.kl(b), torch.distributions.kl_divergence(*theirs))
    value = torch.randn(9)
    torch.testing.assert_close(a.log_prob(value), theirs[0].log_prob(value))
    torch.testing.assert_close(a.sample(value), a.mean + value * a.std)


def linear(before: int, after: int) -> int:
    return before * after + after


def test_the_networks_have_the_published_widths() -> None:
    condition = LATENT + WIDTH
    encoders = linear(2, 128) + 5 * linear(128, 128)
    encoders += linear(2, 128) + 2 * linear(128, 128) + linear(128, 2 * 64)
    interaction = condition * 128 * 2 + condition * 2 + 128 * 2 + 2
    decoders = {
        "mlp": linear(1 + condition, 128) + 3 * linear(128, 128) + linear(128, 2),
        "skip_mlp": linear(1 + condition, 128)
        + 3 * linear(128 + condition, 128)
        + linear(128 + condition, 2),
        "mi": linear(1 + condition, 128) + 3 * linear(128, 128) + interaction,
        "mi_of_x": linear(1, 128) + 3 * linear(128, 128) + interaction,
    }
    for decoder, size in decoders.items():
        model = NeuralProcess(decoder)  # type: ignore[arg-type]
        assert sum(p.numel() for p in model.parameters()) == encoders + size
        assert int(model.size) == encoders + size


def test_a_conditioned_layer_is_linear_in_both_together() -> None:
    torch.manual_seed(0)
    layer = ConditionedLinear(3, 4, 5).double()
    x, c = torch.randn(2, 6, 3).double(), torch.randn(2, 1, 4).double()
    weight = torch.cat((layer.of_x.weight, layer.of_c.weight), dim=1)
    both = torch.cat((x, c.expand(2, 6, 4)), dim=-1)
    wanted = nn.functional.linear(both, weight, layer.of_x.bias)
    torch.testing.assert_close(layer(x, c), wanted)
    assert weight.abs().max() <= (6 / 7) ** 0.5
    assert layer.of_x.bias.abs().max() <= 7**-0.5


def test_without_w_and_u_the_multiplicative_decoder_is_the_mlp() -> None:
    torch.manual_seed(0)
    hidden, plain = HiddenOfBoth(), MlpDecoder().double()
    ours = MultiplicativeDecoder(hidden).double()
    *before, last = plain.rest
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        hidden.first.load_state_dict(plain.first.state_dict())
        hidden.rest.load_state_dict(nn.Sequential(*before[:-1]).state_dict())
        ours.last.weight.zero_()
        ours.last.context_weight.zero_()
        ours.last.input_weight.copy_(last.weight.t())
        ours.last.bias.copy_(last.bias)
    x, c = torch.randn(2, 6, 1).double(), torch.randn(2, 1, LATENT + WIDTH).double()
    torch.testing.assert_close(ours(x, c), plain(x, c))


@pytest.mark.parametrize("hidden", [HiddenOfBoth, HiddenOfX])
def test_a_multiplicative_decoder_ends_in_m_of_hidden_and_condition(
    hidden: type[nn.Module],
) -> None:
    torch.manual_seed(0)
    ours = MultiplicativeDecoder(hidden()).double()
    x, c = torch.randn(2, 6, 1).double(), torch.randn(2, 1, LATENT + WIDTH).double()
    wanted = ours.last(ours.hidden(x, c), c.expand(2, 6, -1))
    torch.testing.assert_close(ours(x, c), wanted)


def test_hidden_layers_of_x_do_not_see_the_condition() -> None:
    hidden, x = HiddenOfX(), torch.randn(2, 6, 1)
    first, second = (hidden(x, torch.randn(2, 1, LATENT + WIDTH)) for _ in range(2))
    assert torch.equal(first, second)
    both = HiddenOfBoth()
    first, second = (both(x, torch.randn(2, 1, LATENT + WIDTH)) for _ in range(2))
    assert not torch.equal(first, second)


# The likelihood


def test_the_likelihood_is_exact_where_z_does_not_matter() -> None:
    answer, y, context = certain()
    others = 1 - context
    wanted = (answer.y.log_prob(y)[0] * others).sum(dim=(-2, -1)) / others.sum(dim=(-2, -1))
    assert log_likelihood(answer, y, context).item() == pytest.approx(wanted.mean().item())


def test_importance_weights_correct_for_the_posterior() -> None:
    """A linear Gaussian model, whose predictive density is known."""
    generator = torch.manual_seed(4)
    prior = Gaussian(torch.zeros(1, 1, 1).double(), torch.ones(1, 1, 1).double())
    posterior = Gaussian(prior.mean + 0.4, prior.std * 0.7)
    z = posterior.sample(torch.randn(200_000, 1, 1, 1, dtype=torch.float64, generator=generator))
    y = torch.tensor([9.0, 0.8]).double().view(1, 2, 1)
    context = torch.tensor([1.0, 0.0]).double().view(1, 2, 1)
    seen = Gaussian(z.expand(-1, 1, 2, 1), torch.full((1,), 0.5).double())
    answer = Answer(seen, z, prior, posterior, y, torch.tensor(0))
    wanted = torch.distributions.Normal(0.0, 1.25**0.5).log_prob(torch.tensor(0.8))
    found = log_likelihood(answer, y, context).item()
    assert found == pytest.approx(wanted.item(), abs=0.01)


def certain() -> tuple[Answer, Tensor, Tensor]:
    """An answer whose prior and posterior agree and whose z changes nothing."""
    generator = torch.manual_seed(0)
    y = torch.randn(3, 4, 1, generator=generator)
    context = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(4, 1).expand(3, 4, 1)
    one = Gaussian(torch.zeros(3, 1, LATENT), torch.ones(3, 1, LATENT))
    seen = Gaussian(torch.zeros(7, 3, 4, 1), torch.ones(7, 3, 4, 1))
    z = torch.randn(7, 3, 1, LATENT, generator=generator)
    return Answer(seen, z, one, one, y, torch.tensor(0)), y, context


# The trainings


def run_to(max_t: int, run: NullRun | None = None, **changes: Any) -> NullRun:
    run = run or NullRun(seed=1, max_t=max_t)
    with pytest.raises(TrialStop):
        train(params(**changes), run)
    return run


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_short_training_learns(decoder: Any) -> None:
    reports = run_to(240, decoder=decoder, lr=3e-4, eval_every=120, batch_size=16).reports
    assert [step for step, _ in reports] == [120, 240]
    untrained = train.metrics(train.build(params(decoder=decoder), 1), train.evaluation(params()))
    assert tuple(untrained) == NEURAL_PROCESS.metrics
    last = reports[-1][1]
    assert last["loss"] < untrained["loss"].item() - 0.3
    assert last["mse"] < 0.7 * untrained["mse"].item()
    assert last["log_likelihood"] > untrained["log_likelihood"].item()


class Small(NeuralProcessTraining):
    """The study's training, saved often and evaluated on few functions."""

    def evaluation(self, params: Any) -> Functions:
        x, y, context, noise = super().evaluation(params)
        return Functions(x[:6], y[:6], context[:6], noise[:2, :6])

    def save_every(self, params: Any) -> int:
        return 10


def test_a_resumed_training_goes_on_to_the_bit() -> None:
    whole = NullRun(seed=1, max_t=30)
    with suppress(TrialStop):
        Small()(params(), whole)
    state = whole.restore()
    assert state is not None
    assert state["step"] == 20
    resumed = NullRun(seed=1, max_t=30)
    resumed.save(state)
    with suppress(TrialStop):
        Small()(params(), resumed)
    assert resumed.reports == whole.reports[-1:]


@pytest.mark.parametrize(
    ("decoder", "batch_seed"), [("mlp", None), ("skip_mlp", 1), ("mi", 1), ("mi", None)]
)
def test_a_packed_training_equals_itself_alone(decoder: Any, batch_seed: int | None) -> None:
    """Float64, with rates and clipping that differ between members."""
    members = [
        params(decoder=decoder, batch_seed=batch_seed, lr=lr, clip_value=clip)
        for lr, clip in ((1e-3, 10.0), (3e-4, 1e-3), (1e-3, None))
    ]
    small = Small()
    pack = Pack(small, dtype=torch.float64)
    pack.add([pack.member(i, member, i) for i, member in enumerate(members)])
    packed: dict[int, list[tuple[int, dict[str, float]]]] = {}
    while len(pack):
        for found in pack.advance():
            assert found.error is None
            packed.setdefault(found.key, []).append((found.step, dict(found.metrics)))
        pack.drop([key for key, seen in packed.items() if seen[-1][0] >= 20 and key in pack.keys])
    for i, member in enumerate(members):
        run = NullRun(seed=i, max_t=20)
        with suppress(TrialStop):
            train_alone(small, member, run, dtype=torch.float64)
        for (step, a), (other, b) in zip(packed[i], run.reports, strict=True):
            assert step == other
            assert a == pytest.approx(b, rel=1e-9)


def test_equal_keys_mean_equal_graphs_and_shared_draws() -> None:
    key = NEURAL_PROCESS.fuse_key
    assert key is not None
    assert key(params()) == key(params(lr=0.1, clip_value=None, batch_seed=7, min_context=1))
    assert key(params()) != key(params(decoder="mlp"))
    assert key(params()) != key(params(points=7))
    assert train.stream_key(params(), 1) == train.stream_key(params(), 2)
    own = params(batch_seed=None)
    assert train.stream_key(own, 1) != train.stream_key(own, 2)
    assert train.stream_key(params(), 1) != train.stream_key(params(min_context=1), 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"decoder": "attention"}, "skip_mlp"),
        ({"max_context": 6}, "max_context < points is needed"),
        ({"min_context": 5}, "min_context is 5, max_context 4"),
        ({"min_context": 0}, "greater than or equal to 1"),
        ({"lr": 0}, "greater than 0"),
        ({"clip_value": -1.0}, "greater than 0"),
        ({"width": 64}, "not permitted"),
    ],
)
def test_bad_parameters_say_what_is_wrong(changes: dict[str, Any], says: str) -> None:
    NeuralProcessParameters.model_validate(params())
    with pytest.raises(ValidationError, match=says):
        NeuralProcessParameters.model_validate(params(**changes))


def test_it_is_registered() -> None:
    assert registered()["neural-process"] is NEURAL_PROCESS
