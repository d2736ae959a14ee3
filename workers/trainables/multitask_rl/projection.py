"""A map of the weights that M(h, c) generates at moments of play.

S. M. Jayakumar et al. (ICLR 2020), figure 4 (a): t-SNE of the generated weights by level,
which shows whether a context that was never told the level has found it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from workers.trainables.multitask_rl.acting import Actors, Unroll
from workers.trainables.multitask_rl.agent import Agent, ContextHeads, TaskHeads
from workers.trainables.multitask_rl.suites import Level

STEPS = 64
"""How long each level is played."""

_PERPLEXITY = 30.0


def weights_map(
    agent: Agent, actors: Actors, levels: Sequence[Level], *, points: int, seed: int
) -> dict[str, float]:
    """Where the weights generated at some moments lie on a plane.

    Plays `STEPS` steps with one environment a level and takes `points` of them, evenly
    spaced.

    Args:
        agent: What plays; its heads are M(h, c).
        actors: One environment a level, in the order of `levels`.
        levels: The levels, by their numbers.
        points: Moments a level.
        seed: Of t-SNE.

    Returns:
        For the k-th moment of a level `tsne_<level>_<k>_x` and `_y`, and `_t`: how many
        steps into its episode it was.
    """
    heads = agent.heads
    assert isinstance(heads, TaskHeads | ContextHeads)
    unroll = actors.collect(agent, STEPS - 1)
    moments = np.linspace(0, STEPS - 1, points).round().astype(int)
    generated = _generated(agent, heads, unroll)[moments]  # (points, levels, weights)
    places = _plane(generated.reshape(points * len(levels), -1), seed=seed)
    times = steps_into_episode(unroll.inputs.first.cpu().numpy())[moments]
    named: dict[str, float] = {}
    for (k, number), time in np.ndenumerate(times):
        name = f"tsne_{levels[number].metric}_{k}"
        x, y = places[k * len(levels) + number]
        named |= {f"{name}_x": float(x), f"{name}_y": float(y), f"{name}_t": float(time)}
    return named


def steps_into_episode(first: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many steps before each its episode began, from where episodes begin: (steps, batch)."""
    steps = np.arange(len(first))[:, None]
    return np.asarray(steps - np.maximum.accumulate(np.where(first, steps, 0), axis=0))


@torch.no_grad()
def _generated(
    agent: Agent, heads: TaskHeads | ContextHeads, unroll: Unroll
) -> NDArray[np.float32]:
    """c^T W + V at every step: (steps, levels, hidden * out)."""
    core = agent(unroll.inputs, unroll.state).core
    context = heads.context(core, unroll.inputs.level)
    weights, _ = heads.interaction.generated(context)
    flat: NDArray[np.float32] = weights.flatten(-2).expand(len(core), -1, -1).cpu().numpy()
    return flat


def _plane(points: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE  # takes a second to load, for the last step alone

    perplexity = min(_PERPLEXITY, (len(points) - 1) / 3)
    layout = TSNE(init="random", perplexity=perplexity, random_state=seed)
    return np.asarray(layout.fit_transform(points))
