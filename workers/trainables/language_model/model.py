"""The language models: one LSTM with tied embeddings, plain or multiplicative.

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 8 and appendix G. Shapes are (time, batch, ...).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from workers.nn.interactions import MultiplicativeInteraction
from workers.trainables.language_model import Model

State = tuple[Tensor, Tensor]
"""h and c of the LSTM, (1, batch, hidden) each."""

_LOGITS_AT_ONCE = 2**28


class MultiplicativeLSTM(nn.Module):
    """An LSTM whose input embedding z is combined with h_{t-1} by M(z, h) (section 8).

    Gates and candidate are W_ih z + W_hh [h + (A z) * (B h)] + b: the linear terms of M
    are the LSTM's own, as the paper remarks, and the bilinear one is diagonal in the two
    projections, as in the multiplicative LSTM of Krause et al. (2016). With A or B zero
    it is `nn.LSTM`, whose names and first weights it has. A and B add hidden x
    (embedding + hidden) numbers: the published 5 million at the published sizes.
    """

    def __init__(self, embedding: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_ih_l0 = nn.Parameter(torch.empty(4 * hidden, embedding))
        self.weight_hh_l0 = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.bias_ih_l0 = nn.Parameter(torch.empty(4 * hidden))
        self.bias_hh_l0 = nn.Parameter(torch.empty(4 * hidden))
        self.input_factor = nn.Parameter(torch.empty(hidden, embedding))  # A
        self.state_factor = nn.Parameter(torch.empty(hidden, hidden))  # B
        bound = 1 / math.sqrt(hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, z: Tensor, state: State) -> tuple[Tensor, State]:
        """(time, batch, embedding) -> (time, batch, hidden), and the last state."""
        bias = self.bias_ih_l0 + self.bias_hh_l0
        given = functional.linear(z, self.weight_ih_l0, bias)  # (time, batch, 4 hidden)
        factors = z @ self.input_factor.t()  # (time, batch, hidden)
        h, c = state[0].squeeze(0), state[1].squeeze(0)
        to_factor, to_gates = self.state_factor.t(), self.weight_hh_l0.t()
        outputs = []
        for given_now, factor in zip(given.unbind(), factors.unbind(), strict=True):
            mixed = torch.addcmul(h, factor, h @ to_factor)
            gates = torch.addmm(given_now, mixed, to_gates)
            entry, forget, candidate, leave = gates.chunk(4, dim=1)
            c = forget.sigmoid() * c + entry.sigmoid() * candidate.tanh()
            h = leave.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs), (h.unsqueeze(0), c.unsqueeze(0))


class LinearEmbedding(nn.Module):
    """The baseline's output embedding: one linear layer of h."""

    def __init__(self, hidden: int, embedding: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, embedding)

    def forward(self, h: Tensor) -> Tensor:
        """(..., hidden) -> (..., embedding)."""
        answer: Tensor = self.linear(h)
        return answer


class MultiplicativeEmbedding(nn.Module):
    """The output embedding M(c, h) with the narrow context c = relu(W h + b) (section 8)."""

    def __init__(self, hidden: int, embedding: int, context: int) -> None:
        super().__init__()
        self.context = nn.Linear(hidden, context)
        self.interaction = MultiplicativeInteraction(hidden, context, embedding)

    def forward(self, h: Tensor) -> Tensor:
        """(..., hidden) -> (..., embedding)."""
        answer: Tensor = self.interaction(h, torch.relu(self.context(h)))
        return answer


class LanguageModel(nn.Module):
    """Words in, how surprising the next words were out.

    Dropout follows the input embedding and the LSTM.

    Args:
        model: which of the embeddings are multiplicative.
        vocabulary: the number of words.
        hidden: the LSTM's width.
        embedding: the words' width.
        context: the width of c.
        dropout: the share of numbers that are dropped in training.
        logits_at_once: where words x vocabulary is more, the softmax is computed in
            stretches and again on the way back, so that memory does not grow with the batch.
    """

    def __init__(
        self,
        model: Model,
        *,
        vocabulary: int,
        hidden: int,
        embedding: int,
        context: int,
        dropout: float,
        logits_at_once: int = _LOGITS_AT_ONCE,
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.embedding = nn.Embedding(vocabulary, embedding)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.lstm: nn.Module = (
            MultiplicativeLSTM(embedding, hidden)
            if model == "lstm_mi_both"
            else nn.LSTM(embedding, hidden)
        )
        self.project: nn.Module = (
            LinearEmbedding(hidden, embedding)
            if model == "lstm"
            else MultiplicativeEmbedding(hidden, embedding, context)
        )
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.dropout = nn.Dropout(dropout)
        self._rows = max(1, logits_at_once // vocabulary)

    def first_state(self, batch: int) -> State:
        """The state before a text's first word."""
        zeros = self.bias.new_zeros(1, batch, self.hidden)
        return zeros, zeros.clone()

    def forward(self, words: Tensor, following: Tensor, state: State) -> tuple[Tensor, State]:
        """The summed negative log likelihood, in nats, of the words that follow.

        Args:
            words: (time, batch) of word numbers.
            following: the words after them, the same shape.
            state: after the words before.

        Returns:
            A scalar, and the state after the words.
        """
        inputs = self.dropout(self.embedding(words))  # (time, batch, embedding)
        outputs, state = self.lstm(inputs, state)
        predicted = self.project(self.dropout(outputs)).flatten(0, 1)
        wanted = following.flatten().long()
        if len(wanted) <= self._rows:
            return self._surprise(predicted, wanted), state
        surprises = [
            checkpoint(self._surprise, *part, use_reentrant=False)
            for part in zip(
                torch.split(predicted, self._rows), torch.split(wanted, self._rows), strict=True
            )
        ]
        return torch.stack(surprises).sum(), state

    def _surprise(self, predicted: Tensor, wanted: Tensor) -> Tensor:
        """(words, embedding), (words,) -> a scalar."""
        logits = functional.linear(predicted, self.embedding.weight, self.bias)
        return functional.cross_entropy(logits, wanted, reduction="sum")
