"""The agent: an encoder, an LSTM, and heads for the policy and the value.

S. M. Jayakumar et al. (ICLR 2020), section 6.1 and appendix E: what the encoder says of
the view, the last action (one-hot), the last reward and the instruction are put side by
side, an LSTM turns them into h, and all of the policy's logits and the value are read
from h by one of four kinds of heads.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.nn.interactions import MultiplicativeInteraction
from workers.trainables.multitask_rl import Heads

State = tuple[Tensor, Tensor]
"""The LSTM's output h and its cell, (batch, hidden) each."""


@dataclass(frozen=True)
class Inputs:
    """What an agent is told at some steps of a batch of episodes."""

    view: Tensor
    """(steps, batch, ...), uint8."""
    words: Tensor
    """(steps, batch, words)."""
    action: Tensor
    """The last one, (steps, batch), int64; at an episode's first step none was taken."""
    reward: Tensor
    """The last one, (steps, batch); the network sees it cut off at -1 and 1."""
    first: Tensor
    """Whether an episode begins here, (steps, batch), bool."""
    level: Tensor
    """The level's number, (batch,), int64."""


@dataclass(frozen=True)
class Outputs:
    """What an agent answers."""

    logits: Tensor
    """(steps, batch, actions)."""
    value: Tensor
    """(steps, batch)."""
    core: Tensor
    """h, (steps, batch, hidden)."""
    state: State
    """After the last step."""


class CellEncoder(nn.Module):
    """Coded cells, (batch, side, side), to (batch, width): two convolutions, one dense layer.

    Args:
        table: What each code stands for as 0 and 1, (codes, channels).
        side: Cells on a side.
        width: Of the output.
    """

    def __init__(self, table: Tensor, *, side: int, width: int) -> None:
        super().__init__()
        self.table: Tensor
        self.register_buffer("table", table, persistent=False)
        self.layers = nn.Sequential(
            nn.Conv2d(table.shape[1], 16, 3),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (side - 4) ** 2, width),
            nn.ReLU(),
        )

    def forward(self, view: Tensor) -> Tensor:
        """(batch, side, side), uint8 -> (batch, width)."""
        features: Tensor = self.layers(self.table[view.long()].movedim(-1, 1))
        return features


class PixelEncoder(nn.Module):
    """Pixels to (batch, width), as in appendix E."""

    def __init__(self, *, height: int, width: int, out: int) -> None:
        super().__init__()
        rows, columns = ((((side - 8) // 4 + 1) - 4) // 2 + 1 for side in (height, width))
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 8, stride=4),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * rows * columns, out),
            nn.ReLU(),
        )

    def forward(self, view: Tensor) -> Tensor:
        """(batch, height, width, 3), uint8 -> (batch, out)."""
        features: Tensor = self.layers(view.movedim(-1, 1) / 255)
        return features


class SharedHeads(nn.Module):
    """One linear layer for all levels."""

    def __init__(self, *, hidden: int, out: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, out)

    def forward(self, core: Tensor, level: Tensor) -> Tensor:
        """(..., batch, hidden), (batch,) -> (..., batch, out)."""
        answer: Tensor = self.out(core)
        return answer


class LevelHeads(nn.Module):
    """One linear layer a level, chosen by the level's number."""

    def __init__(self, *, hidden: int, out: int, levels: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, levels * out)
        self._shape = (levels, out)

    def forward(self, core: Tensor, level: Tensor) -> Tensor:
        """(..., batch, hidden), (batch,) -> (..., batch, out)."""
        every = self.out(core).unflatten(-1, self._shape)  # (..., batch, levels, out)
        chosen: Tensor = every[..., torch.arange(len(level), device=level.device), level, :]
        return chosen


class TaskHeads(nn.Module):
    """M(h, c) with c = relu(MLP(one-hot level))."""

    def __init__(self, *, hidden: int, out: int, levels: int, context: int) -> None:
        super().__init__()
        self._levels = levels
        self.embed = _context_mlp(levels, context)
        self.interaction = MultiplicativeInteraction(hidden, context, out)

    def context(self, core: Tensor, level: Tensor) -> Tensor:
        """c, (batch, context)."""
        answer: Tensor = self.embed(functional.one_hot(level, self._levels).to(core.dtype))
        return answer

    def forward(self, core: Tensor, level: Tensor) -> Tensor:
        """(..., batch, hidden), (batch,) -> (..., batch, out)."""
        # The same level at every step: its layer is generated once and used for all of them.
        weights, bias = self.interaction.generated(self.context(core, level))
        answer = torch.einsum("...bn,bnk->...bk", core, weights) + bias
        return answer


class ContextHeads(nn.Module):
    """M(h, c) with c = relu(MLP(h)): no level's number."""

    def __init__(self, *, hidden: int, out: int, context: int) -> None:
        super().__init__()
        self.embed = _context_mlp(hidden, context)
        self.interaction = MultiplicativeInteraction(hidden, context, out)

    def context(self, core: Tensor, level: Tensor) -> Tensor:
        """c, (..., batch, context)."""
        answer: Tensor = self.embed(core)
        return answer

    def forward(self, core: Tensor, level: Tensor) -> Tensor:
        """(..., batch, hidden), (batch,) -> (..., batch, out)."""
        answer: Tensor = self.interaction(core, self.context(core, level))
        return answer


AnyHeads = SharedHeads | LevelHeads | TaskHeads | ContextHeads


def build_heads(kind: Heads, *, hidden: int, out: int, levels: int, context: int) -> AnyHeads:
    """The heads of that name."""
    if kind == "shared":
        return SharedHeads(hidden=hidden, out=out)
    if kind == "multihead":
        return LevelHeads(hidden=hidden, out=out, levels=levels)
    if kind == "m_task":
        return TaskHeads(hidden=hidden, out=out, levels=levels, context=context)
    return ContextHeads(hidden=hidden, out=out, context=context)


class Agent(nn.Module):
    """Encoder, LSTM and heads.

    Args:
        encoder: From views to (batch, features).
        features: How wide the encoder's answer is.
        heads: From h to the logits and, last, the value.
        words: How many words an instruction may be made of.
        actions: How many actions there are.
        hidden: Units of the LSTM.
    """

    def __init__(
        self,
        encoder: nn.Module,
        heads: AnyHeads,
        *,
        features: int,
        words: int,
        actions: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.encoder, self.heads = encoder, heads
        self.lstm = nn.LSTMCell(features + actions + 1 + words, hidden)
        self._actions, self._hidden = actions, hidden

    def initial_state(self, batch: int) -> State:
        """Zeros."""
        zeros = torch.zeros(batch, self._hidden, device=self.lstm.weight_hh.device)
        return zeros, zeros

    def forward(self, inputs: Inputs, state: State) -> Outputs:
        """Read some steps; where an episode begins the state before it is forgotten."""
        core, state = self._core(self._features(inputs), inputs.first, state)
        answer = self.heads(core, inputs.level)
        return Outputs(answer[..., :-1], answer[..., -1], core, state)

    def _features(self, inputs: Inputs) -> Tensor:
        """(steps, batch, features of the view, last action, last reward, instruction)."""
        steps, batch = inputs.first.shape
        view = self.encoder(inputs.view.flatten(0, 1)).unflatten(0, (steps, batch))
        going_on = (~inputs.first)[..., None].to(view.dtype)
        action = functional.one_hot(inputs.action, self._actions) * going_on
        reward = inputs.reward.clamp(-1, 1)[..., None] * going_on
        return torch.cat((view, action, reward, inputs.words), -1)

    def _core(self, features: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = []
        kept = (~first)[..., None].to(features.dtype)
        for step, keep in zip(features, kept, strict=True):
            state = self.lstm(step, (state[0] * keep, state[1] * keep))
            outputs.append(state[0])
        return torch.stack(outputs), state


def _context_mlp(inputs: int, context: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, context), nn.ReLU(), nn.Linear(context, context), nn.ReLU()
    )
