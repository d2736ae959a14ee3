"""The inner loop alone: member-steps per second, packed against one training alone.

A two-layer network, 256 wide, of the arithmetic study on batches of 32; each step draws
its batch, computes gradients and makes one step of Adam; evaluations are left out. The
training alone is plain PyTorch with its default Adam. Rounds of all sizes alternate,
and the median of each is shown, so that a slow minute of the machine hits all alike.

Floors: the bytes that a member-step must move (weights read twice, gradients written,
and Adam's seven passes) at the measured bandwidth of a copy, and its floating-point
operations at the measured rate of a large product.

Needs PyTorch, NumPy, pydantic and PyYAML alone: `python -m benchmarks.packs_inner
--device cuda` runs on a GPU machine.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from workers.fusion.memory import keep_freed_memory
from workers.fusion.pack import Pack
from workers.fusion.precision import precision
from workers.trainables.arithmetic.training import train

RATES = (1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
TASKS = ("logical_xor", "elementwise_mul", "logical_and", "elementwise_add", "equality")
WEIGHTS = 256 * 256 + 256 + 256 * 128 + 128
BYTES = 4 * WEIGHTS * 10
FLOPS = 2 * 32 * (2 * 256 * 256 + 3 * 256 * 128)
"""Products of a step: forward and gradients of two layers, no gradient of the inputs."""


def params_of(i: int) -> dict[str, object]:
    """The i-th member's parameters: nine rates a task, all on the same batches."""
    return {
        "task": TASKS[i // len(RATES) % len(TASKS)],
        "dataset": "many_hot",
        "network": {"type": "dense", "depth": 2, "activation": "relu"},
        "lr": RATES[i % len(RATES)],
        "batch_seed": 0,
        "eval_every": 100,
    }


def alone(device: torch.device) -> Callable[[], None]:
    """One step of one training in plain PyTorch."""
    model = train.build(params_of(0), 0).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    stream = train.stream(params_of(0), 0, device)
    number = 0

    def step() -> None:
        nonlocal number
        number += 1
        a, b, wanted = (part[0] for part in stream.take(number, 1))
        optimizer.zero_grad()
        functional.mse_loss(model(a, b), wanted).backward()
        optimizer.step()

    return step


class Unevaluated(type(train)):  # type: ignore[misc]
    """The study's trainings without their evaluations."""

    def metrics(self, model: object, batch: object) -> dict[str, torch.Tensor]:
        """Nothing to compute."""
        return {}

    def evaluation(self, params: object) -> tuple[torch.Tensor, ...]:
        """Nothing to compute it on."""
        return (torch.zeros(1),)


def pack_of(size: int, device: torch.device, block: int | None) -> Pack:
    """A pack with its program traced and its blocks, of so many members each, warm."""
    pack = Pack(Unevaluated(), device=device, block=block)
    pack.add([pack.member(i, params_of(i), i) for i in range(size)])
    whole_round(pack)
    return pack


def whole_round(pack: Pack) -> int:
    """Train every member for 100 steps; the member-steps made."""
    made = 0
    while made < len(pack):
        made += len(pack.advance())
    return 100 * made


def seconds(device: torch.device, work: Callable[[], object]) -> float:
    """How long it takes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def floors(device: torch.device) -> tuple[float, float]:
    """Seconds a member-step at the bandwidth of a copy, and at the rate of a large product."""
    big = torch.rand(64 * 2**20, device=device)
    other = torch.empty_like(big)
    copy = min(seconds(device, lambda: other.copy_(big)) for _ in range(5))
    square = torch.rand(2048, 2048, device=device)
    with precision("float32", device):
        product = min(seconds(device, lambda: square @ square) for _ in range(5))
    return BYTES * copy / (2 * 4 * big.numel()), FLOPS * product / (2 * 2048**3)


def main(argv: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 9, 64, 256])
    parser.add_argument(
        "--blocks", type=int, nargs="+", help="members trained at once; as the device takes them"
    )
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(argv)
    device = torch.device(options.device)
    keep_freed_memory()
    step = alone(device)
    for _ in range(20):
        step()
    blocks: Sequence[int | None] = options.blocks or [None]
    packs = {
        (size, block): pack_of(size, device, block) for size in options.sizes for block in blocks
    }
    solo: list[float] = []
    packed: dict[tuple[int, int | None], list[float]] = {key: [] for key in packs}
    for _ in range(options.rounds):
        solo.append(seconds(device, lambda: [step() for _ in range(300)]) / 300)
        for (size, block), pack in packs.items():
            took = seconds(device, lambda p=pack: whole_round(p))  # type: ignore[misc]
            packed[size, block].append(took / (100 * size))
    memory, compute = floors(device)
    one = statistics.median(solo)
    print(f"{device}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    print(f"floors a member-step: memory {memory * 1e3:.4f} ms, compute {compute * 1e3:.4f} ms")
    print(f"alone, plain PyTorch: {one * 1e3:.3f} ms a step, {1 / one:,.0f} steps/s")
    for key, times in packed.items():
        each = statistics.median(times)
        print(
            f"K = {key[0]:5} in blocks of {packs[key].block_size:4}: "
            f"{each * 1e3:.4f} ms a member-step, {1 / each:11,.0f} a second; "
            f"{one / each:6.1f} x alone; {each / max(memory, compute):5.2f} x the larger floor"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
