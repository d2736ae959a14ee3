"""A pack: trainings of one computation, trained together in blocks.

It knows members, steps and metrics, and nothing of sweeps: whoever owns it decides
which members stop, which wait and which join.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from workers.fusion.batches import Batch, ByteCache, place
from workers.fusion.block import Block, Member, Span
from workers.fusion.evaluation import Evaluation, Evaluator
from workers.fusion.faults import PackError, blaming, is_out_of_memory
from workers.fusion.memory import block_size, host_capacity, keep_freed_memory, state_bytes
from workers.fusion.packable import Packable, Stream
from workers.fusion.precision import dtype_of, precision
from workers.fusion.program import Program
from workers.fusion.state import MemberState
from workers.precisions import Precision


class Pack:
    """Members that train together.

    Args:
        packable: what is trained.
        device: where.
        dtype: of parameters and data; what the members' precision says when not given.
        block: how many members' arrays are trained at once; what the device takes when
            not given.
    """

    def __init__(
        self,
        packable: Packable,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        block: int | None = None,
    ) -> None:
        keep_freed_memory()
        self._packable = packable
        self._device = torch.device(device)
        if self._device.type == "cuda" and self._device.index is not None:
            torch.cuda.set_device(self._device)
        self._given_dtype = dtype
        self._precision: Precision = "float32"
        """The members'; known once there is one."""
        self._block = block
        self._blocks: list[Block] = []
        self._program: Program | None = None
        self._streams: dict[tuple[Hashable, int], Stream] = {}
        """Under the key of each stream and the step that it is at."""
        self._spans = ByteCache()
        self._evaluator: Evaluator | None = None
        self._swaps = False
        self._capacity: int | None = None

    def __len__(self) -> int:
        return sum(len(block) for block in self._blocks)

    @property
    def keys(self) -> frozenset[int]:
        """The members' keys."""
        return frozenset(member.key for block in self._blocks for member in block.members)

    @property
    def block_size(self) -> int:
        """How many members' arrays are trained at once; 1 until a first one was added."""
        return self._block or 1

    @property
    def capacity(self) -> int | None:
        """How many members the machine takes; None until a first one was looked at."""
        return self._capacity

    def room_for(self, member: Member) -> int:
        """How many more members like this one the machine takes; at least one when empty.

        Raises:
            MemberFailed, PackError: when the member cannot be built, or not packed.
        """
        if self._program is None:
            self._prepare(member)
        assert self._capacity is not None
        return max(self._capacity - len(self), 0 if len(self) else 1)

    def member(
        self, key: int, params: Mapping[str, Any], seed: int, *, max_t: int | None = None
    ) -> Member:
        """Describe a member to be added.

        Raises:
            MemberFailed: when its parameters are no good.
        """
        packable = self._packable
        with blaming(key):
            return Member(
                key,
                params,
                seed,
                packable.optimizer(params),
                packable.precision(params),
                packable.report_every(params),
                packable.save_every(params),
                packable.stream_key(params, seed),
                packable.evaluation_key(params),
                max_t,
            )

    def add(
        self, members: Sequence[Member], states: Sequence[MemberState | None] | None = None
    ) -> None:
        """Take in members, fresh or with the states that they go on from.

        Raises:
            PackError: when they cannot be packed together.
        """
        if not members:
            return
        given: Sequence[MemberState | None] = states or [None] * len(members)
        placed = [
            (replace(member, step=0 if state is None else state.step), state)
            for member, state in zip(members, given, strict=True)
        ]
        placed.sort(key=lambda pair: (pair[0].step, pair[0].settings.order))
        waiting, saved = [member for member, _ in placed], [state for _, state in placed]
        if self._program is None:
            self._prepare(waiting[0])
        size = self._size
        for start in range(0, len(waiting), size):
            part = slice(start, start + size)
            self._blocks.append(self._started(waiting[part], saved[part]))

    def drop(self, keys: Iterable[int]) -> None:
        """Let members go; the arrays shrink."""
        gone = set(keys)
        if not gone:
            return
        kept: list[Block] = []
        for block in self._blocks:
            rows = [i for i, member in enumerate(block.members) if member.key not in gone]
            if len(rows) == len(block):
                kept.append(block)
            elif rows:
                kept.append(block.choose(rows))
        self._blocks = kept
        used = {member.stream_key for block in kept for member in block.members}
        self._streams = {k: stream for k, stream in self._streams.items() if k[0] in used}

    def advance(self, held: frozenset[int] = frozenset()) -> list[Evaluation]:
        """Train the block that is furthest behind to its next evaluation, and evaluate.

        Args:
            held: the members that may not go on; their blocks wait.

        Returns:
            The evaluations that fell due; empty when all blocks wait.

        Raises:
            PackError: when the computation cannot be packed, or one member alone does
                not fit into memory.
        """
        self._join_small(held)
        free = [i for i, block in enumerate(self._blocks) if held.isdisjoint(block.keys)]
        if not free:
            return []
        place_in = min(free, key=lambda i: self._blocks[i].step)
        try:
            with precision(self._precision, self._device):
                return self._train(place_in)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error)
        self._halve(place_in, reason)  # the error, and what it holds, are gone by now
        return self.advance(held)

    def state(self, key: int) -> MemberState:
        """A member's state, to go on from alone or in any pack."""
        for block in self._blocks:
            for i, member in enumerate(block.members):
                if member.key == key:
                    return block.state_of(i, self._running_program.state_names)
        raise KeyError(key)

    @property
    def _dtype(self) -> torch.dtype:
        return self._given_dtype or dtype_of(self._precision)

    @property
    def _size(self) -> int:
        assert self._block is not None
        return self._block

    def _prepare(self, member: Member) -> None:
        """Trace nothing yet, but learn what a member needs."""
        self._precision = member.precision
        network = self._build(member).to(self._device)
        first = replace(member, step=0)
        program = Program(self._packable, network, self._draw(first, 1))
        like = self._span([first], 1)
        block = Block.start([first], [network], [None], self._device)
        each = state_bytes(block.parameters, len(block.slots))

        def probe(members: int) -> None:
            several = block.choose([0] * members)
            program.gradients(several.parameters, several.constants, like.at(0), shared=True)

        with precision(self._precision, self._device):
            if self._block is None:
                self._block = block_size(self._device, each, probe)
        self._capacity = self._block if self._device.type == "cuda" else host_capacity(each)
        self._program = program
        self._evaluator = Evaluator(self._packable, program, self._device, self._dtype)

    @property
    def _running_program(self) -> Program:
        assert self._program is not None
        return self._program

    def _started(self, members: list[Member], states: list[MemberState | None]) -> Block:
        networks = [self._build(member) for member in members]
        _check_one("optimizer", {member.settings.kind for member in members})
        _check_one("precision", {self._precision, *(member.precision for member in members)})
        device = torch.device("cpu") if self._swaps else self._device
        return Block.start(members, networks, states, device)

    def _build(self, member: Member) -> nn.Module:
        with blaming(member.key):
            return self._packable.build(member.params, member.seed).to(self._dtype)

    def _join_small(self, held: frozenset[int]) -> None:
        """Put blocks that have shrunk together again, where that leaves fewer."""
        small = sorted(
            (b for b in self._blocks if len(b) < self._size and held.isdisjoint(b.keys)), key=len
        )
        if len(small) < 2:
            return
        group = [small[0]]
        every = small[0].members[0].report_every
        for block in small[1:]:
            in_phase = (block.step - small[0].step) % every == 0
            if in_phase and sum(map(len, group)) + len(block) <= self._size:
                group.append(block)
        if len(group) > 1:
            joined = Block.joined([block.to(group[0].device) for block in group])
            self._blocks = [block for block in self._blocks if block not in group] + [joined]

    def _train(self, place_in: int) -> list[Evaluation]:
        """Train a block up to an evaluation, unless it owes one from before, and make it."""
        assert self._evaluator is not None
        block = self._blocks[place_in].to(self._device)
        try:
            if not any(member.owes for member in block.members):
                self._train_until_due(block)
            owing = [i for i, member in enumerate(block.members) if member.owes]
            evaluations = self._evaluator.evaluate(block, owing)
            block.owe(owing, False)
            return evaluations
        finally:
            self._blocks[place_in] = block.to(self._blocks[place_in].device)

    def _train_until_due(self, block: Block) -> None:
        left = block.due
        due = [i for i, m in enumerate(block.members) if m.due - m.step == left]
        while left > 0:
            count = min(left, self._packable.span)
            block.train(self._running_program, self._span(block.members, count), count)
            left -= count
        block.owe(due, True)

    def _span(self, members: Sequence[Member], count: int) -> Span:
        numbers: dict[Hashable, int] = {}
        spans: list[Batch] = []
        stream_of: list[int] = []
        for member in members:
            key = (member.stream_key, member.step + 1, count)
            if key not in numbers:
                numbers[key] = len(spans)
                spans.append(self._spans.get(key, lambda m=member: self._draw(m, count)))  # type: ignore[misc]
            stream_of.append(numbers[key])
        return Span.of(spans, stream_of, self._device)

    def _draw(self, member: Member, count: int) -> Batch:
        key, first = member.stream_key, member.step + 1
        stream = self._streams.pop((key, first), None)
        if stream is None:
            stream = self._packable.stream(member.params, member.seed, self._device)
        with blaming(member.key):
            drawn = place(stream.take(first, count), self._device, self._dtype)
        self._streams[key, first + count] = stream
        return drawn

    def _halve(self, place_in: int, reason: str) -> None:
        """Go on with half as many members at once, from where the block came to."""
        block = self._blocks[place_in]
        if len(block) == 1:
            raise PackError(
                f"one member alone does not fit into the memory of {self._device}: {reason[:500]}"
            )
        self._swaps = self._swaps or self._device.type == "cuda"
        self._block = min(self._size, len(block) // 2)
        self._spans = ByteCache()
        if self._evaluator is not None:
            self._evaluator.forget()
        self._blocks[place_in : place_in + 1] = block.halves()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _check_one(what: str, found: Set[str]) -> None:
    if len(found) > 1:
        raise PackError(
            f"the members of one pack must share one {what}; got {', '.join(sorted(found))}"
        )
