"""The agent's networks: shapes, what each head sees, what an episode's start forgets."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from workers.trainables.multitask_rl import HEADS, Heads, MultitaskRLParameters
from workers.trainables.multitask_rl.acting import Unroll
from workers.trainables.multitask_rl.agent import (
    Agent,
    ContextHeads,
    Inputs,
    LevelHeads,
    PixelEncoder,
    TaskHeads,
    build_heads,
)
from workers.trainables.multitask_rl.learning import losses
from workers.trainables.multitask_rl.levels import encoder

STEPS, BATCH, LEVELS, HIDDEN, ACTIONS, WORDS = 5, 6, 3, 16, 7, 4


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def agent_with(heads: Heads) -> Agent:
    return Agent(
        encoder("minigrid", width=HIDDEN),
        build_heads(heads, hidden=HIDDEN, out=ACTIONS + 1, levels=LEVELS, context=4),
        features=HIDDEN,
        words=WORDS,
        actions=ACTIONS,
        hidden=HIDDEN,
    )


def some_inputs(steps: int = STEPS) -> Inputs:
    return Inputs(
        view=torch.randint(0, 198, (steps, BATCH, 7, 7), dtype=torch.uint8),
        words=torch.randint(0, 2, (steps, BATCH, WORDS)).float(),
        action=torch.randint(0, ACTIONS, (steps, BATCH)),
        reward=torch.rand(steps, BATCH),
        first=torch.zeros(steps, BATCH, dtype=torch.bool),
        level=torch.tensor([0, 0, 1, 1, 2, 2]),
    )


@pytest.mark.parametrize("heads", HEADS)
def test_every_kind_of_head_answers_a_policy_and_a_value_at_each_step(heads: Heads) -> None:
    agent = agent_with(heads)
    outputs = agent(some_inputs(), agent.initial_state(BATCH))
    assert outputs.logits.shape == (STEPS, BATCH, ACTIONS)
    assert outputs.value.shape == (STEPS, BATCH)
    assert outputs.core.shape == (STEPS, BATCH, HIDDEN)
    assert [part.shape for part in outputs.state] == [(BATCH, HIDDEN)] * 2


@pytest.mark.parametrize("heads", HEADS)
def test_steps_read_one_by_one_give_what_they_give_together(heads: Heads) -> None:
    agent, inputs = agent_with(heads), some_inputs()
    inputs.first[2, 1] = True
    together = agent(inputs, agent.initial_state(BATCH))
    state, logits = agent.initial_state(BATCH), []
    for step in range(STEPS):
        rows = {
            name: value if name == "level" else value[step : step + 1]
            for name, value in vars(inputs).items()
        }
        outputs = agent(Inputs(**rows), state)
        state = outputs.state
        logits.append(outputs.logits[0])
    torch.testing.assert_close(torch.stack(logits), together.logits)


def test_an_episode_s_start_forgets_state_last_action_and_last_reward() -> None:
    agent, inputs = agent_with("shared"), some_inputs(steps=1)
    inputs.first[:] = True
    fresh = agent(inputs, agent.initial_state(BATCH))
    other = replace(inputs, action=(inputs.action + 1) % ACTIONS, reward=inputs.reward + 1)
    stale = (torch.randn(BATCH, HIDDEN), torch.randn(BATCH, HIDDEN))
    torch.testing.assert_close(agent(other, stale).logits, fresh.logits)
    going_on = replace(other, first=~other.first)
    assert not torch.allclose(agent(going_on, stale).logits, fresh.logits)


@pytest.mark.parametrize("change", ["action", "reward", "words", "view"])
def test_the_agent_sees_everything_that_it_is_told(change: str) -> None:
    agent, inputs = agent_with("shared"), some_inputs(steps=1)
    before = agent(inputs, agent.initial_state(BATCH)).logits
    changed: dict[str, Any] = {
        "action": (inputs.action + 1) % ACTIONS,
        "reward": inputs.reward / 2,
        "words": 1 - inputs.words,
        "view": (inputs.view + 1) % 198,
    }
    after = agent(replace(inputs, **{change: changed[change]}), agent.initial_state(BATCH)).logits
    assert (before - after).abs().amax(dim=-1).min() > 1e-7


def test_multihead_reads_the_head_of_its_level() -> None:
    heads = LevelHeads(hidden=HIDDEN, out=2, levels=LEVELS)
    core, level = torch.randn(STEPS, BATCH, HIDDEN), torch.tensor([2, 0, 1, 1, 0, 2])
    found = heads(core, level)
    weight, bias = heads.out.weight.view(LEVELS, 2, HIDDEN), heads.out.bias.view(LEVELS, 2)
    for index, number in enumerate(level.tolist()):
        expected = core[:, index] @ weight[number].T + bias[number]
        torch.testing.assert_close(found[:, index], expected)


def test_multihead_trains_no_other_level_s_head() -> None:
    heads = LevelHeads(hidden=HIDDEN, out=2, levels=LEVELS)
    heads(torch.randn(STEPS, 2, HIDDEN), torch.tensor([1, 1])).sum().backward()
    assert heads.out.weight.grad is not None
    touched = heads.out.weight.grad.view(LEVELS, -1).abs().sum(dim=1) > 0
    assert touched.tolist() == [False, True, False]


def linear_of(interaction: Any, core: Tensor) -> Tensor:
    answer: Tensor = core @ interaction.input_weight + interaction.bias
    return answer


@pytest.mark.parametrize("kind", ["m_task", "m_context"])
def test_without_w_and_u_the_generated_head_is_one_shared_linear_layer(kind: Heads) -> None:
    heads = build_heads(kind, hidden=HIDDEN, out=8, levels=LEVELS, context=4)
    assert isinstance(heads, TaskHeads | ContextHeads)
    with torch.no_grad():
        heads.interaction.weight.zero_()
        heads.interaction.context_weight.zero_()
    core, level = torch.randn(STEPS, BATCH, HIDDEN), torch.tensor([0, 0, 1, 1, 2, 2])
    torch.testing.assert_close(heads(core, level), linear_of(heads.interaction, core))


def test_m_task_is_the_multiplicative_interaction_of_h_and_the_level_s_context() -> None:
    heads = TaskHeads(hidden=HIDDEN, out=8, levels=LEVELS, context=4)
    core, level = torch.randn(STEPS, BATCH, HIDDEN), torch.tensor([0, 0, 1, 1, 2, 2])
    expected = heads.interaction(core, heads.context(core, level))
    torch.testing.assert_close(heads(core, level), expected)


def test_m_task_is_told_the_level_and_m_context_is_not() -> None:
    core = torch.randn(1, 1, HIDDEN).expand(1, LEVELS, -1)
    told = build_heads("m_task", hidden=HIDDEN, out=8, levels=LEVELS, context=4)
    answers = told(core, torch.arange(LEVELS))[0]
    assert not torch.allclose(answers[0], answers[1])
    untold = build_heads("m_context", hidden=HIDDEN, out=8, levels=LEVELS, context=4)
    assert torch.equal(
        untold(core, torch.arange(LEVELS)), untold(core, torch.arange(LEVELS).flip(0))
    )


def test_the_pixel_encoder_has_the_published_layers() -> None:
    network = PixelEncoder(height=72, width=96, out=256)
    shapes = [
        tuple(layer.weight.shape)
        for layer in network.layers
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    # 72 x 96 -> 17 x 23 -> 7 x 10
    assert shapes == [(16, 3, 8, 8), (32, 16, 4, 4), (256, 32 * 7 * 10)]
    assert network(torch.zeros(2, 72, 96, 3, dtype=torch.uint8)).shape == (2, 256)


def an_unroll(agent: Agent) -> Unroll:
    inputs = some_inputs(STEPS + 1)
    return Unroll(
        inputs=inputs,
        state=agent.initial_state(BATCH),
        actions=torch.randint(0, ACTIONS, (STEPS, BATCH)),
        log_probs=torch.full((STEPS, BATCH), -2.0),
        rewards=torch.rand(STEPS, BATCH),
        ended=torch.zeros(STEPS, BATCH, dtype=torch.bool),
    )


def gradients(agent: Agent, part: str) -> Tensor:
    """How much each output, the actions' logits and last the value, is moved by a loss."""
    params = MultitaskRLParameters(heads="shared", levels=1)
    found = losses(agent, an_unroll(agent), params)
    agent.zero_grad()
    getattr(found, part).backward()
    assert isinstance(agent.heads.out, nn.Linear)
    assert agent.heads.out.bias.grad is not None
    return agent.heads.out.bias.grad.abs()


def test_each_loss_moves_only_its_own_output() -> None:
    agent = agent_with("shared")
    for part in ("policy_loss", "entropy"):
        moved = gradients(agent, part)
        assert moved[:-1].min() > 0
        assert moved[-1] == 0
    moved = gradients(agent, "value_loss")
    assert moved[:-1].max() == 0
    assert moved[-1] > 0


def test_the_loss_is_the_weighted_sum_of_its_parts() -> None:
    agent = agent_with("shared")
    params = MultitaskRLParameters(heads="shared", value_cost=0.25, entropy_cost=0.125)
    found = losses(agent, an_unroll(agent), params)
    expected = found.policy_loss + 0.25 * found.value_loss - 0.125 * found.entropy
    torch.testing.assert_close(found.loss, expected)
    assert 0 < found.entropy.item() <= torch.tensor(float(ACTIONS)).log().item() + 1e-6


def test_asymmetric_clipping_squeezes_losses_more_than_gains() -> None:
    agent = agent_with("shared")
    unroll = an_unroll(agent)
    for reward, expected in ((10.0, 4.8201), (-10.0, -1.4460), (0.01, 0.01)):
        values = []
        for clip in ("none", "asymmetric"):
            params = MultitaskRLParameters(
                heads="shared",
                reward_clip=clip,
                discount=0.0,  # type: ignore[arg-type]
            )
            rewards = torch.full((STEPS, BATCH), expected if clip == "none" else reward)
            values.append(losses(agent, replace(unroll, rewards=rewards), params).loss.item())
        assert values[0] == pytest.approx(values[1], rel=1e-3)
