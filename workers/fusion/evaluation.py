"""The metrics of a block's members."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap

from workers.fusion.batches import Batch, ByteCache, place
from workers.fusion.block import Block, Member
from workers.fusion.faults import MemberFailed, blaming, explained, is_out_of_memory
from workers.fusion.packable import Packable
from workers.fusion.program import Program


@dataclass(frozen=True)
class Evaluation:
    """What a member's metrics were after a step, or why there are none."""

    key: int
    step: int
    metrics: Mapping[str, float]
    saves: bool = False
    """Whether its state is to be saved after this step."""
    error: Exception | None = None


class Evaluator:
    """Evaluates members on their data, which it keeps while there is room."""

    def __init__(
        self, packable: Packable, program: Program, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._packable = packable
        self._program = program
        self._device = device
        self._dtype = dtype
        self._data = ByteCache()

    def forget(self) -> None:
        """Let go of the data that is kept."""
        self._data = ByteCache()

    @torch.no_grad()
    def evaluate(self, block: Block, rows: Sequence[int]) -> list[Evaluation]:
        """The evaluations of some of a block's members.

        Raises:
            PackError: when the metrics cannot be computed for several members at once.
        """
        if self._device.type == "cuda":
            return self._by_data(block, rows)
        return [self._one(block, i) for i in rows]

    def _one(self, block: Block, i: int) -> Evaluation:
        """A member by itself: a CPU gains nothing from more at once, and its caches lose."""
        member = block.members[i]
        try:
            with blaming(member.key):
                metrics = self._program.metrics_of(block.tensors_of(i), self._data_of(member))
                values = {name: float(value) for name, value in metrics.items()}
        except MemberFailed as failure:
            return Evaluation(member.key, member.step, {}, error=failure.error)
        return Evaluation(member.key, member.step, values, member.saves)

    def _by_data(self, block: Block, rows: Sequence[int]) -> list[Evaluation]:
        """Members that share their data in one call, each call in a stream of its own."""
        groups: dict[Hashable, list[int]] = {}
        for i in rows:
            groups.setdefault(block.members[i].evaluation_key, []).append(i)
        ahead = torch.cuda.current_stream(self._device)
        waiting: list[tuple[list[int], dict[str, Tensor]]] = []
        for group in groups.values():
            stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            stream.wait_stream(ahead)
            with torch.cuda.stream(stream):
                waiting.append((group, self.stacked(block, group)))
        torch.cuda.synchronize(self._device)
        found = []
        for group, values in waiting:
            columns = {name: column.tolist() for name, column in values.items()}
            for row, i in enumerate(group):
                member = block.members[i]
                metrics = {name: column[row] for name, column in columns.items()}
                found.append(Evaluation(member.key, member.step, metrics, member.saves))
        return found

    def stacked(self, block: Block, rows: Sequence[int]) -> dict[str, Tensor]:
        """The metrics of members that share their data: (rows,) each.

        Raises:
            MemberFailed: when the data cannot be made.
            PackError: when they cannot be computed for several members at once.
        """
        first = block.members[rows[0]]
        with blaming(first.key):
            data = self._data_of(first)
        index = torch.tensor(rows, device=self._device)
        stacks = {
            name: stack.index_select(0, index)
            for name, stack in (block.parameters | block.constants).items()
        }
        try:
            return vmap(lambda tensors: dict(self._program.metrics_of(tensors, data)))(stacks)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise explained(error) from error

    def _data_of(self, member: Member) -> Batch:
        return self._data.get(
            member.evaluation_key,
            lambda: place(self._packable.evaluation(member.params), self._device, self._dtype),
        )
