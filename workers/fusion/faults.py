"""What can go wrong in a pack, and whose fault it is."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sweep.errors import TrialFault

_NO_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED", "NO_MEMORY")
"""What allocators and libraries say that raise a plain RuntimeError."""


class PackError(TrialFault):
    """The training cannot be packed; says why and what to do."""


class MemberFailed(Exception):
    """One member's own code raised; the others can go on without it."""

    def __init__(self, key: int, error: Exception) -> None:
        super().__init__(f"member {key}: {error}")
        self.key = key
        self.error = error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on whatever device and however it was said."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(mark in str(error) for mark in _NO_MEMORY)


@contextmanager
def blaming(key: int) -> Iterator[None]:
    """Tell whose code raised; running out of memory is nobody's fault.

    Raises:
        MemberFailed: for any other error inside.
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise MemberFailed(key, error) from error


_REASONS = (
    (
        "data-dependent",
        "its control flow depends on data (an `if` or `while` on a tensor, .item(), or an index "
        "by a condition): use torch.where",
    ),
    (".item()", "it reads a tensor's value with .item(): keep it a tensor"),
    ("randomness", "it draws random numbers while training: draw them in `batches`"),
    ("in-place", "it writes in place into a tensor that the members share: write a new tensor"),
    ("running_mean", "it updates running statistics"),
)


def explained(error: Exception) -> PackError:
    """Why `torch.func` refused a computation, in words that say what to do."""
    text = str(error)
    reasons = [reason for mark, reason in _REASONS if mark in text.lower()]
    reason = reasons[0] if reasons else "torch.func cannot batch it over parameters"
    return PackError(
        f"this training cannot be packed: {reason}; or set pack: off. "
        f"PyTorch says: {type(error).__name__}: {text[:1_000]}"
    )
