"""The study's records, drawn by counting: record r of a data set is a function of r.

A 64-bit mixer (SplitMix64's finaliser; Steele, Lea and Flood, 2014) turns counters
into bits with integer operations alone, so the CPU and a GPU give the same records,
a million of them take no memory, and every batch is known from (seed, step). Seeds
and steps may be tensors, and all of it runs under `torch.func.vmap`.
"""

from functools import cache

import torch
from torch import Tensor

from workers.trainables.arithmetic import WIDTH, Dataset

TRAINING_RECORDS = 1_000_000
TEST_RECORDS = 4_000

PAIRS = WIDTH * WIDTH
"""How many pairs of one-hot vectors there are in all."""

_GOLDEN = -0x61C8864680B583EB
_FIRST = -0x40A7B892E31B1A47
_SECOND = -0x6B2FB644ECCEEE15
_STREAM_BATCH = 0x5851F42D4C957F2D
_STREAM_PAIRS = 0x14057B7EF767814F
_WORDS_OF_BITS = 2 * WIDTH // 64
_RESOLUTION = 2.0**24


def mix(z: Tensor) -> Tensor:
    """Scramble 64-bit integers (int64, wrapping): a bijection without visible pattern."""
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * _FIRST
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * _SECOND
    return z ^ ((z >> 31) & 0x1FFFFFFFF)


def batch_records(seed: Tensor, step: Tensor, size: int) -> Tensor:
    """The numbers of the training records that a step draws, with replacement: (size,).

    For steps of shape (count, 1), those of each: (count, size).
    """
    position = torch.arange(size, device=seed.device)
    key = mix(seed * _GOLDEN + _STREAM_BATCH) + step * _GOLDEN
    return ((mix(mix(key) + position * _GOLDEN) >> 8) & 0xFFFFFFFFFFFF) % TRAINING_RECORDS


def test_records(device: torch.device | str) -> Tensor:
    """The numbers of the test records: those that follow the training records."""
    return torch.arange(TRAINING_RECORDS, TRAINING_RECORDS + TEST_RECORDS, device=device)


def draw(dataset: Dataset, data_seed: int, records: Tensor) -> tuple[Tensor, Tensor]:
    """The input vectors of those records: two of (records, WIDTH), float32."""
    if dataset == "one_hot":
        return _one_hot(records)
    keys = mix(records * _GOLDEN + mix(torch.full_like(records, data_seed) * _GOLDEN))
    if dataset == "many_hot":
        both = _bits(keys)
    elif dataset == "random_pos":
        both = _uniform(keys)
    else:  # random, and random_pos as it was published: the same generator
        both = 2 * _uniform(keys) - 1
    return both[..., :WIDTH], both[..., WIDTH:]


def _words(keys: Tensor, count: int) -> Tensor:
    """(records,) -> (records, count) of independent 64-bit words."""
    counter = torch.arange(1, count + 1, device=keys.device) * _GOLDEN
    return mix(keys[..., None] + counter)


def _bits(keys: Tensor) -> Tensor:
    """(records,) -> (records, 2 WIDTH) of 0 and 1, equally likely."""
    shifts = torch.arange(64, device=keys.device)
    bits = (_words(keys, _WORDS_OF_BITS)[..., None] >> shifts) & 1
    return bits.flatten(-2).float()


def _uniform(keys: Tensor) -> Tensor:
    """(records,) -> (records, 2 WIDTH), uniform in [0, 1) with 24 bits each."""
    words = _words(keys, WIDTH)
    low, high = words & 0xFFFFFF, (words >> 24) & 0xFFFFFF
    return torch.cat((low, high), dim=-1).float() / _RESOLUTION


def _one_hot(records: Tensor) -> tuple[Tensor, Tensor]:
    """One-hot pairs: 4,000 of them are test records, the others repeat as training records."""
    training = TEST_RECORDS + records % (PAIRS - TEST_RECORDS)
    place = torch.where(records < TRAINING_RECORDS, training, records - TRAINING_RECORDS)
    pair = _shuffled_pairs(str(records.device))[place]
    positions = torch.arange(WIDTH, device=records.device)
    a = (pair // WIDTH)[..., None] == positions
    b = (pair % WIDTH)[..., None] == positions
    return a.float(), b.float()


@cache
def _shuffled_pairs(device: str) -> Tensor:
    """All pairs in a fixed order without pattern: (PAIRS,)."""
    keys = mix(torch.arange(PAIRS) * _GOLDEN + _STREAM_PAIRS)
    return torch.argsort(keys).to(device)
