"""A member of a pack learns what it learns alone, whatever happens around it."""

import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.errors import TrialFault
from sweep.run import NullRun, TrialStop
from tests.unit.fusion.trainings import Anyhow, Line, Trajectory, alone, line, picky
from workers.fusion.evaluation import Evaluator
from workers.fusion.faults import MemberFailed, PackError
from workers.fusion.pack import Pack
from workers.fusion.packable import Packable, Params
from workers.fusion.program import Program
from workers.fusion.state import MemberState
from workers.trainables.arithmetic import networks

STEPS = 200
WIDE_TASKS = ("elementwise_mul", "elementwise_add", "logical_xor", "logical_and", "equality")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def drain(pack: Pack, until: int) -> dict[int, Trajectory]:
    """Train every member to a step; what each reported."""
    seen: dict[int, Trajectory] = {}
    while len(pack):
        evaluations = pack.advance()
        assert evaluations
        for evaluation in evaluations:
            assert evaluation.error is None
            seen.setdefault(evaluation.key, []).append((evaluation.step, dict(evaluation.metrics)))
        pack.drop([e.key for e in evaluations if e.step >= until])
    return seen


def assert_same(ours: Trajectory, theirs: Trajectory, tolerance: float = 1e-9) -> None:
    assert [step for step, _ in ours] == [step for step, _ in theirs]
    for (step, a), (_, b) in zip(ours, theirs, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert math.isclose(a[name], b[name], rel_tol=tolerance), (step, name, a, b)


def deviations(ours: Trajectory, theirs: Trajectory) -> dict[str, float]:
    """For each metric how far two trainings of the same steps are apart at most, relatively."""
    assert [step for step, _ in ours] == [step for step, _ in theirs]
    found: dict[str, float] = {}
    for (_, a), (_, b) in zip(ours, theirs, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            apart = abs(a[name] - b[name]) / (max(abs(a[name]), abs(b[name])) or 1.0)
            found[name] = max(apart, found.get(name, 0.0))
    return found


class Nudged(Anyhow):
    """The same trainings from first weights that are one rounding away."""

    def build(self, params: Params, seed: int) -> torch.nn.Module:
        network = super().build(params, seed).double()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(torch.nextafter(parameter, torch.full_like(parameter, math.inf)))
        return network


def assert_same_to_rounding(ours: Trajectory, params: Params, seed: int) -> None:
    """Equal to 1e-9, or to what training makes of a single rounding."""
    expected = alone(Anyhow(), params, seed, STEPS)
    apart = deviations(ours, expected[: len(ours)])
    if all(value <= 1e-9 for value in apart.values()):
        return
    grown = deviations(alone(Nudged(), params, seed, STEPS), expected)
    for name, value in apart.items():
        assert value <= max(1e-9, 10 * grown[name]), (name, apart, grown)


@st.composite
def packs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Members of one pack: one network and optimizer, all else their own."""
    network = draw(st.sampled_from(networks())).model_dump()
    optimizer = draw(st.sampled_from(("adam", "adamw", "sgd")))
    shares_batches = draw(st.booleans())
    rates = st.floats(1e-5, 3e-3)

    def member() -> dict[str, Any]:
        return {
            "task": draw(st.sampled_from(WIDE_TASKS)),
            "dataset": draw(st.sampled_from(("many_hot", "random", "random_pos", "one_hot"))),
            "network": network,
            "eval_every": 10,
            "batch_size": 8,
            "batch_seed": 5 if shares_batches else None,
            "how": {
                "optimizer": optimizer,
                "lr": draw(rates),
                "weight_decay": draw(st.sampled_from((0.0, 1e-3))),
                "beta1": draw(st.sampled_from((0.9, 0.5))),
                "beta2": draw(st.sampled_from((0.999, 0.9))),
                "eps": draw(st.sampled_from((1e-8, 1e-4))),
                "momentum": draw(st.sampled_from((0.0, 0.9))),
                "clip_norm": draw(st.sampled_from((None, 0.01, 1.0))),
                "init_scale": draw(st.sampled_from((0.5, 1.0))),
            },
        }

    return [member() for _ in range(draw(st.integers(2, 5)))]


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(packs(), st.data())
def test_every_member_equals_its_training_alone(
    members: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Float64, with members stopped, refilled and resumed in between.

    Training at a high rate can make more than 1e-9 of one rounding; see
    `assert_same_to_rounding` for what is asked then.
    """
    anyhow = Anyhow()
    pack = new_pack(anyhow, block=data.draw(st.integers(1, 4)))
    late = data.draw(st.integers(0, len(members) - 1), label="joins later")
    away = data.draw(st.integers(0, len(members) - 1), label="leaves and comes back")
    dropped = data.draw(st.integers(0, len(members) - 1), label="stopped for good")
    pause = 10 * data.draw(st.integers(1, 9), label="when")
    pack.add([pack.member(i, m, 100 + i) for i, m in enumerate(members) if i != late])
    seen: dict[int, Trajectory] = {i: [] for i in range(len(members))}
    saved: dict[int, MemberState] = {}

    def at(step: int) -> None:
        if step == pause:
            pack.add([pack.member(late, members[late], 100 + late)])
            if away in pack.keys:
                saved[away] = pack.state(away)
                pack.drop([away])
            pack.drop([dropped])
        if step == 2 * pause and away in saved:
            pack.add([pack.member(away, members[away], 100 + away)], [saved.pop(away)])

    reached = 0
    while len(pack):
        for evaluation in pack.advance():
            assert evaluation.error is None
            seen[evaluation.key].append((evaluation.step, dict(evaluation.metrics)))
            if evaluation.step > reached:
                reached = evaluation.step
                at(reached)
        pack.drop([key for key in pack.keys if seen[key] and seen[key][-1][0] >= STEPS])
    for i, member in enumerate(members):
        assert len(seen[i]) == STEPS // 10 or i in (dropped, away, late)
        assert_same_to_rounding(seen[i], member, 100 + i)


def new_pack(packable: Packable = line, **options: Any) -> Pack:
    return Pack(packable, dtype=torch.float64, **options)


def filled(members: Sequence[Params], packable: Packable = line, **options: Any) -> Pack:
    pack = new_pack(packable, **options)
    pack.add([pack.member(i, params, i) for i, params in enumerate(members)])
    return pack


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_members_own_settings_and_loss_weight_are_kept(optimizer: str) -> None:
    members = [
        {"optimizer": optimizer, "lr": 0.01 * (i + 1), "weight": 1.0 + i, "clip_norm": 0.5}
        for i in range(5)
    ]
    seen = drain(filled(members, block=2), until=50)
    for i, params in enumerate(members):
        assert_same(seen[i], alone(line, params, i, 50))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_member_that_diverges_leaves_all_others_bit_identical(dtype: torch.dtype) -> None:
    def others(weight: float) -> list[MemberState]:
        pack = Pack(line, dtype=dtype, block=4)
        members = [{"lr": lr, "weight": 1.0} for lr in (1e-2, 2e-2, 1e-3, 3e-2)]
        members[1]["weight"] = weight
        pack.add([pack.member(i, params, i) for i, params in enumerate(members)])
        ended = None
        for _ in range(40):
            for evaluation in pack.advance():
                if evaluation.key == 1 and not math.isfinite(evaluation.metrics["loss"]):
                    ended = evaluation.step
        assert (ended is not None) == (weight > 1)
        return [pack.state(i) for i in (0, 2, 3)]

    for with_nan, without in zip(others(float("inf")), others(1.0), strict=True):
        for name, tensor in with_nan.model.items():
            assert torch.equal(tensor, without.model[name])
        for slot, tensors in with_nan.optimizer.items():
            for name, tensor in tensors.items():
                assert torch.equal(tensor, without.optimizer[slot][name])


def test_a_member_goes_on_alone_from_its_packs_state_and_back() -> None:
    whole = alone(line, {"lr": 0.02}, 1, 60)
    pack = filled([{"lr": 0.01}, {"lr": 0.02}], block=2)
    for _ in range(4):
        pack.advance()
    run = NullRun(seed=1, max_t=45)
    run.save(pack.state(1).to_dict())
    assert_same(alone(line, {"lr": 0.02}, 1, 45, run=run), whole[4:9])
    saved = run.restore()
    assert saved is not None
    assert saved["step"] == 40
    network = line.build({}, 0).double()
    network.load_state_dict(saved["model"])
    again = new_pack()
    again.add([again.member(1, {"lr": 0.02}, 1)], [MemberState.from_dict(saved)])
    assert_same(drain(again, until=60)[1], whole[8:])


def test_arrays_shrink_with_the_members_and_small_blocks_are_joined() -> None:
    pack = filled([{"lr": 0.01}] * 12, block=4)
    assert [len(block) for block in pack._blocks] == [4, 4, 4]
    pack.drop([0, 1, 2, 4, 5, 8])
    pack.advance()
    assert sorted(len(block) for block in pack._blocks) == [3, 3]
    assert pack.keys == {3, 6, 7, 9, 10, 11}


def test_out_of_memory_halves_what_is_trained_at_once_and_loses_no_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A device with room for three members, found out in the middle of a training."""
    real, sizes, calls = Program.gradients, [], 0

    def gradients(self: Program, parameters: Any, *rest: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        size = len(next(iter(parameters.values())))
        if calls > 7 and size > 3:
            raise torch.OutOfMemoryError("no room")
        sizes.append(size)
        return real(self, parameters, *rest, **options)

    members = [{"lr": 0.005 * (i + 1)} for i in range(9)]
    expected = [alone(line, params, i, 50) for i, params in enumerate(members)]
    monkeypatch.setattr(Program, "gradients", gradients)
    seen = drain(filled(members, block=16), until=50)
    assert sizes[0] == 9
    assert max(sizes[7:]) <= 3
    for i in range(9):
        assert_same(seen[i], expected[i])


def test_out_of_memory_while_evaluating_makes_the_evaluation_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, calls = Evaluator.evaluate, 0

    def evaluate(self: Evaluator, block: Any, rows: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise torch.OutOfMemoryError("no room")
        return real(self, block, rows)

    expected = [alone(line, {"lr": 0.01}, i, 10) for i in range(4)]
    monkeypatch.setattr(Evaluator, "evaluate", evaluate)
    pack = new_pack(block=4)
    pack.add([pack.member(i, {"lr": 0.01}, i, max_t=10) for i in range(4)])
    seen = drain(pack, until=10)
    for i in range(4):
        assert_same(seen[i], expected[i])


class Tied(torch.nn.Module):
    """Two layers with one weight, a frozen layer, and a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.frozen = torch.nn.Linear(3, 1).requires_grad_(False)
        self.register_buffer("shift", torch.ones(1), persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, float]:
        hidden = torch.tanh(self.second(torch.tanh(self.first(x))))
        return self.frozen(hidden) + self.shift, 1.0


class TiedLine(Line):
    def model(self, params: Params) -> Any:
        return Tied()


def test_states_of_any_network_are_plain_and_go_both_ways() -> None:
    tied = TiedLine()
    whole = alone(tied, {"lr": 0.02}, 1, 40)
    pack = filled([{"lr": 0.01}, {"lr": 0.02}], packable=tied)
    for _ in range(4):
        pack.advance()
    state = pack.state(1)
    assert state.model.keys() == Tied().state_dict().keys()
    run = NullRun(seed=1, max_t=40)
    run.save(state.to_dict())
    assert_same(alone(tied, {"lr": 0.02}, 1, 40, run=run), whole[4:])
    again = new_pack(tied)
    again.add([again.member(1, {"lr": 0.02}, 1)], [state])
    assert_same(drain(again, until=40)[1], whole[4:])


def test_gradients_that_are_one_tensor_are_clipped_once() -> None:
    class Sum(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.nn.Parameter(torch.randn(1, 3))
            self.b = torch.nn.Parameter(torch.randn(1, 3))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, float]:
            return x @ (self.a + self.b).T, 1.0

    class SumLine(Line):
        def model(self, params: Params) -> Any:
            return Sum()

    params = {"lr": 0.5, "clip_norm": 0.1, "optimizer": "sgd"}
    seen = drain(filled([params, params], packable=SumLine()), until=50)
    for i in range(2):
        assert_same(seen[i], alone(SumLine(), params, i, 50))


def test_one_member_that_does_not_fit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def gradients(*rest: Any, **options: Any) -> Any:
        raise torch.OutOfMemoryError("no room at all")

    monkeypatch.setattr(Program, "gradients", gradients)
    with pytest.raises(PackError, match=r"one member alone does not fit .* no room at all"):
        filled([{}, {}]).advance()


def test_a_member_whose_own_code_raises_is_named() -> None:
    with pytest.raises(MemberFailed, match="member 1: no such model"):
        filled([{}, {"trouble": "model"}], packable=picky)
    pack = filled([{}, {"trouble": "evaluation"}], packable=picky)
    good, bad = sorted(pack.advance(), key=lambda e: e.key)
    assert good.error is None
    assert str(bad.error) == "no such evaluation"


def test_an_iterable_of_batches_that_ends_says_so() -> None:
    class Short(Line):
        def batches(self, params: Params, seed: int) -> Any:
            return islice(super().batches(params, seed), 12)

    pack = filled([{}], packable=Short())
    pack.advance()
    pack.advance()
    with pytest.raises(MemberFailed, match="end before step 15: an endless iterable is needed"):
        pack.advance()


def test_batches_may_change_their_size_from_one_span_to_the_next() -> None:
    class Shrinking(Line):
        span = 5

        def batches(self, params: Params, seed: int) -> Any:
            for i, (x, y) in enumerate(super().batches(params, seed)):
                size = 8 if i % 10 < 5 else 4
                yield x[:size], y[:size]

    members = [{"lr": 0.01}, {"lr": 0.02}]
    seen = drain(filled(members, packable=Shrinking()), until=40)
    for i, params in enumerate(members):
        assert_same(seen[i], alone(Shrinking(), params, i, 40))


def test_networks_that_differ_in_a_shape_say_which() -> None:
    class Wide(Line):
        member_parameters = Line.member_parameters | {"width"}

        def model(self, params: Params) -> Any:
            return torch.nn.Linear(3, params["width"])

    with pytest.raises(PackError, match=r"'bias' is \(1,\) and \(2,\)"):
        filled([{"width": 1}, {"width": 2}], packable=Wide())


def test_members_with_different_optimizers_say_so() -> None:
    with pytest.raises(PackError, match="must share one optimizer; got adam, sgd"):
        filled([{"optimizer": "adam"}, {"optimizer": "sgd"}])


def test_members_with_different_precisions_say_so() -> None:
    pack = Pack(line)
    pack.add([pack.member(0, {}, 0)])
    with pytest.raises(PackError, match="must share one precision; got bf16, float32"):
        pack.add([pack.member(1, {"precision": "bf16"}, 1)])


def test_an_unknown_precision_says_what_there_is() -> None:
    with pytest.raises(MemberFailed, match="'precision' is 'int8': there are float32, float64,"):
        Pack(line).member(0, {"precision": "int8"}, 0)
    with pytest.raises(TrialFault, match="'precision' is 16: there are"):
        line({"precision": 16}, NullRun(max_t=5))
    assert line.fuse_key({}) != line.fuse_key({"precision": "bf16"})


def in_precision(precision: str) -> tuple[MemberState, list[Trajectory], list[Trajectory]]:
    """A member's last state, what each reported in a pack, and what each reported alone."""
    members = [{"lr": 0.01 * (i + 1), "precision": precision} for i in range(3)]
    pack = Pack(line)
    pack.add([pack.member(i, params, i, max_t=40) for i, params in enumerate(members)])
    packed: list[Trajectory] = [[] for _ in members]
    for _ in range(8):
        for evaluation in pack.advance():
            packed[evaluation.key].append((evaluation.step, dict(evaluation.metrics)))
    solo = []
    for i, params in enumerate(members):
        run = NullRun(seed=i, max_t=40)
        with suppress(TrialStop):
            line(params, run)
        solo.append(run.reports)
    return pack.state(0), packed, solo


def test_float64_keeps_parameters_and_data_in_float64() -> None:
    state, packed, solo = in_precision("float64")
    assert {tensor.dtype for tensor in state.model.values()} == {torch.float64}
    for ours, theirs in zip(packed, solo, strict=True):
        assert_same(ours, theirs)


def test_bf16_learns_in_a_pack_and_alone_like_float32_to_its_rounding() -> None:
    state, packed, solo = in_precision("bf16")
    assert {tensor.dtype for tensor in state.model.values()} == {torch.float32}
    _, _, exact = in_precision("float32")
    for ours, theirs, true in zip(packed, solo, exact, strict=True):
        assert_same(ours, theirs, tolerance=0.02)
        assert_same(ours, true, tolerance=0.1)
        assert ours != true
        assert ours[-1][1]["loss"] < 0.8 * ours[0][1]["loss"]
