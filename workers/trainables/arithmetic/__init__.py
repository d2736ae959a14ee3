"""The arithmetic study: which networks learn which element-wise tasks.

This module is the descriptor: what a sweep may ask for, and how its results were
published. It loads neither torch nor ray. `docs/arithmetic.md` says what is trained.
"""

from collections.abc import Hashable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from sweep.records import TrialRecord
from sweep.spec import Resources
from sweep.trainables import PublishedLayout, Trainable
from workers.precisions import Precision

WIDTH = 128
"""The width of each input vector."""

Task = Literal[
    "reduce_sum",
    "reduce_max",
    "concat",
    "dot",
    "elementwise_mul",
    "elementwise_add",
    "one_hot_sum",
    "equality",
    "almost_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
]
Dataset = Literal["one_hot", "many_hot", "random", "random_pos", "random_pos_as_published"]
ActivationName = Literal["linear", "tanh", "relu", "sigmoid", "selu"]

TASKS: tuple[Task, ...] = get_args(Task)
DATASETS: tuple[Dataset, ...] = get_args(Dataset)

_SCALAR_TASKS = ("reduce_sum", "reduce_max", "dot")


def output_width(task: Task) -> int:
    """The width of a task's labels."""
    if task in _SCALAR_TASKS:
        return 1
    return 2 * WIDTH if task == "concat" else WIDTH


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DenseNetwork(_Model):
    """A stack of dense layers."""

    type: Literal["dense"]
    depth: Annotated[int, Field(ge=1, le=3)]
    activation: ActivationName


class ResidualNetwork(_Model):
    """A stack of dense layers with skip connections."""

    type: Literal["dense_residual"]
    depth: Annotated[int, Field(ge=2, le=3)]
    activation: ActivationName


class MultiplyNetwork(_Model):
    """Linear, product, linear."""

    type: Literal["multiply"]


class MultiplySimpleNetwork(_Model):
    """Product, linear."""

    type: Literal["multiply_simple"]


Network = Annotated[
    DenseNetwork | ResidualNetwork | MultiplyNetwork | MultiplySimpleNetwork,
    Field(discriminator="type"),
]


class ArithmeticParameters(_Model):
    """What the trainable accepts."""

    task: Task
    dataset: Dataset
    network: Network
    lr: Annotated[float, Field(gt=0)]
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 32
    eval_every: Annotated[int, Field(ge=1)] = 100
    data_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    batch_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """What the batches are drawn with; the trial's own seed when not given. Trials that
    share it see the same batches, which makes their comparison, and a pack, cheaper."""
    precision: Precision = "float32"
    """What it is computed in."""


def networks() -> tuple[Network, ...]:
    """The 27 networks: 15 dense, 10 residual, multiply, multiply_simple."""
    names: tuple[ActivationName, ...] = get_args(ActivationName)
    dense = [
        DenseNetwork(type="dense", depth=depth, activation=name)
        for depth in (1, 2, 3)
        for name in names
    ]
    residual = [
        ResidualNetwork(type="dense_residual", depth=depth, activation=name)
        for depth in (2, 3)
        for name in names
    ]
    return (
        *dense,
        *residual,
        MultiplyNetwork(type="multiply"),
        MultiplySimpleNetwork(type="multiply_simple"),
    )


def _fuse_key(parameters: Mapping[str, Any]) -> Hashable:
    """Trials with equal keys have the same computation graph."""
    params = ArithmeticParameters.model_validate(parameters)
    width = output_width(params.task)
    return (params.network, width, params.batch_size, params.eval_every, params.precision)


COLUMNS = (
    *("task", "dataset", "network_type", "network_depth", "network_activation"),
    *("accuracy_pct", "accuracy", "loss", "lr", "global_step", "datetime"),
)


def _experiment(parameters: Mapping[str, Any]) -> Hashable:
    params = ArithmeticParameters.model_validate(parameters)
    return (params.task, params.dataset, params.network)


def _row(trial: TrialRecord) -> dict[str, str]:
    """A trial's best evaluation in the columns and forms of the published file."""
    params = ArithmeticParameters.model_validate(trial.parameters)
    assert trial.best is not None
    network = params.network
    depth, activation = 1, "linear"
    if isinstance(network, DenseNetwork | ResidualNetwork):
        depth, activation = network.depth, network.activation
    loss = trial.best.metrics.get("loss")
    ended = trial.ended_at or datetime.now(UTC)
    return {
        "task": params.task,
        "dataset": params.dataset,
        "network_type": network.type,
        "network_depth": str(depth),
        "network_activation": activation,
        "accuracy_pct": f"{round(trial.best.value * 100)}.0%",
        "accuracy": f"{trial.best.value:.8g}",
        "loss": "" if loss is None else f"{loss:.8g}",
        "lr": f"{params.lr:.8g}",
        "global_step": str(trial.best.step),
        "datetime": ended.strftime("%Y-%m-%d %H:%M:%S"),
    }


ARITHMETIC = Trainable(
    name="arithmetic",
    description="Networks that learn arithmetic and logic on pairs of vectors (Mack, 2018).",
    code="workers.trainables.arithmetic.training:train",
    parameters=ArithmeticParameters,
    metrics=("accuracy", "loss"),
    default_resources=Resources(cpu=1),
    needs_max_t=True,
    reuse_actors=True,
    fuse_key=_fuse_key,
    published=PublishedLayout(columns=COLUMNS, experiment=_experiment, row=_row),
)
