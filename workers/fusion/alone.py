"""One training alone, in plain PyTorch: what a member of a pack must equal."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sweep.run import Run
from workers.fusion.batches import Batch, leaves, place, rebuild
from workers.fusion.packable import OptimizerSettings, Packable, Params, next_due
from workers.fusion.precision import dtype_of, precision
from workers.fusion.state import SLOTS, MemberState

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def train_alone(
    packable: Packable, params: Params, run: Run, *, dtype: torch.dtype | None = None
) -> None:
    """Train until the run ends it, reporting and saving as the packable says.

    Args:
        packable: what is trained.
        params: the trial's parameters.
        run: the trial's `run` object.
        dtype: of parameters and data; what the precision says when not given.

    Raises:
        TrialFault: for parameters that are no good.
    """
    wanted = packable.precision(params)
    training = _Training(packable, params, run, dtype or dtype_of(wanted))
    report_every, save_every = packable.report_every(params), packable.save_every(params)
    step = training.restore(run.restore())
    with precision(wanted, torch.device(run.device)):
        while True:
            due = next_due(step, every=report_every, max_t=run.max_t)
            training.learn(step + 1, due)
            step = due
            run.report(step, **training.evaluate())
            if step % save_every == 0:
                run.save(training.state(step))


class _Training:
    def __init__(self, packable: Packable, params: Params, run: Run, dtype: torch.dtype) -> None:
        self._packable = packable
        self._device, self._dtype = torch.device(run.device), dtype
        self._model = packable.build(params, run.seed).to(device=run.device, dtype=dtype)
        self._settings = packable.optimizer(params)
        self._optimizer = make_optimizer(self._settings, self._model)
        self._stream = packable.stream(params, run.seed, self._device)
        self._evaluation = place(packable.evaluation(params), self._device, dtype)

    def learn(self, first: int, last: int) -> None:
        """The steps from `first` to `last`."""
        self._model.train()
        for batch in self._batches(first, last):
            loss = self._packable.loss(self._model, batch)
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if self._settings.clip_norm is not None:
                nn.utils.clip_grad_norm_(self._model.parameters(), self._settings.clip_norm)
            if self._settings.clip_value is not None:
                nn.utils.clip_grad_value_(self._model.parameters(), self._settings.clip_value)
            self._optimizer.step()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        self._model.eval()
        metrics = self._packable.metrics(self._model, self._evaluation)
        return {name: float(value) for name, value in metrics.items()}

    def state(self, step: int) -> dict[str, Any]:
        slots: dict[str, dict[str, Tensor]] = {slot: {} for slot in SLOTS[self._settings.kind]}
        for name, parameter in self._trained():
            for slot, held in slots.items():
                value = self._optimizer.state.get(parameter, {}).get(slot)
                held[name] = torch.zeros_like(parameter) if value is None else value
        return MemberState(step, dict(self._model.state_dict()), slots).to_dict()

    def restore(self, saved: dict[str, Any] | None) -> int:
        if saved is None:
            return 0
        state = MemberState.from_dict(saved)
        self._model.load_state_dict(state.model)
        for name, parameter in self._trained():
            held = {slot: state.optimizer[slot][name].clone() for slot in state.optimizer}
            held["step"] = torch.tensor(float(state.step), device=self._device)
            self._optimizer.state[parameter] = {
                slot: value.to(self._device) for slot, value in held.items()
            }
        return state.step

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self._model.named_parameters() if p.requires_grad]

    def _batches(self, first: int, last: int) -> Iterator[Batch]:
        for start in range(first, last + 1, self._packable.span):
            count = min(self._packable.span, last + 1 - start)
            span = place(self._stream.take(start, count), self._device, self._dtype)
            for i in range(count):
                yield rebuild(span, [tensor[i] for tensor in leaves(span)])


def make_optimizer(settings: OptimizerSettings, model: nn.Module) -> torch.optim.Optimizer:
    """PyTorch's optimizer of those settings over the network's trainable parameters."""
    given: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.kind == "sgd":
        given["momentum"] = settings.momentum
    else:
        given |= {"betas": (settings.beta1, settings.beta2), "eps": settings.eps}
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer: torch.optim.Optimizer = _OPTIMIZERS[settings.kind](parameters, fused=True, **given)
    return optimizer
