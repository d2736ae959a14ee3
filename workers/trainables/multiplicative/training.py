"""The trainings of multiplicative networks and of their additive twins."""

from collections.abc import Callable, Hashable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.fusion.packable import OptimizerSettings, Packable, Params
from workers.nn.product import AdditiveTwin, MultiplicativeNet
from workers.precisions import Precision
from workers.trainables.multiplicative import (
    MULTIPLICATIVE,
    Form,
    MultiplicativeParameters,
)
from workers.trainables.multiplicative.data import CLASSES, ShuffledBatches, load

LabelledImages = tuple[Tensor, Tensor]
"""Images, (..., batch, pixels), positive, and digits, (..., batch)."""


class DigitClassifier(nn.Module):
    """One set of weights, read as a multiplicative network or as its additive twin.

    Args:
        net: the multiplicative network; its outputs' logarithms are the classes' logits.
        form: which of the two is trained.
    """

    def __init__(self, net: MultiplicativeNet, *, form: Form) -> None:
        super().__init__()
        self.twin = AdditiveTwin(net)
        self._form: Form = form

    def forward(self, x: Tensor, form: Form | None = None) -> Tensor:
        """(batch, pixels), positive -> (batch, classes), logits; of the trained form if none."""
        if (form or self._form) == "multiplicative":
            return torch.log(self.twin.net(x))
        logits: Tensor = self.twin(torch.log(x))
        return logits


class MultiplicativeTraining(Packable):
    """Trainings of one network with any rate and any seed."""

    span = 50

    def model(self, params: Params) -> nn.Module:
        """See `Packable`."""
        read = _read(params)
        widths = [load(read).pixels, *[read.width] * read.depth, CLASSES]
        return DigitClassifier(MultiplicativeNet(widths, read.nonlinearity), form=read.form)

    def build(self, params: Params, seed: int) -> nn.Module:
        """The first weights of both forms are the same function of the seed."""
        return super().build(params, _seed(_read(params), seed))

    def loss(self, model: Callable[..., Tensor], batch: LabelledImages) -> Tensor:
        """The cross entropy."""
        images, digits = batch
        return functional.cross_entropy(model(images), digits)

    def batches(self, params: Params, seed: int) -> Iterator[LabelledImages]:
        """One batch a step, as `stream` draws them."""
        stream, step = self.stream(params, seed, torch.device("cpu")), 0
        while True:
            step += 1
            images, digits = stream.take(step, 1)
            yield images[0], digits[0]

    def metrics(self, model: Callable[..., Tensor], batch: LabelledImages) -> dict[str, Tensor]:
        """Loss and accuracy of the trained form, and how far apart the two forms are."""
        images, digits = batch
        logits = model(images)
        gap = model(images, "multiplicative") - model(images, "additive")
        return {
            "loss": functional.cross_entropy(logits, digits),
            "accuracy": (logits.argmax(dim=-1) == digits).to(logits.dtype).mean(),
            "output_gap": gap.abs().max(),
        }

    def evaluation(self, params: Params) -> LabelledImages:
        """The held-out part."""
        held_out = load(_read(params)).held_out
        return held_out.images, held_out.digits

    def optimizer(self, params: Params) -> OptimizerSettings:
        """The trial's optimizer at its rate."""
        read = _read(params)
        return OptimizerSettings(kind=read.optimizer, lr=read.lr)

    def precision(self, params: Params) -> Precision:
        """The parameter `precision`."""
        return _read(params).precision

    def report_every(self, params: Params) -> int:
        """The parameter `eval_every`."""
        return _read(params).eval_every

    def save_every(self, params: Params) -> int:
        """Every ten reports."""
        return 10 * _read(params).eval_every

    def fuse_key(self, params: Params) -> Hashable:
        """As the descriptor says."""
        assert MULTIPLICATIVE.fuse_key is not None
        return MULTIPLICATIVE.fuse_key(params)

    def stream(self, params: Params, seed: int, device: torch.device) -> ShuffledBatches:
        """The training part, shuffled anew each time round."""
        read = _read(params)
        return ShuffledBatches(load(read).training, size=read.batch_size, seed=_seed(read, seed))

    def stream_key(self, params: Params, seed: int) -> Hashable:
        """Data set, batch size and the seed of the batches."""
        read = _read(params)
        return (*self.evaluation_key(params), read.batch_size, _seed(read, seed))

    def evaluation_key(self, params: Params) -> tuple[str, str | None]:
        """The data set."""
        read = _read(params)
        return (read.dataset, read.mnist)


train = MultiplicativeTraining()


def _seed(params: MultiplicativeParameters, seed: int) -> int:
    return seed if params.seed is None else params.seed


def _read(params: Params) -> MultiplicativeParameters:
    return MultiplicativeParameters.model_validate(params)
