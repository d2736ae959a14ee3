"""What a GPU does with a block, as far as a CPU can show it.

The graph here records operations instead of launching kernels: like CUDA's, it has no
effect while it captures, and replays on the memory that it captured.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.unit.fusion.trainings import Anyhow, line, picky
from workers.fusion.block import Block
from workers.fusion.capture import WARM_UP, CapturedStep
from workers.fusion.faults import MemberFailed
from workers.fusion.optimizers import StackedOptimizer
from workers.fusion.pack import Pack
from workers.fusion.packable import Packable

STEPS = 15


class RecordedGraph(TorchDispatchMode):
    """Stands in for `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self._calls.append((func, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, out in self._calls:
            again = func(*args, **kwargs)
            for held, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(held, torch.Tensor) and held.data_ptr() != new.data_ptr():
                    held.copy_(new)


def block_of(size: int) -> tuple[Pack, Block]:
    """A pack of members with rates and batches of their own, and its one block."""
    pack = Pack(line, dtype=torch.float64)
    pack.add([pack.member(i, {"lr": 0.01 * (i + 1), "clip_norm": 0.5}, i) for i in range(size)])
    (block,) = pack._blocks
    return pack, block


def train(pack: Pack, block: Block) -> list[torch.Tensor]:
    """Train a block for some steps; what it has learned."""
    assert pack._program is not None
    block.train(pack._program, pack._span(block.members, STEPS), STEPS)
    assert {member.step for member in block.members} == {STEPS}
    return list(block.parameters.values())


def on_a_gpu(monkeypatch: pytest.MonkeyPatch, block: Block) -> None:
    """Have a block believe that its arrays lie on a GPU, and be updated as they are there."""
    block._optimizer = StackedOptimizer(
        [member.settings for member in block.members],
        block.parameters,
        block.slots,
        [member.step for member in block.members],
        by_member=False,
    )
    monkeypatch.setattr(Block, "device", property(lambda self: torch.device("cuda")))


def test_a_captured_step_is_replayed_on_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = train(*block_of(3))
    pack, block = block_of(3)
    on_a_gpu(monkeypatch, block)
    assert block._optimizer is not None
    changed = [*block.parameters.values(), block._optimizer._steps]
    changed += [stack for stacks in block.slots.values() for stack in stacks.values()]
    graphs: list[RecordedGraph] = []

    @contextmanager
    def capturing(graph: RecordedGraph) -> Iterator[None]:
        graphs.append(graph)
        before = [tensor.clone() for tensor in changed]
        with graph:
            yield
        for tensor, value in zip(changed, before, strict=True):
            tensor.copy_(value)

    monkeypatch.setattr(torch.cuda, "CUDAGraph", RecordedGraph)
    monkeypatch.setattr(torch.cuda, "graph", capturing)
    torch.testing.assert_close(train(pack, block), expected, rtol=1e-9, atol=1e-12)
    assert [graph.replays for graph in graphs] == [STEPS - WARM_UP]


def test_a_step_that_cannot_be_captured_stays_eager_and_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*rest: Any) -> CapturedStep:
        raise RuntimeError("operation not permitted when stream is capturing")

    expected = train(*block_of(3))
    pack, block = block_of(3)
    on_a_gpu(monkeypatch, block)
    monkeypatch.setattr(CapturedStep, "of", refuse)
    torch.testing.assert_close(train(pack, block), expected, rtol=1e-9, atol=1e-12)
    assert len(caplog.records) == 1
    assert "cannot be captured as a CUDA graph: operation not permitted" in caplog.text


def study_members(size: int) -> list[dict[str, Any]]:
    return [
        {
            "task": "logical_xor",
            "dataset": "many_hot",
            "network": {"type": "multiply"},
            "eval_every": 10,
            "batch_size": 8,
            "how": {"lr": 0.001 * (i + 1)},
        }
        for i in range(size)
    ]


@pytest.mark.parametrize(
    ("packable", "members", "names"),
    [
        (line, [{"lr": 0.01 * (i + 1), "weight": 1.0 + i} for i in range(4)], {"loss"}),
        (Anyhow(), study_members(4), {"accuracy", "loss"}),
    ],
    ids=["line", "study"],
)
def test_metrics_of_several_members_in_one_call_are_those_of_each(
    packable: Packable, members: list[dict[str, Any]], names: set[str]
) -> None:
    pack = Pack(packable, dtype=torch.float64)
    pack.add([pack.member(i, params, i) for i, params in enumerate(members)])
    pack.advance()
    assert pack._evaluator is not None
    (block,) = pack._blocks
    rows = [3, 0, 1]
    columns = pack._evaluator.stacked(block, rows)
    assert columns.keys() == names
    for place, one in enumerate(pack._evaluator.evaluate(block, rows)):
        assert one.key == block.members[rows[place]].key
        for name in names:
            assert columns[name][place].item() == pytest.approx(one.metrics[name], rel=1e-12)
    assert len(set(columns["loss"].tolist())) == 3


def test_data_that_cannot_be_made_for_one_call_is_its_members_fault() -> None:
    pack = Pack(picky)
    pack.add([pack.member(i, {"trouble": ("none", "evaluation")[i]}, i) for i in range(2)])
    assert pack._evaluator is not None
    (block,) = pack._blocks
    assert pack._evaluator.stacked(block, [0])["loss"].shape == (1,)
    with pytest.raises(MemberFailed, match="member 1: no such evaluation"):
        pack._evaluator.stacked(block, [1])
