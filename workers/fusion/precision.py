"""How matrix products are computed while a training runs.

oneDNN's kernels are asked for by a setting that allows it to compute float32 products
in bfloat16 where the CPU has units for that. Where the CPU has none, the same setting
gives float32 products by kernels that can be more than twice as fast as the default
library's (on AMD CPUs, which that library knows little of). `_onednn_is_exact` therefore
probes once whether the setting is both exact and faster here; `float32` uses it only then.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from workers.precisions import Precision

_EXACT = 1e-5
"""Above the relative error of float32 products of these sizes, far below bfloat16's 4e-3."""


def dtype_of(wanted: Precision) -> torch.dtype:
    """What parameters and data are kept in."""
    return torch.float64 if wanted == "float64" else torch.float32


@contextmanager
def precision(wanted: Precision, device: torch.device) -> Iterator[None]:
    """Compute the block's products on a device in a precision; `float32` is exact."""
    backends: Any = torch.backends
    cuda = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
    onednn = backends.mkldnn.matmul
    before = [(place, place.fp32_precision) for place in (*cuda, onednn)]
    for place in cuda:
        place.fp32_precision = "tf32" if wanted == "tf32" else "ieee"
    onednn.fp32_precision = "bf16" if wanted == "float32" and _onednn_is_exact() else "ieee"
    try:
        # What autocast keeps of a weight would go on in bfloat16 past the weight's next update.
        with torch.autocast(
            device.type, torch.bfloat16, enabled=wanted == "bf16", cache_enabled=False
        ):
            yield
    finally:
        for place, value in before:
            place.fp32_precision = value


@cache
def _onednn_is_exact() -> bool:
    """Whether oneDNN's reduced-precision setting gives exact and faster products here."""
    onednn: Any = torch.backends.mkldnn
    if not onednn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 32, 256, generator=generator)
    w = torch.randn(8, 256, 256, generator=generator)
    products: tuple[Callable[[], torch.Tensor], ...] = (
        lambda: torch.bmm(x, w),
        lambda: torch.bmm(x, w.mT),
        lambda: torch.bmm(x.mT, x),
        lambda: x.flatten(0, 1) @ w[0],
        lambda: x[0] @ w[0].T,
    )
    exact = (
        *(x.double() @ w.double(), x.double() @ w.double().mT, x.double().mT @ x.double()),
        *(x.flatten(0, 1).double() @ w[0].double(), x[0].double() @ w[0].double().T),
    )
    before = onednn.matmul.fp32_precision
    try:
        onednn.matmul.fp32_precision = "ieee"
        slow = _seconds(products)
        onednn.matmul.fp32_precision = "bf16"
        fast = _seconds(products)
        errors = [
            ((product() - true).abs().max() / true.abs().max()).item()
            for product, true in zip(products, exact, strict=True)
        ]
    finally:
        onednn.matmul.fp32_precision = before
    return fast < slow and max(errors) < _EXACT


def _seconds(products: tuple[Callable[[], torch.Tensor], ...]) -> float:
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for product in products:
            product()
        best = min(best, time.perf_counter() - began)
    return best
