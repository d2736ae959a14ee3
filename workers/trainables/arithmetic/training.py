"""One training of the arithmetic study: Adam on the mean squared error."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweep.run import Run
from workers.nn.arithmetic import Dense, Multiply, MultiplySimple
from workers.trainables.arithmetic import (
    WIDTH,
    ArithmeticParameters,
    DenseNetwork,
    MultiplyNetwork,
    Network,
    ResidualNetwork,
    output_width,
)
from workers.trainables.arithmetic.datasets import batch_records, draw, test_records
from workers.trainables.arithmetic.tasks import accuracy, label

_SAVE_EVERY = 1_000


def build(network: Network, *, out: int, seed: int) -> nn.Module:
    """The network, its first weights a function of the seed."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(network, DenseNetwork | ResidualNetwork):
        return Dense(
            width=WIDTH,
            out=out,
            depth=network.depth,
            activation=network.activation,
            residual=isinstance(network, ResidualNetwork),
            generator=generator,
        )
    if isinstance(network, MultiplyNetwork):
        return Multiply(width=WIDTH, out=out, generator=generator)
    return MultiplySimple(width=WIDTH, out=out, generator=generator)


def train(params: dict[str, Any], run: Run) -> None:
    """Train until the run ends it; evaluate every `eval_every` steps and at the last."""
    training = _Training(ArithmeticParameters.model_validate(params), run)
    step = training.restore(run.restore())
    while True:
        step += 1
        training.learn(step)
        if step % training.params.eval_every == 0 or step == run.max_t:
            run.report(step, **training.evaluate())
            if step % _SAVE_EVERY == 0:
                run.save(training.state(step))


class _Training:
    def __init__(self, params: ArithmeticParameters, run: Run) -> None:
        self.params = params
        self._seed = torch.tensor(run.seed, device=run.device)
        self._device = run.device
        self._model = build(params.network, out=output_width(params.task), seed=run.seed)
        self._model.to(run.device)
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=params.lr, fused=True)
        self._test = self._pairs(test_records(run.device))

    def learn(self, step: int) -> None:
        """One step of Adam on one batch."""
        number = torch.tensor(step, device=self._device)
        a, b, wanted = self._pairs(batch_records(self._seed, number, self.params.batch_size))
        loss = functional.mse_loss(self._model(a, b), wanted)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Accuracy and mean squared error over the test records."""
        a, b, wanted = self._test
        predicted = self._model(a, b)
        return {
            "accuracy": accuracy(predicted, wanted).item(),
            "loss": functional.mse_loss(predicted, wanted).item(),
        }

    def state(self, step: int) -> dict[str, Any]:
        """All that a training needs to go on exactly."""
        return {
            "step": step,
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any] | None) -> int:
        """Go on from a state; the step that it is after."""
        if state is None:
            return 0
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        step: int = state["step"]
        return step

    def _pairs(self, records: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b = draw(self.params.dataset, self.params.data_seed, records)
        return a, b, label(self.params.task, a, b)
