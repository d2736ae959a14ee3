"""Building a suite's environments, and the encoder that reads what they show."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.trainables.multitask_rl import dmlab, minigrid
from workers.trainables.multitask_rl.agent import CellEncoder, PixelEncoder
from workers.trainables.multitask_rl.observations import Environments
from workers.trainables.multitask_rl.suites import Level, SuiteName


def environments(
    suite: SuiteName, levels: Sequence[Level], *, copies: int, seed: int
) -> tuple[Environments, list[int]]:
    """`copies` environments of each level, and the number of each environment's level.

    Raises:
        ModuleNotFoundError: when the suite's package is not installed.
    """
    numbers = [number for number in range(len(levels)) for _ in range(copies)]
    names = [levels[number].name for number in numbers]
    if suite == "dmlab30":
        return dmlab.DMLab(names, seed=seed), numbers
    return minigrid.MiniGrid(names, seed=seed), numbers


def encoder(suite: SuiteName, *, width: int) -> nn.Module:
    """What turns a suite's views into `width` features."""
    if suite == "dmlab30":
        return PixelEncoder(height=dmlab.HEIGHT, width=dmlab.WIDTH, out=width)
    return CellEncoder(_cell_table(), side=minigrid.VIEW, width=width)


def _cell_table() -> Tensor:
    """Each cell code as one-hot object, color and state: (codes, channels)."""
    parts = torch.from_numpy(minigrid.decode(np.arange(minigrid.CODES, dtype=np.uint8))).long()
    sizes = (minigrid.OBJECTS, minigrid.COLORS, minigrid.STATES)
    hot = [functional.one_hot(part, size) for part, size in zip(parts.T, sizes, strict=True)]
    return torch.cat(hot, dim=-1).float()
