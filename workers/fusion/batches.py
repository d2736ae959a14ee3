"""Batches of training data: plain structures of tensors, and who shares which."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from sweep.errors import TrialFault

Batch = Any
"""A tensor, or a tuple, list or mapping of batches."""

T = TypeVar("T")

_CACHE_BYTES = 512 * 2**20


def leaves(batch: Batch) -> list[Tensor]:
    """The tensors of a batch, in a fixed order.

    Raises:
        TrialFault: when there is something else in it.
    """
    if isinstance(batch, Tensor):
        return [batch]
    if isinstance(batch, Mapping):
        return [leaf for key in batch for leaf in leaves(batch[key])]
    if isinstance(batch, tuple | list):
        return [leaf for part in batch for leaf in leaves(part)]
    raise TrialFault(
        f"a batch is a tensor, or a tuple, list or dict of tensors; got {type(batch).__name__}"
    )


def rebuild(like: Batch, tensors: Sequence[Tensor]) -> Batch:
    """A batch of the same structure with other tensors."""
    return _rebuild(like, iter(tensors))


def _rebuild(like: Batch, tensors: Iterator[Tensor]) -> Batch:
    if isinstance(like, Tensor):
        return next(tensors)
    if isinstance(like, Mapping):
        return {key: _rebuild(part, tensors) for key, part in like.items()}
    parts = [_rebuild(part, tensors) for part in like]
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        return type(like)(*parts)
    return tuple(parts) if isinstance(like, tuple) else parts


def place(batch: Batch, device: torch.device, dtype: torch.dtype) -> Batch:
    """The batch on a device, its floating-point tensors in a type."""
    return rebuild(
        batch,
        [
            t.to(device=device, dtype=dtype if t.is_floating_point() else None)
            for t in leaves(batch)
        ],
    )


class IteratedStream:
    """A stream over an iterable of batches; going back starts it again."""

    def __init__(self, make: Callable[[], Iterable[Batch]]) -> None:
        self._make = make
        self._iterator: Iterator[Batch] = iter(())
        self._next = 0

    def take(self, first: int, count: int) -> Batch:
        """The batches of `count` steps from step `first` on, stacked: (count, ...) each.

        Raises:
            TrialFault: when the iterable ends before.
        """
        if self._next == 0 or first < self._next:
            self._iterator, self._next = iter(self._make()), 1
        taken = list(islice(self._iterator, first - self._next, first - self._next + count))
        self._next = first + count
        if len(taken) < count:
            raise TrialFault(
                f"the batches end before step {first + count - 1}: "
                "an endless iterable is needed, for example one that starts again"
            )
        columns = zip(*(leaves(batch) for batch in taken), strict=True)
        return rebuild(taken[0], [torch.stack(column) for column in columns])


class ByteCache:
    """What was made last, up to a number of bytes of tensors."""

    def __init__(self, limit: int = _CACHE_BYTES) -> None:
        self._limit = limit
        self._held: OrderedDict[Hashable, tuple[Batch, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is held under the key, made now if it is not."""
        if key in self._held:
            self._held.move_to_end(key)
            return cast(T, self._held[key][0])
        batch = make()
        size = sum(t.numel() * t.element_size() for t in leaves(batch))
        self._held[key] = (batch, size)
        self._bytes += size
        while self._bytes > self._limit and len(self._held) > 1:
            _, (_, dropped) = self._held.popitem(last=False)
            self._bytes -= dropped
        return batch
