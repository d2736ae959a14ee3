"""V-trace against numbers worked out by hand, and against n-step returns."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from workers.trainables.multitask_rl.vtrace import VTrace, vtrace


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def worked_example(**cut_offs: float) -> VTrace:
    return vtrace(
        log_rhos=column(math.log(2), math.log(0.5), math.log(0.8)),
        discounts=column(0.9, 0.0, 0.9),  # the second step ends an episode
        rewards=column(1, 2, 3),
        values=column(0.5, 1, -1),
        bootstrap=torch.tensor([4.0], dtype=torch.float64),
        **cut_offs,
    )


def test_a_worked_example_with_weights_above_and_below_one_and_an_episode_that_ends() -> None:
    # rho, cut off at 1:        1                        0.5                 0.8
    # delta = rho (r + d V' - V):
    #   1 (1 + 0.9*1 - 0.5) = 1.4;  0.5 (2 + 0 - 1) = 0.5;  0.8 (3 + 0.9*4 + 1) = 6.08
    # v_2 = -1 + 6.08                           = 5.08
    # v_1 =  1 + 0.5 + 0 (the episode ended)    = 1.5
    # v_0 = 0.5 + 1.4 + 0.9 * 1 * (v_1 - V_1)   = 1.9 + 0.9 * 0.5 = 2.35
    # advantage = rho (r + d v' - V):
    #   1 (1 + 0.9*1.5 - 0.5) = 1.85;  0.5 (2 - 1) = 0.5;  0.8 (3 + 0.9*4 + 1) = 6.08
    found = worked_example()
    torch.testing.assert_close(found.targets, column(2.35, 1.5, 5.08))
    torch.testing.assert_close(found.advantages, column(1.85, 0.5, 6.08))


def test_the_two_cut_offs_act_on_their_own_weights() -> None:
    # rho_bar 2: the first delta doubles, 2.8; c_bar 1 still carries v_1 back whole.
    # v_0 = 0.5 + 2.8 + 0.9 * 1 * 0.5 = 3.75
    torch.testing.assert_close(worked_example(rho_bar=2.0).targets, column(3.75, 1.5, 5.08))
    # c_bar 2: the first delta stays 1.4, v_1's surprise is carried back twofold.
    # v_0 = 0.5 + 1.4 + 0.9 * 2 * 0.5 = 2.8
    torch.testing.assert_close(worked_example(c_bar=2.0).targets, column(2.8, 1.5, 5.08))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.booleans()), min_size=1, max_size=12),
    st.floats(-2, 2),
    st.floats(0, 1),
)
def test_with_one_policy_the_targets_are_n_step_returns(
    steps: list[tuple[float, float, bool]], bootstrap: float, discount: float
) -> None:
    expected, following = [], bootstrap
    for reward, _, ended in reversed(steps):
        following = reward + (0 if ended else discount * following)
        expected.append(following)
    found = vtrace(
        log_rhos=column(*[0.0] * len(steps)),
        discounts=column(*(0 if ended else discount for *_, ended in steps)),
        rewards=column(*(reward for reward, *_ in steps)),
        values=column(*(value for _, value, _ in steps)),
        bootstrap=torch.tensor([bootstrap], dtype=torch.float64),
    )
    torch.testing.assert_close(found.targets, column(*reversed(expected)))


def test_columns_do_not_touch_each_other_and_no_gradient_passes() -> None:
    rewards = torch.zeros(4, 2)
    rewards[3, 1] = 1
    values = torch.zeros(4, 2, requires_grad=True)
    found = vtrace(
        log_rhos=torch.zeros(4, 2, requires_grad=True),
        discounts=torch.ones(4, 2),
        rewards=rewards,
        values=values,
        bootstrap=torch.zeros(2, requires_grad=True),
    )
    assert found.targets.tolist() == [[0, 1]] * 4
    assert not found.targets.requires_grad
    assert not found.advantages.requires_grad


@pytest.mark.parametrize("log_rho", [-50.0, 50.0])
def test_extreme_weights_stay_finite(log_rho: float) -> None:
    found = vtrace(
        log_rhos=torch.full((3, 1), log_rho),
        discounts=torch.ones(3, 1),
        rewards=torch.ones(3, 1),
        values=torch.zeros(3, 1),
        bootstrap=torch.zeros(1),
    )
    expected = [3.0, 2.0, 1.0] if log_rho > 0 else [0.0, 0.0, 0.0]
    torch.testing.assert_close(found.targets[:, 0], torch.tensor(expected))
