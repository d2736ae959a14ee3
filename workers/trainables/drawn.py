"""Trainings whose batches are drawn at random as they go, by (seed, step)."""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache

import numpy as np
import torch

from sweep.trainables import Trainable
from workers.fusion.batches import Batch, leaves, rebuild
from workers.fusion.packable import EVALUATION_SEED, Packable, Params

BLOCK = 100
"""Steps that are drawn together."""

Draw = Callable[[np.random.Generator, int], Batch]
"""Draws some batches at once: (count, ...) each."""


class BlockStream:
    """Batches drawn in blocks of steps, each block a function of (seed, block)."""

    def __init__(self, seed: int, draw: Draw) -> None:
        self._block = lru_cache(maxsize=2)(lambda i: draw(np.random.default_rng((seed, i)), BLOCK))

    def take(self, first: int, count: int) -> Batch:
        """The batches of `count` steps from step `first` (the first is 1): (count, ...) each."""
        start, end = first - 1, first - 1 + count
        parts = []
        while start < end:
            block, offset = divmod(start, BLOCK)
            size = min(BLOCK - offset, end - start)
            drawn = self._block(block)
            parts.append((drawn, [leaf[offset : offset + size] for leaf in leaves(drawn)]))
            start += size
        columns = zip(*(tensors for _, tensors in parts), strict=True)
        return rebuild(parts[0][0], [torch.cat(column) for column in columns])


class DrawnTraining(Packable):
    """A training on random batches; its parameters may name a `batch_seed`.

    Trials that share `batch_seed` see the same batches; without one each draws with its
    own seed.
    """

    span = BLOCK
    descriptor: Trainable

    @abstractmethod
    def draw(self, params: Params, seed: int, rng: np.random.Generator, count: int) -> Batch:
        """Draw `count` batches: (count, ...) each.

        Args:
            params: the trial's.
            seed: what the problem itself is drawn with, where that is random too.
            rng: what the batches are drawn with.
            count: how many.
        """

    def stream(self, params: Params, seed: int, device: torch.device) -> BlockStream:
        """See `Packable`."""
        seed = _batch_seed(params, seed)
        return BlockStream(seed, lambda rng, count: self.draw(params, seed, rng, count))

    def batches(self, params: Params, seed: int) -> Iterator[Batch]:
        """One batch a step, as `stream` draws them."""
        stream, step = self.stream(params, seed, torch.device("cpu")), 0
        while True:
            step += 1
            drawn = stream.take(step, 1)
            yield rebuild(drawn, [leaf[0] for leaf in leaves(drawn)])

    def evaluation(self, params: Params) -> Batch:
        """A batch that no training draws."""
        drawn = self.draw(params, EVALUATION_SEED, np.random.default_rng(EVALUATION_SEED), 1)
        return rebuild(drawn, [leaf[0] for leaf in leaves(drawn)])

    def stream_key(self, params: Params, seed: int) -> Hashable:
        """See `Packable`."""
        return super().stream_key(params, _batch_seed(params, seed))

    def fuse_key(self, params: Params) -> Hashable:
        """As the descriptor says."""
        assert self.descriptor.fuse_key is not None
        return self.descriptor.fuse_key(params)


def _batch_seed(params: Params, seed: int) -> int:
    given = params.get("batch_seed")
    return seed if given is None else int(given)
