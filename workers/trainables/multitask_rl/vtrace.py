"""V-trace: returns of one policy from the experience of another.

L. Espeholt et al., "IMPALA: Scalable Distributed Deep-RL with Importance Weighted
Actor-Learner Architectures" (2018), section 4.1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class VTrace:
    """What an unroll of (steps, batch) says that values and policy should become."""

    targets: Tensor
    """v_s, (steps, batch): what each value is pulled to."""
    advantages: Tensor
    """rho_s (r_s + discount v_{s+1} - V(x_s)), (steps, batch)."""


@torch.no_grad()
def vtrace(
    *,
    log_rhos: Tensor,
    discounts: Tensor,
    rewards: Tensor,
    values: Tensor,
    bootstrap: Tensor,
    rho_bar: float = 1.0,
    c_bar: float = 1.0,
) -> VTrace:
    """The V-trace targets and the advantages of the policy gradient (equation 1).

    Carries no gradient. With equal policies the targets are n-step returns.

    Args:
        log_rhos: log pi(a|x) - log mu(a|x), (steps, batch).
        discounts: The discount after each step, 0 where the episode ended, (steps, batch).
        rewards: (steps, batch).
        values: V(x_s) of the learner, (steps, batch).
        bootstrap: V of what follows the last step, (batch,).
        rho_bar: Where the importance weights are cut off that choose the fixed point.
        c_bar: Where those are cut off that choose how far back a surprise is felt.
    """
    rhos = log_rhos.exp()
    clipped, traces = rhos.clamp(max=rho_bar), discounts * rhos.clamp(max=c_bar)
    following = torch.cat((values[1:], bootstrap[None]))  # V(x_{s+1})
    surprises = clipped * (rewards + discounts * following - values)
    correction, corrections = torch.zeros_like(bootstrap), []
    for surprise, trace in zip(surprises.flip(0), traces.flip(0), strict=True):
        correction = surprise + trace * correction  # v_s - V(x_s)
        corrections.append(correction)
    targets = values + torch.stack(corrections[::-1])
    following = torch.cat((targets[1:], bootstrap[None]))  # v_{s+1}
    return VTrace(targets, clipped * (rewards + discounts * following - values))
