"""A block's training step as one CUDA graph: launched whole, captured once a size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from workers.fusion.optimizers import StackedOptimizer
from workers.fusion.program import Program

if TYPE_CHECKING:
    from workers.fusion.block import Block, Span

WARM_UP = 3
"""Eager steps before a capture: libraries allocate their workspaces in the first ones."""


class CapturedStep:
    """Gradients and update of one block on fixed memory."""

    def __init__(self, graph: "torch.cuda.CUDAGraph", inputs: list[Tensor]) -> None:
        self._graph = graph
        self._inputs = inputs

    @classmethod
    def of(
        cls, block: "Block", program: Program, optimizer: StackedOptimizer, span: "Span"
    ) -> "CapturedStep":
        """Capture a block's step; nothing is trained by that."""
        inputs = [tensor.clone() for tensor in span.at(0)]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            gradients = program.gradients(
                block.parameters, block.constants, inputs, shared=span.stream_of is None
            )
            optimizer.step(gradients)
        return cls(graph, inputs)

    def takes(self, batch: Sequence[Tensor]) -> bool:
        """Whether a batch has the captured shapes."""
        return [t.shape for t in batch] == [t.shape for t in self._inputs]

    def run(self, batch: Sequence[Tensor]) -> None:
        """One step on a batch."""
        for held, tensor in zip(self._inputs, batch, strict=True):
            held.copy_(tensor)
        self._graph.replay()
