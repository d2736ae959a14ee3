"""A block: the members of a pack whose arrays are stacked together.

A pack is cut into blocks because what fits at once is limited: by the processor's
caches, where a block is trained for many steps before the next one's turn, or by a
GPU's memory.
"""

import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from workers.fusion.batches import Batch, leaves
from workers.fusion.capture import WARM_UP, CapturedStep
from workers.fusion.faults import PackError
from workers.fusion.optimizers import StackedOptimizer
from workers.fusion.packable import OptimizerSettings, next_due
from workers.fusion.program import Program, Stacks
from workers.fusion.state import SLOTS, MemberState
from workers.precisions import Precision

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """One training of a pack."""

    key: int
    """What the pack's owner knows it by."""
    params: Mapping[str, Any]
    seed: int
    settings: OptimizerSettings
    precision: Precision
    report_every: int
    save_every: int
    stream_key: Hashable
    evaluation_key: Hashable
    max_t: int | None = None
    step: int = 0
    """The steps that it has made."""
    owes: bool = False
    """Whether its evaluation after the last step is not made yet."""

    @property
    def saves(self) -> bool:
        """Whether its state is to be saved after the last step."""
        return self.step % self.save_every == 0

    @property
    def due(self) -> int:
        """The step of its next evaluation."""
        return next_due(self.step, every=self.report_every, max_t=self.max_t)


@dataclass(frozen=True)
class Span:
    """The batches of some steps for all members of a block."""

    tensors: tuple[Tensor, ...]
    """(steps, ...) each when all share one stream; otherwise (streams, steps, ...)."""
    stream_of: Tensor | None
    """For each member the number of its stream: (K,); None when all share one."""

    def at(self, i: int) -> list[Tensor]:
        """The leaves of the batch of step i: for all, or (K, ...) with one a member."""
        if self.stream_of is None:
            return [tensor[i] for tensor in self.tensors]
        return [tensor[:, i].index_select(0, self.stream_of) for tensor in self.tensors]

    @classmethod
    def of(cls, streams: Sequence[Batch], stream_of: Sequence[int], device: torch.device) -> "Span":
        """From the batches of each stream and each member's stream."""
        if len(streams) == 1:
            return cls(tuple(leaves(streams[0])), None)
        columns = zip(*(leaves(stream) for stream in streams), strict=True)
        return cls(
            tuple(torch.stack(column) for column in columns),
            torch.tensor(stream_of, device=device),
        )


class Block:
    """Members with their arrays, each stacked on a leading axis.

    Args:
        members: in the order of the arrays.
        parameters: what is trained: (K, ...) each.
        constants: buffers and frozen parameters: (K, ...) each.
        slots: what the optimizer keeps, by slot and parameter: (K, ...) each.
    """

    def __init__(
        self,
        members: Sequence[Member],
        parameters: Stacks,
        constants: Stacks,
        slots: Mapping[str, Stacks],
    ) -> None:
        self.members = list(members)
        self.parameters = parameters
        self.constants = constants
        self.slots = slots
        self._optimizer: StackedOptimizer | None = None
        self._captured: CapturedStep | None = None
        self._eager = False

    @classmethod
    def start(
        cls,
        members: Sequence[Member],
        networks: Sequence[nn.Module],
        states: Sequence[MemberState | None],
        device: torch.device,
    ) -> "Block":
        """A block of networks, fresh or with the states that they go on from.

        Raises:
            PackError: when the networks differ in a tensor's name or shape.
        """
        for network, state in zip(networks, states, strict=True):
            if state is not None:
                network.load_state_dict(state.model)
        _check_alike(members, networks)
        trained = {name for name, p in networks[0].named_parameters() if p.requires_grad}
        tensors = [_tensors(network) for network in networks]
        stacks = {
            name: torch.stack([t[name].detach() for t in tensors]).to(device) for name in tensors[0]
        }
        parameters = {name: stack for name, stack in stacks.items() if name in trained}
        slots = {
            slot: {name: torch.zeros_like(stack) for name, stack in parameters.items()}
            for slot in SLOTS[members[0].settings.kind]
        }
        for i, state in enumerate(states):
            if state is not None:
                for slot, stack in slots.items():
                    for name, tensor in stack.items():
                        tensor[i] = state.optimizer[slot][name].to(device)
        constants = {name: stack for name, stack in stacks.items() if name not in trained}
        return cls(members, parameters, constants, slots)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def keys(self) -> frozenset[int]:
        """The members' keys."""
        return frozenset(member.key for member in self.members)

    @property
    def step(self) -> int:
        """The steps of the member that is furthest behind."""
        return min(member.step for member in self.members)

    @property
    def due(self) -> int:
        """How many steps there are to the next evaluation of a member."""
        return min(member.due - member.step for member in self.members)

    @property
    def device(self) -> torch.device:
        """Where the arrays lie."""
        return next(iter(self.parameters.values())).device

    def train(self, program: Program, span: Span, count: int) -> None:
        """Train every member for `count` steps.

        When memory runs out, the members' steps say how far it came: a step changes
        the arrays only after everything that needs memory.
        """
        optimizer = self._optimizer or self._new_optimizer()
        done = 0
        try:
            for i in range(count):
                if self._captured is None and not self._eager:
                    self._capture(program, optimizer, span)
                self._step(program, optimizer, span, i)
                done += 1
        finally:
            self.members = [replace(member, step=member.step + done) for member in self.members]

    def tensors_of(self, i: int) -> Stacks:
        """Member i's network, as views."""
        return {name: stack[i] for name, stack in (self.parameters | self.constants).items()}

    def state_of(self, i: int, names: Mapping[str, str]) -> MemberState:
        """Member i's state, copied, on the CPU.

        Args:
            i: the member's place.
            names: for each name in a `state_dict`, the tensor's name here.
        """
        tensors = self.tensors_of(i)
        return MemberState(
            self.members[i].step,
            {name: tensors[own].detach().cpu().clone() for name, own in names.items()},
            {
                slot: {name: stack[i].detach().cpu().clone() for name, stack in stacks.items()}
                for slot, stacks in self.slots.items()
            },
        )

    def owe(self, rows: Iterable[int], owes: bool) -> None:
        """Note whether members' evaluations are still to be made."""
        for i in rows:
            self.members[i] = replace(self.members[i], owes=owes)

    def choose(self, rows: Sequence[int]) -> "Block":
        """The block of these members alone, in new arrays."""
        index = torch.tensor(rows, device=self.device)
        return self._with(
            [self.members[i] for i in rows], lambda stacks: stacks.index_select(0, index)
        )

    def to(self, device: torch.device) -> "Block":
        """The block on a device."""
        if device == self.device:
            return self
        return self._with(self.members, lambda stack: stack.to(device))

    def halves(self) -> Iterator["Block"]:
        """Two blocks that lie on the CPU, freeing this one's arrays."""
        middle = len(self) // 2
        host = self._with(self.members, lambda stack: stack.cpu())
        self.parameters, self.constants, self.slots = {}, {}, {}
        self._optimizer = self._captured = None
        yield host.choose(range(middle))
        yield host.choose(range(middle, len(host)))

    @staticmethod
    def joined(blocks: Sequence["Block"]) -> "Block":
        """One block of the members of several."""

        def cat(stacks: Sequence[Stacks]) -> Stacks:
            return {name: torch.cat([stack[name] for stack in stacks]) for name in stacks[0]}

        return Block(
            [member for block in blocks for member in block.members],
            cat([block.parameters for block in blocks]),
            cat([block.constants for block in blocks]),
            {slot: cat([block.slots[slot] for block in blocks]) for slot in blocks[0].slots},
        )

    def _with(self, members: Sequence[Member], change: Any) -> "Block":
        def over(stacks: Stacks) -> Stacks:
            return {name: change(stack) for name, stack in stacks.items()}

        return Block(
            members,
            over(self.parameters),
            over(self.constants),
            {slot: over(stacks) for slot, stacks in self.slots.items()},
        )

    def _step(self, program: Program, optimizer: StackedOptimizer, span: Span, i: int) -> None:
        batch = span.at(i)
        if self._captured is not None and self._captured.takes(batch):
            self._captured.run(batch)
            return
        gradients = program.gradients(
            self.parameters, self.constants, batch, shared=span.stream_of is None
        )
        optimizer.step(gradients)

    def _capture(self, program: Program, optimizer: StackedOptimizer, span: Span) -> None:
        """Capture the step where that can be done; else it stays eager."""
        if self.device.type != "cuda":
            self._eager = True
        elif optimizer.steps_made >= WARM_UP:
            try:
                self._captured = CapturedStep.of(self, program, optimizer, span)
            except Exception as error:  # noqa: BLE001 - speed is lost, nothing else
                logger.warning("the training step cannot be captured as a CUDA graph: %s", error)
                self._eager = True

    def _new_optimizer(self) -> StackedOptimizer:
        self._optimizer = StackedOptimizer(
            [member.settings for member in self.members],
            self.parameters,
            self.slots,
            [member.step for member in self.members],
        )
        return self._optimizer


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _check_alike(members: Sequence[Member], networks: Sequence[nn.Module]) -> None:
    first = {name: tuple(tensor.shape) for name, tensor in _tensors(networks[0]).items()}
    for member, network in zip(members, networks, strict=True):
        shapes = {name: tuple(tensor.shape) for name, tensor in _tensors(network).items()}
        if shapes != first:
            different = sorted(
                name for name in first.keys() | shapes.keys() if first.get(name) != shapes.get(name)
            )
            raise PackError(
                f"two members of one pack have different networks: {different[0]!r} is "
                f"{first.get(different[0])} and {shapes.get(different[0])}. Parameters that change "
                "a shape must not be among the trainable's member_parameters (or its fuse key "
                f"must tell them apart). The second one's parameters: {dict(member.params)}"
            )
