"""Images of digits as positive numbers: e to the pixels, which are scaled to [0, 1]."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.errors import TrialFault
from workers.nn.product import check_positive
from workers.trainables.multiplicative import MultiplicativeParameters
from workers.trainables.multiplicative.idx import find, read

CLASSES = 10
HELD_OUT = 360
"""How many of scikit-learn's 1,797 digits no training sees."""

_SPLIT_SEED = 0
_SEEDS_APART = 1_000_003


@dataclass(frozen=True)
class Examples:
    """Images and what they show."""

    images: Tensor
    """(records, pixels) in [1, e], float64."""
    digits: Tensor
    """(records,) of 0 to 9, int64."""

    def __len__(self) -> int:
        return len(self.digits)


@dataclass(frozen=True)
class DigitData:
    """A data set in two parts."""

    training: Examples
    held_out: Examples

    @property
    def pixels(self) -> int:
        """Of one image."""
        return self.training.images.shape[1]


def load(params: MultiplicativeParameters) -> DigitData:
    """The data set that the parameters name.

    Raises:
        TrialFault: when it is not there or malformed; the error says where to get it.
    """
    return _digits() if params.mnist is None else _mnist(params.mnist)


class ShuffledBatches:
    """Batches that go through all records in a new order each time round.

    A function of (seed, step); the last batch of a round goes on into the next one.

    Args:
        examples: what is drawn from.
        size: of a batch.
        seed: of the orders.
    """

    def __init__(self, examples: Examples, *, size: int, seed: int) -> None:
        self._examples = examples
        self._size = size
        self._seed = seed

    def take(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Images and digits of `count` steps from step `first` (the first is 1).

        Returns:
            (count, size, pixels) and (count, size).
        """
        records = self._records((first - 1) * self._size, count * self._size)
        chosen = records.view(count, self._size)
        return self._examples.images[chosen], self._examples.digits[chosen]

    def _records(self, start: int, length: int) -> Tensor:
        """The records at `length` places from `start` on, over all rounds."""
        each = len(self._examples)
        rounds = range(start // each, (start + length - 1) // each + 1)
        orders = torch.cat([self._order(number) for number in rounds])
        return orders[start % each :][:length]

    def _order(self, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(self._seed * _SEEDS_APART + number)
        return torch.randperm(len(self._examples), generator=generator)


@lru_cache(maxsize=1)
def _digits() -> DigitData:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise TrialFault(
            "dataset 'digits' comes with scikit-learn, which is not installed here: "
            "pip install 'sweep-service[studies]'"
        ) from error
    found: Any = load_digits()
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(found.target))
    images, digits = found.data[order] / 16, found.target[order]
    return DigitData(
        training=_examples(images[HELD_OUT:], digits[HELD_OUT:], "the digits"),
        held_out=_examples(images[:HELD_OUT], digits[:HELD_OUT], "the digits"),
    )


@lru_cache(maxsize=1)
def _mnist(folder: str) -> DigitData:
    return DigitData(_mnist_part(folder, "train"), _mnist_part(folder, "t10k"))


def _mnist_part(folder: str, part: str) -> Examples:
    path = find(Path(folder), f"{part}-images-idx3-ubyte")
    images = read(path, dimensions=3)
    digits = read(find(Path(folder), f"{part}-labels-idx1-ubyte"), dimensions=1)
    if images.shape[1:] != (28, 28) or len(images) != len(digits) or digits.max() >= CLASSES:
        raise TrialFault(
            f"the files of {part!r} in {folder!r} are not MNIST: images of {images.shape}, "
            f"{len(digits)} labels up to {digits.max()}; 28 x 28 pixels and one label from 0 to 9 "
            "for each image are wanted"
        )
    return _examples(images.reshape(len(images), -1) / 255, digits, str(path))


def _examples(pixels: NDArray[Any], digits: NDArray[Any], name: str) -> Examples:
    images = torch.from_numpy(pixels.astype(np.float64)).exp()
    return Examples(check_positive(images, name), torch.from_numpy(digits.astype(np.int64)))
