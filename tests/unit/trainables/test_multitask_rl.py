"""The multitask-rl trainable: parameters, bookkeeping, training, saving, the map."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from sweep.run import NullRun, TrialStop
from sweep.trainables import check_parameters, find, registered
from workers.trainables.multitask_rl import HEADS, MULTITASK_RL, MultitaskRLParameters
from workers.trainables.multitask_rl.acting import Actors, Returns
from workers.trainables.multitask_rl.agent import Agent, Inputs, Outputs, State
from workers.trainables.multitask_rl.observations import Observation, Transition
from workers.trainables.multitask_rl.projection import steps_into_episode
from workers.trainables.multitask_rl.suites import MINIGRID
from workers.trainables.multitask_rl.training import train


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def params(**changes: Any) -> dict[str, Any]:
    small = {"heads": "shared", "levels": 2, "copies": 2, "unroll": 5, "hidden": 16, "context": 4}
    return {**small, "report_every": 4, "save_every": 4, **changes}


def run_to(max_t: int, run: NullRun | None = None, **changes: Any) -> NullRun:
    run = run or NullRun(seed=1, max_t=max_t)
    run.max_t = max_t
    with pytest.raises(TrialStop, match="reached"):
        train(params(**changes), run)
    return run


def timeless(run: NullRun) -> list[tuple[int, dict[str, float]]]:
    return [
        (step, {name: value for name, value in values.items() if name != "frames_per_second"})
        for step, values in run.reports
    ]


def test_the_descriptor_is_registered_and_loads_neither_torch_nor_gymnasium() -> None:
    assert find("multitask-rl", registered()) is MULTITASK_RL
    code = (
        "import sys, json, workers.trainables.multitask_rl;"
        "print(json.dumps([m for m in ('torch', 'gymnasium', 'minigrid') if m in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": 0}, "levels is 0: minigrid has 1 to 30"),
        ({"levels": 31}, "levels is 31"),
        ({"levels": ["Empty-5x5", "Moon"]}, "minigrid has no level 'Moon': it has Empty-5x5"),
        ({"levels": ["Empty-5x5", "Empty-5x5"]}, "name each level once"),
        ({"levels": []}, "at least one"),
        ({"suite": "dmlab30", "levels": ["Empty-5x5"]}, "dmlab30 has no level 'Empty-5x5'"),
        ({"heads": "many"}, "'shared', 'multihead', 'm_task' or 'm_context'"),
        ({"hidden": 0}, "greater than or equal to 1"),
        ({"discount": 1.5}, "less than or equal to 1"),
        ({"colour": 1}, "colour"),
    ],
)
def test_bad_parameters_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MultitaskRLParameters.model_validate(params(**changes))
    assert message in str(caught.value)


def test_a_spec_may_name_levels_or_say_how_many() -> None:
    check_parameters({"heads": "m_task"}, MULTITASK_RL)
    check_parameters({"heads": "shared", "levels": ["Unlock", "MemoryS7"]}, MULTITASK_RL)
    named = MultitaskRLParameters(heads="shared", levels=["MemoryS7", "Unlock"])
    assert [level.name for level in named.chosen()] == ["MemoryS7", "Unlock"]
    counted = MultitaskRLParameters(heads="shared", levels=3)
    assert counted.chosen() == MINIGRID[:3]


class Clock:
    """Two environments whose episodes last two and three steps; rewards count the steps."""

    actions, words, frames_per_step = 3, 1, 1

    def __init__(self) -> None:
        self.at = np.zeros(2, dtype=np.int64)

    def observe(self) -> Observation:
        return Observation(self.at[:, None].astype(np.uint8), np.zeros((2, 1), np.float32))

    def step(self, actions: NDArray[np.int64]) -> Transition:
        self.at += 1
        rewards = self.at.astype(np.float32)
        ended = self.at == [2, 3]
        self.at[ended] = 0
        return Transition(self.observe(), rewards, ended)

    def close(self) -> None:
        """Nothing is open."""


class Recorder(Agent):
    """Notes the states that it is given and answers counters as states."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.given: list[float] = []

    def initial_state(self, batch: int) -> State:
        return torch.zeros(batch, 1), torch.zeros(batch, 1)

    def forward(self, inputs: Inputs, state: State) -> Outputs:
        self.given.append(state[0][0].item())
        shape = inputs.first.shape
        after = (state[0] + 1, state[1])
        logits = torch.tensor([0.0, 1.0, 2.0]).expand(*shape, 3)
        return Outputs(logits, torch.zeros(shape), torch.zeros(*shape, 1), after)


def test_actors_keep_count_of_episodes_across_unrolls() -> None:
    returns, agent = Returns(2, window=2), Recorder()
    generator = torch.Generator().manual_seed(0)
    actors = Actors(Clock(), [0, 1], returns=returns, device="cpu", generator=generator)
    first, second = actors.collect(agent, 4), actors.collect(agent, 3)

    assert first.inputs.view[..., 0].tolist() == [[0, 0], [1, 1], [0, 2], [1, 0], [0, 1]]
    assert first.inputs.first.tolist() == [
        [True, True],
        [False, False],
        [True, False],
        [False, True],
        [True, False],
    ]
    assert first.ended.tolist() == first.inputs.first[1:].tolist()
    assert first.rewards.tolist() == [[1, 1], [2, 2], [1, 3], [2, 1]]
    assert torch.equal(first.inputs.action[1:], first.actions)
    assert torch.equal(first.inputs.reward[1:], first.rewards)
    expected = torch.tensor([0.0, 1.0, 2.0]).log_softmax(0)[first.actions]
    torch.testing.assert_close(first.log_probs, expected)

    for name, value in vars(second.inputs).items():  # where one ends the next begins
        if name != "level":
            assert torch.equal(value[0], getattr(first.inputs, name)[-1]), name
    assert agent.given == [0, 1, 2, 3, 4, 5, 6]
    assert (first.state[0][0].item(), second.state[0][0].item()) == (0, 4)
    assert returns.state() == [[3, 3], [6, 6]]
    assert (returns.mean(0), returns.mean(1)) == (3, 6)


def test_returns_are_those_of_the_last_episodes() -> None:
    returns = Returns(2, window=2)
    assert returns.mean(0) is None
    for value in (1.0, 2.0, 4.0):
        returns.add(0, value)
    assert returns.mean(0) == 3
    assert returns.mean(1) is None


@pytest.mark.parametrize("heads", HEADS)
def test_a_training_is_a_function_of_its_seed(heads: str) -> None:
    first, again = (run_to(8, heads=heads, tsne_points=3) for _ in range(2))
    assert timeless(first) == timeless(again)
    other = run_to(8, NullRun(seed=2), heads=heads, tsne_points=3)
    assert timeless(other) != timeless(first)


def test_reports_hold_scores_losses_and_counts() -> None:
    (step, early), (last_step, last) = run_to(43, report_every=40, levels=2).reports
    assert (step, last_step) == (40, 43)  # the last step is reported off the beat
    assert set(early) == {
        *("score", "return", "score_Empty_5x5", "score_LavaGapS5"),
        *("loss", "policy_loss", "value_loss", "entropy", "gradient_norm"),
        *("frames", "frames_per_second", "parameters"),
    }
    assert early["frames"] == 20 * 5 * 4  # 20 unrolls of 5 steps in 4 environments
    assert last["frames"] == 22 * 5 * 4
    assert early["parameters"] == last["parameters"] > 1000
    found = [early[f"score_{level.metric}"] for level in MINIGRID[:2]]
    assert early["score"] == pytest.approx(sum(found) / 2)


def test_a_training_that_diverges_says_so_at_once() -> None:
    run = NullRun(seed=1, max_t=100)
    with pytest.raises(TrialStop, match="diverged"):
        train(params(lr=1e30, report_every=100), run)
    assert run.reports[0][0] < 10


def test_a_level_without_an_ended_episode_counts_as_nothing() -> None:
    values = run_to(2, levels=["FourRooms", "Empty-5x5"]).reports[-1][1]
    assert (values["score"], values["return"]) == (0, 0)
    assert not [name for name in values if name.startswith("score_")]


def test_a_saved_training_goes_on() -> None:
    whole = run_to(8)
    run = NullRun(seed=1)
    run_to(6, run)
    saved = run.restore()
    assert saved is not None
    assert saved["step"] == 4
    on = NullRun(seed=1)
    on.save(saved)
    run_to(8, on)
    (_, values), (_, expected) = on.reports[-1], whole.reports[-1]
    assert [step for step, _ in on.reports] == [8]
    assert values["frames"] == expected["frames"]
    assert values["loss"] != expected["loss"]  # other layouts: environments are not saved


def test_what_was_saved_goes_on_at_the_rate_that_is_asked_for() -> None:
    run = NullRun(seed=1)
    run_to(6, run, heads="m_task")
    saved = run.restore()
    assert saved is not None
    weights = saved["learner"]["agent"]
    assert all(torch.isfinite(value).all() for value in weights.values())
    frozen = NullRun(seed=1)
    frozen.save(saved)
    run_to(8, frozen, heads="m_task", lr=1e-30)
    after = frozen.restore()
    assert after is not None
    for name, value in after["learner"]["agent"].items():
        torch.testing.assert_close(value, weights[name], msg=name)


@pytest.mark.parametrize("heads", HEADS)
def test_only_generated_heads_are_mapped_and_at_the_last_step_alone(heads: str) -> None:
    early, last = (values for _, values in run_to(8, heads=heads, tsne_points=4).reports)
    assert not [name for name in early if name.startswith("tsne_")]
    found = {name for name in last if name.startswith("tsne_")}
    expected = {
        f"tsne_{level.metric}_{k}_{axis}"
        for level in MINIGRID[:2]
        for k in range(4)
        for axis in ("x", "y", "t")
    }
    assert found == (expected if heads.startswith("m_") else set())
    if found:
        assert last["tsne_Empty_5x5_0_t"] == 0


def test_too_few_points_draw_no_map() -> None:
    last = run_to(4, heads="m_task", tsne_points=2).reports[-1][1]
    assert not [name for name in last if name.startswith("tsne_")]


def test_steps_are_counted_from_the_start_of_their_episode() -> None:
    first = np.array([[True, True], [False, False], [True, False], [False, True]])
    assert steps_into_episode(first).tolist() == [[0, 0], [1, 1], [0, 2], [1, 0]]


def test_weights_on_the_device_s_own_generator_leave_the_global_one_alone() -> None:
    before = torch.random.get_rng_state()
    run_to(4)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.slow
def test_a_short_training_beats_the_random_policy() -> None:
    run = run_to(
        400, levels=["Empty-5x5"], copies=16, unroll=20, hidden=64, lr=2e-3, report_every=20
    )
    first, last = run.reports[0][1]["score"], run.reports[-1][1]["score"]
    assert first < 60
    assert last > 85
