"""What a trainable declares so that many of its trainings can be one program.

    class Circles(Packable):
        def model(self, params):
            return nn.Sequential(nn.Linear(2, params["width"]), nn.Tanh(), ...)

        def loss(self, model, batch):
            x, y = batch
            return functional.mse_loss(model(x), y)

        def batches(self, params, seed):
            generator = torch.Generator().manual_seed(seed)
            while True:
                yield ...

        def metrics(self, model, batch):
            return {"loss": self.loss(model, batch)}

An instance is a training function too: `train(params, run)` trains one alone.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor, nn

from sweep.errors import TrialFault
from sweep.run import Run
from workers.fusion.batches import Batch, IteratedStream
from workers.precisions import Precision

OptimizerKind = Literal["adam", "adamw", "sgd"]
Params = Mapping[str, Any]
EVALUATION_SEED = 2**31 - 1


class Stream(Protocol):
    """Where a training's batches come from: a function of the step."""

    def take(self, first: int, count: int) -> Batch:
        """The batches of `count` steps from step `first` (the first is 1): (count, ...) each."""
        ...


@dataclass(frozen=True)
class OptimizerSettings:
    """One member's optimizer: PyTorch's own, by PyTorch's names and formulas."""

    kind: OptimizerKind = "adam"
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    clip_norm: float | None = None
    """Gradients are scaled down to this norm over all of the member's parameters."""
    clip_value: float | None = None
    """Every number of a gradient is then cut off at plus and minus this."""

    @property
    def order(self) -> tuple[float, ...]:
        """Sorts equal settings next to each other."""
        numbers = (getattr(self, field.name) for field in fields(self) if field.name != "kind")
        return tuple(float("inf") if number is None else number for number in numbers)

    @classmethod
    def read(cls, params: Params) -> "OptimizerSettings":
        """From the parameters of these names; `optimizer` names the kind.

        Raises:
            TrialFault: for an unknown optimizer or a setting that is no number.
        """
        given: dict[str, Any] = {}
        for field in fields(cls):
            name = "optimizer" if field.name == "kind" else field.name
            if params.get(name) is not None:
                given[field.name] = params[name]
        kind = given.get("kind", "adam")
        if kind not in get_args(OptimizerKind):
            raise TrialFault(
                f"parameter 'optimizer' is {kind!r}: there are {', '.join(get_args(OptimizerKind))}"
            )
        for name, value in given.items():
            if name != "kind" and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise TrialFault(f"parameter {name!r} is {value!r}: a number is needed")
        return cls(**given)


def next_due(step: int, *, every: int, max_t: int | None) -> int:
    """The step of a training's next evaluation: on the beat, or its last if that comes before."""
    due = step - step % every + every
    return due if max_t is None else min(due, max(max_t, step + 1))


class Packable(ABC):
    """A training whose members differ in numbers only, never in their computation.

    Trials are packed together when they agree in every parameter but those in
    `member_parameters`.
    """

    member_parameters: frozenset[str] = frozenset(
        field.name for field in fields(OptimizerSettings) if field.name != "kind"
    )
    """The parameters that may differ inside a pack: those that change no tensor's shape
    and no operation."""
    span: int = 16
    """How many steps' batches are asked for at once, at most."""

    @abstractmethod
    def model(self, params: Params) -> nn.Module:
        """The network, with its first weights; PyTorch's generators are seeded before.

        A number that differs between members and that `loss` needs (a loss weight, say)
        is kept as a buffer of the network.
        """

    @abstractmethod
    def loss(self, model: Callable[..., Any], batch: Batch) -> Tensor:
        """What is minimised, for one batch: a scalar."""

    @abstractmethod
    def batches(self, params: Params, seed: int) -> Iterable[Batch]:
        """Batches without end, the same for the same arguments."""

    @abstractmethod
    def metrics(self, model: Callable[..., Any], batch: Batch) -> Mapping[str, Tensor]:
        """What is reported: scalars, computed on `evaluation` without gradients."""

    def evaluation(self, params: Params) -> Batch:
        """What the metrics are computed on: a batch that no training draws, by its seed."""
        return next(iter(self.batches(params, EVALUATION_SEED)))

    def optimizer(self, params: Params) -> OptimizerSettings:
        """The optimizer, from the parameters `optimizer`, `lr`, `weight_decay` and so on."""
        return OptimizerSettings.read(params)

    def precision(self, params: Params) -> Precision:
        """What it is computed in, from the parameter `precision`; float32 when not given.

        A pack has one; `precision` is therefore no member parameter.

        Raises:
            TrialFault: for an unknown precision.
        """
        wanted = params.get("precision", "float32")
        if wanted not in get_args(Precision):
            raise TrialFault(
                f"parameter 'precision' is {wanted!r}: there are {', '.join(get_args(Precision))}"
            )
        found: Precision = wanted
        return found

    def report_every(self, params: Params) -> int:
        """The number of steps between two evaluations."""
        return 100

    def save_every(self, params: Params) -> int:
        """The number of steps between two saved states; a multiple of `report_every`."""
        return 1_000

    def fuse_key(self, params: Params) -> Hashable:
        """Equal for trials that may share a pack."""
        return self._without_member_parameters(params)

    def stream(self, params: Params, seed: int, device: torch.device) -> Stream:
        """The training's batches; over `batches` unless a faster way is given.

        Drawing them on `device` saves the copy; it is not needed.
        """
        return IteratedStream(lambda: self.batches(params, seed))

    def stream_key(self, params: Params, seed: int) -> Hashable:
        """Equal for trainings that may share one stream, and so one batch a step."""
        return (seed, self._without_member_parameters(params))

    def evaluation_key(self, params: Params) -> Hashable:
        """Equal for trainings that are evaluated on the same data."""
        return self._without_member_parameters(params)

    def build(self, params: Params, seed: int) -> nn.Module:
        """The network with its first weights, a function of the seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.model(params)

    def __call__(self, params: dict[str, Any], run: Run) -> None:
        """Train one alone, until the run ends it."""
        from workers.fusion.alone import train_alone

        train_alone(self, params, run)

    def _without_member_parameters(self, params: Params) -> str:
        kept = {name: value for name, value in params.items() if name not in self.member_parameters}
        return json.dumps(kept, sort_keys=True, default=repr)
