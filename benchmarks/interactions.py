"""Multiplicative interactions: time and peak memory against the direct einsum.

One forward and backward pass, gradients of both inputs and of all weights included. The
direct form is equation 1 written out, its bilinear term as one
`einsum("bm,mnk,bn->bk", z, W, x)`. Two tables: the full layer over shapes in which
different orders of contraction are the cheapest, and the whole family over one shape.
Rounds of all forms alternate, and the fastest of each is shown: whatever else the machine
does only slows a pass down.

Peak memory is what the pass adds at most to what was allocated before it, gradients
included. On the CPU it is the running sum of every allocation and release that
PyTorch's profiler records (`profile_memory`), temporaries inside operations included; on a
GPU it is what the caching allocator counts.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.packs_inner import seconds
from workers.nn.gates import BoundedMask, DiagonalInteraction, FiLM, ScalarInteraction
from workers.nn.hypernetwork import Hypernetwork
from workers.nn.interactions import LowRankInteraction, MultiplicativeInteraction
from workers.nn.metric import BilinearSimilarity, MahalanobisDistance

SHAPES = (
    # batch, m, n, k
    (256, 32, 256, 256),
    (256, 256, 32, 256),
    (256, 256, 256, 32),
    (32, 16, 2048, 256),
    (1024, 8, 64, 64),
    (1024, 64, 64, 4),
)
FAMILY = (256, 32, 256, 256)
RANK = 32
MIB = 2**20

ROUND_SECONDS, MOST = 0.05, 50
"""A form's turn in a round is about that long, and at most that many passes."""


class Direct(MultiplicativeInteraction):
    """Equation 1 with its bilinear term as one einsum."""

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(batch, n), (batch, m) -> (batch, k)."""
        both = torch.einsum("bm,mnk,bn->bk", z, self.weight, x)
        return both + z @ self.context_weight + x @ self.input_weight + self.bias


@dataclass(frozen=True)
class Case:
    """A layer and what it is given."""

    layer: nn.Module
    x: Tensor
    z: Tensor

    @classmethod
    def of(cls, layer: nn.Module, batch: int, n: int, m: int, device: torch.device) -> "Case":
        """The layer with random inputs on a device."""
        x = torch.randn(batch, n, device=device, requires_grad=True)
        z = torch.randn(batch, m, device=device, requires_grad=True)
        return cls(layer.to(device), x, z)

    @property
    def weights(self) -> int:
        """How many the layer has."""
        return sum(p.numel() for p in self.layer.parameters())

    def run(self) -> None:
        """One pass; the gradients before it are let go first."""
        self.forget()
        self.layer(self.x, self.z).square().sum().backward()

    def forget(self) -> None:
        """Let the gradients go."""
        for tensor in (self.x, self.z, *self.layer.parameters()):
            tensor.grad = None


@dataclass(frozen=True)
class Figures:
    """What a pass costs."""

    seconds: float
    peak: int


def peak_bytes(case: Case) -> int:
    """What a pass adds at most to what was allocated before it."""
    case.forget()
    device = case.x.device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        case.run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with (
        _without_stderr(),
        profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler,
    ):
        case.run()
    return max(accumulate(_allocations(profiler), initial=0))


@contextmanager
def _without_stderr() -> Iterator[None]:
    """The profiler's library writes a line there whenever it starts and stops."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _allocations(profiler: profile) -> list[int]:
    """Bytes allocated (above zero) and released (below), in their order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    memory = [event for event in events if event.get("name") == "[memory]"]
    if not memory:
        raise RuntimeError("the profiler's trace holds no allocations")
    return [event["args"]["Bytes"] for event in sorted(memory, key=lambda event: event["ts"])]


def measured(cases: Mapping[str, Case], rounds: int) -> dict[str, Figures]:
    """Each case's fastest time over alternating rounds, and its peak."""
    fastest: dict[str, float] = {}
    for _ in range(rounds):
        for name, case in cases.items():
            time = seconds(case.x.device, case.run)
            for _ in range(min(MOST, int(ROUND_SECONDS / time))):
                time = min(time, seconds(case.x.device, case.run))
            fastest[name] = min(time, fastest.get(name, time))
    return {name: Figures(fastest[name], peak_bytes(case)) for name, case in cases.items()}


def family(batch: int, m: int, n: int, k: int, device: torch.device) -> dict[str, Case]:
    """Every form over inputs of one shape; the metrics compare two vectors of width n."""

    def two(layer: nn.Module) -> Case:
        return Case.of(layer, batch, n, m, device)

    def embedding() -> nn.Module:
        return nn.Sequential(nn.Linear(m, m), nn.Tanh())

    low_rank = LowRankInteraction(n, m, n, rank=RANK)
    return {
        "direct einsum": two(Direct(n, m, k)),
        "full": two(MultiplicativeInteraction(n, m, k)),
        f"low rank {RANK}": two(LowRankInteraction(n, m, k, rank=RANK)),
        "hypernetwork": two(
            Hypernetwork(n, k, generator=embedding(), embedding_features=m),
        ),
        "diagonal": two(DiagonalInteraction(n, m)),
        "sigmoid gate": two(DiagonalInteraction(n, m, gate="sigmoid")),
        "FiLM": two(FiLM(n, m)),
        "scale and bias": two(ScalarInteraction(m)),
        f"softmax mask, rank {RANK}": two(BoundedMask(low_rank, bound="softmax")),
        f"Mahalanobis, rank {RANK}": Case.of(
            MahalanobisDistance(n, rank=RANK), batch, n, n, device
        ),
        f"similarity, rank {RANK}": Case.of(BilinearSimilarity(n, rank=RANK), batch, n, n, device),
    }


def show(label: str, case: Case, figures: Figures, base: Figures) -> None:
    """A row of a table."""
    print(
        f"{label:24} {case.weights:>10,} {figures.seconds * 1e3:>9.3f} "
        f"{base.seconds / figures.seconds:>8.2f} {figures.peak / MIB:>9.2f} "
        f"{base.peak / figures.peak:>8.2f}"
    )


def heading(first: str) -> None:
    """A table's first line."""
    print(f"\n{first:24} {'weights':>10} {'ms':>9} {'x faster':>8} {'peak MiB':>9} {'x less':>8}")


def main(argv: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(argv)
    device = torch.device(options.device)
    torch.manual_seed(0)
    path = "by opt_einsum" if torch.backends.opt_einsum.is_available() else "from left to right"
    print(f"{device}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}, float32")
    print(f"the direct einsum contracts {path}; ratios are against it in the same shape")
    heading("full: batch, m, n, k")
    makers: tuple[Callable[[int, int, int], nn.Module], ...] = (Direct, MultiplicativeInteraction)
    for batch, m, n, k in SHAPES:
        cases = {make.__name__: Case.of(make(n, m, k), batch, n, m, device) for make in makers}
        found = measured(cases, options.rounds)
        base = found["Direct"]
        for name, figures in found.items():
            label = f"{batch}, {m}, {n}, {k}" if name != "Direct" else "  direct einsum"
            show(label, cases[name], figures, base)
    heading(f"family: {', '.join(map(str, FAMILY))}")
    everything = family(*FAMILY, device)
    found = measured(everything, options.rounds)
    for name, figures in found.items():
        show(name, everything[name], figures, found["direct einsum"])


if __name__ == "__main__":
    main(sys.argv[1:])
