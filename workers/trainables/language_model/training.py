"""The trainings of the language-model study: Adam, gradients through a stretch of text.

The text is cut into `batch_size` stretches that are read side by side from front to
back, the LSTM's state going on from one step to the next; at their end it starts anew.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sweep.errors import TrialFault
from sweep.run import Run
from workers.fusion.precision import precision
from workers.trainables.language_model import LanguageModelParameters
from workers.trainables.language_model.corpus import Corpus, load
from workers.trainables.language_model.model import LanguageModel, State

_EVALUATION_STREAMS = 8
"""How many stretches of the validation or test text are read side by side."""
_EVALUATION_SEQUENCE = 128


def train(params: dict[str, Any], run: Run) -> None:
    """Train one model until the run ends it.

    Raises:
        TrialFault: when the corpus is missing or too small.
    """
    read = LanguageModelParameters.model_validate(params)
    corpus = load(read.corpus, read.path)
    devices = [torch.cuda.current_device()] if run.device == "cuda" else []
    with torch.random.fork_rng(devices), precision("float32", torch.device(run.device)):
        torch.manual_seed(run.seed)
        training = Training(read, corpus, torch.device(run.device))
        training.restore(run.restore())
        while True:
            run.report(training.learn(_due(read, training.step, run.max_t)), **training.metrics())
            if training.step % read.save_every == 0:
                run.save(training.state())


def _due(params: LanguageModelParameters, step: int, max_t: int | None) -> int:
    """The step of the next evaluation."""
    due = step - step % params.eval_every + params.eval_every
    return due if max_t is None else min(due, max(max_t, step + 1))


class Training:
    """One model, its optimizer, and where in the text it is."""

    def __init__(
        self, params: LanguageModelParameters, corpus: Corpus, device: torch.device
    ) -> None:
        self.step = 0
        self._params = params
        self._device = device
        self._train = side_by_side(corpus.train, params.batch_size).to(device)
        self._valid, self._test = (
            side_by_side(part, _EVALUATION_STREAMS).to(device)
            for part in (corpus.valid, corpus.test)
        )
        self.model = LanguageModel(
            params.model,
            vocabulary=len(corpus.vocabulary),
            hidden=params.width,
            embedding=params.embedding,
            context=params.context,
            dropout=params.dropout,
        ).to(device)
        self._optimizer = torch.optim.Adam(self.model.parameters(), lr=params.lr, fused=True)
        self._state = self.model.first_state(params.batch_size)
        self._loss = math.nan

    def learn(self, last: int) -> int:
        """Train up to a step, which is answered."""
        self.model.train()
        losses = [self._learn_one() for _ in range(self.step, last)]
        self._loss = float(torch.stack(losses).mean())
        return self.step

    def _learn_one(self) -> Tensor:
        """One step; the mean loss a word, in nats."""
        words, following, first = self._stretch()
        if first:
            self._state = self.model.first_state(self._params.batch_size)
        total, (h, c) = self.model(words, following, self._state)
        self._state = h.detach(), c.detach()
        loss: Tensor = total / following.numel()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._params.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._params.clip)
        self._optimizer.step()
        self.step += 1
        return loss.detach()

    def _stretch(self) -> tuple[Tensor, Tensor, bool]:
        """The next step's words, those that follow them, and whether the text starts anew."""
        sequence = self._params.sequence
        steps = math.ceil((len(self._train) - 1) / sequence)
        start = self.step % steps * sequence
        end = min(start + sequence, len(self._train) - 1)
        return self._train[start:end], self._train[start + 1 : end + 1], start == 0

    def metrics(self) -> dict[str, float]:
        """Perplexities, the mean training loss since the last report, and the model's size."""
        return {
            "valid_perplexity": perplexity(self.model, self._valid),
            "test_perplexity": perplexity(self.model, self._test),
            "train_loss": self._loss,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "hidden": self._params.width,
        }

    def state(self) -> dict[str, Any]:
        """All that it needs to go on exactly."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "lstm": self._state,
            "random": random_state(self._device),
        }

    def restore(self, saved: dict[str, Any] | None) -> None:
        """Go on from a saved state, if there is one."""
        if saved is None:
            return
        self.step = saved["step"]
        self.model.load_state_dict(saved["model"])
        self._optimizer.load_state_dict(saved["optimizer"])
        h, c = saved["lstm"]
        self._state = h.to(self._device), c.to(self._device)
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(saved["random"].cpu(), self._device)
        else:
            torch.set_rng_state(saved["random"].cpu())


def random_state(device: torch.device) -> Tensor:
    """The state of the generator that draws the dropped numbers."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def side_by_side(text: Tensor, streams: int) -> Tensor:
    """(words,) -> (time, streams): equal stretches, without the last few words.

    Raises:
        TrialFault: when there are fewer than two words a stretch.
    """
    length = len(text) // streams
    if length < 2:
        raise TrialFault(
            f"a text of {len(text)} words cannot be cut into {streams} stretches: "
            "a smaller batch_size or a longer text is needed"
        )
    return text[: length * streams].view(streams, length).t().contiguous()


@torch.no_grad()
def perplexity(model: LanguageModel, text: Tensor) -> float:
    """The exponential of the mean surprise a word, in evaluation mode.

    Args:
        model: what predicts.
        text: (time, streams); the first word of each stretch is only read.
    """
    model.eval()
    state: State = model.first_state(text.shape[1])
    total = torch.zeros((), dtype=torch.float64, device=text.device)
    for words, following in _pieces(text):
        surprise, state = model(words, following, state)
        total += surprise
    mean = float(total) / text[1:].numel()
    return math.exp(mean) if mean < _LARGEST_EXPONENT else math.inf


_LARGEST_EXPONENT = 700.0
"""e to this still is a float."""


def _pieces(text: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(text) - 1, _EVALUATION_SEQUENCE):
        end = min(start + _EVALUATION_SEQUENCE, len(text) - 1)
        yield text[start:end], text[start + 1 : end + 1]
