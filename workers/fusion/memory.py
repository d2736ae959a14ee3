"""How many members a device takes at once."""

import ctypes
import gc
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

from workers.fusion.program import Stacks

_CPU_CACHE_BYTES = 10 * 2**20
"""The arrays of a block on the CPU, for each of its threads: about a core's share of the
last cache, which packs in other processes fill too."""
_SHARE = 0.8
"""How much of a device's free memory a pack may fill."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""See mallopt(3)."""
_MIN_CPU_BLOCK, _MAX_BLOCK = 4, 4_096


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what is freed, rather than give it back and fault it in again.

    A block's gradients are megabytes that come and go at every step.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def state_bytes(parameters: Stacks, slots: int) -> int:
    """The bytes that one member's parameters, gradients and optimizer state take."""
    one = sum(stack[0].numel() * stack.element_size() for stack in parameters.values())
    return one * (2 + slots)


def block_size(device: torch.device, member_bytes: int, probe: Callable[[int], None]) -> int:
    """How many members to train at once.

    Args:
        device: where.
        member_bytes: what a member keeps between steps.
        probe: computes the gradients of that many members and lets them go.
    """
    if device.type != "cuda":
        room = _CPU_CACHE_BYTES * torch.get_num_threads()
        return max(_MIN_CPU_BLOCK, min(_MAX_BLOCK, room // member_bytes))
    gc.collect()
    torch.cuda.empty_cache()
    few = _peak(device, probe, 1)
    more = _peak(device, probe, 3)
    each = max(member_bytes, (more - few) // 2 + member_bytes)
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(_MAX_BLOCK, int(_SHARE * free) // each))


def host_capacity(member_bytes: int) -> int:
    """How many members' states fit into the memory that the host has free."""
    return max(1, int(_SHARE * _host_free()) // member_bytes)


def _host_free() -> int:
    """The bytes that this process could still get: the host's, or its control group's."""
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable:"))
        free = int(available.split()[1]) * 1024
    with suppress(OSError, ValueError):
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        free = min(free, max(0, limit - used))
    return free


def _peak(device: torch.device, probe: Callable[[int], None], members: int) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    probe(members)
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before
