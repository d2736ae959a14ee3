"""The sweep spec: what a user posts.

A spec names a trainable, a metric, a search space, a search, an early-stopping
rule and resources. Unknown fields are refused. `parse_spec` turns plain data into
a `SweepSpec` or raises `SpecError` with the path of every bad field.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    PositiveFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from sweep.assembling import Assembler
from sweep.errors import FieldProblem, SpecError
from sweep.expressions import Condition
from sweep.metric import Metric, SpecModel
from sweep.parameters import Grid, Node, dump_node, field_problems, kinds_in, parse_nodes
from sweep.plain import check_plain
from sweep.population import population_problems
from sweep.rungs import rung_problems
from sweep.schema import ParametersSchema
from sweep.searches import (
    Count,
    FurtherObjective,
    GridSearch,
    ModelSearch,
    Nsga2Search,
    Search,
    SobolSearch,
)
from sweep.stopping import EarlyStopping, Halving, NoStopping, Pbt

_RAYS_OWN = frozenset({"cpu", "gpu", "memory", "object_store_memory", "bundle"})
_FINEST = 0.0001
"""Ray counts resources in this unit."""


def _amount(amount: float) -> float:
    if 0 < amount < _FINEST:
        raise ValueError(f"{amount} is too little: Ray counts down to {_FINEST}")
    return amount


class Resources(SpecModel):
    """What one trial reserves on a node."""

    cpu: float = Field(default=1, ge=0, description="Cores.", examples=[2])
    gpu: float = Field(
        default=0, ge=0, description="Whole ones, or a fraction of one.", examples=[0.25]
    )
    memory: float = Field(default=0, ge=0, description="GiB of main memory.", examples=[1.5])
    custom: Mapping[Annotated[str, Field(min_length=1, max_length=100)], PositiveFloat] = Field(
        default={},
        max_length=20,
        description="Amounts of resources that your nodes offer by name.",
        examples=[{"fast_disk": 1}],
    )
    accelerator_type: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Ray's name of the accelerator that the node must have, such as A100.",
        examples=["A100"],
    )

    @field_validator("cpu", "gpu")
    @classmethod
    def _not_too_fine(cls, amount: float) -> float:
        return _amount(amount)

    @field_validator("custom")
    @classmethod
    def _not_rays_own(cls, custom: Mapping[str, float]) -> Mapping[str, float]:
        for name, amount in custom.items():
            _amount(amount)
            if name.lower() in _RAYS_OWN or ":" in name or name != name.strip():
                raise ValueError(
                    f"{name!r} is no name of a custom resource: cpu, gpu, memory and "
                    "accelerator_type have fields of their own, and Ray keeps "
                    f"{', '.join(sorted(_RAYS_OWN))} and names with ':' or spaces around them"
                )
        return custom

    @model_validator(mode="after")
    def _whole_gpus(self) -> Self:
        if self.gpu > 1 and self.gpu != int(self.gpu):
            raise ValueError(f"gpu {self.gpu} is neither whole nor a fraction of one GPU")
        if self.cpu == 0 and self.gpu == 0:
            raise ValueError("cpu and gpu are both 0: a trial must reserve something")
        return self


class Budget(SpecModel):
    """What a sweep may use in all; at a limit it ends cleanly, with reason 'budget'."""

    trials: Count | None = Field(
        default=None, description="Trials that are started.", examples=[1000]
    )
    trial_steps: Count | None = Field(
        default=None, description="Steps, summed over trials.", examples=[1_000_000]
    )
    hours: PositiveFloat | None = Field(
        default=None,
        description="Hours that the sweep is running; pauses do not count.",
        examples=[2.5],
    )
    gpu_hours: PositiveFloat | None = Field(
        default=None, description="Hours of trials' reserved GPUs.", examples=[8]
    )


class CheckpointPolicy(SpecModel):
    """Which of the states that a trial saves are kept."""

    keep_last: Count = Field(
        default=2,
        description="How many of the newest states are kept. While a trial is training, up to "
        "four more are, at least 5 s and 5 min old, since the service may not have been told of "
        "newer ones; so a trial goes on from about where it was even with 1.",
        examples=[1],
    )
    keep_best: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Keep also the state that was saved at the best value of the sweep's metric, "
        "as last reported before each save.",
        examples=[True],
    )


def _read_parameters(raw: object) -> dict[str, Node]:
    if not isinstance(raw, Mapping):
        raise ValueError("must be a mapping from parameter names to values")
    return parse_nodes(raw, "parameters")


Parameters = Annotated[
    Mapping[str, Any],
    PlainValidator(_read_parameters),
    PlainSerializer(lambda nodes: {k: dump_node(v) for k, v in nodes.items()}),
    ParametersSchema(),
]


class SweepSpec(SpecModel):
    """A sweep: a search space, a metric, an early-stopping rule, resources."""

    schema_version: Literal[1] = Field(
        default=1, description="How the spec is to be read.", examples=[1]
    )
    name: str = Field(
        min_length=1, max_length=200, description="Yours to choose.", examples=["first-sweep"]
    )
    description: str = Field(
        default="",
        max_length=10_000,
        description="What it is for.",
        examples=["Which rate suits which optimizer?"],
    )
    tags: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        default=(),
        max_length=50,
        description="Words to find it by.",
        examples=[["nightly", "baseline"]],
    )
    trainable: str = Field(
        min_length=1,
        max_length=500,
        description="A registered trainable's name, a function as 'package.module:function', or "
        "a script of the sweep's code, such as 'train.py'.",
        examples=["my_package.training:train"],
    )
    code: str | None = Field(
        default=None,
        pattern=r"^sha256:[0-9a-f]{64}$",
        description="The archive of your own code, as `sweep submit --code FOLDER` sets it.",
        examples=["sha256:" + "0" * 64],
    )
    metric: Metric = Field(
        description="What the sweep optimises.", examples=[{"name": "accuracy", "mode": "max"}]
    )
    parameters: Parameters = Field(
        description="The search space: names and what each may be.",
        examples=[{"lr": {"grid": [0.001, 0.01]}, "batch_size": 32}],
    )
    exclude: tuple[Condition, ...] = Field(
        default=(),
        max_length=100,
        examples=[["lr > 0.005 and batch_size == 32"]],
        description="Assignments for which one is true are left out. A search that draws gives "
        "up after 10,000 of them in a row. A parameter that an assignment lacks is None.",
    )
    search: Search = Field(
        default=GridSearch(), description="How assignments are found.", examples=[{"type": "grid"}]
    )
    early_stopping: EarlyStopping = Field(
        default=NoStopping(),
        description="Which trials are stopped before their end.",
        examples=[{"type": "asha", "grace_period": 300, "max_t": 3000}],
    )
    replicates: int = Field(
        default=1,
        ge=1,
        le=10_000,
        strict=True,
        description="Trials of each assignment, with seeds of their own.",
        examples=[3],
    )
    resources: Resources | None = Field(
        default=None,
        description="For each trial; the trainable's own default when not given.",
        examples=[{"cpu": 2, "gpu": 0.5}],
    )
    pack: Literal["auto", "off"] | Count | None = Field(
        default=None,
        description="Train trials of the same computation together, as one program: as many as "
        "the device takes (auto), that many at most, or each alone (off). When not given: auto "
        "for registered trainables that can be packed, off for a user's own functions.",
        examples=["auto", 64],
    )
    max_concurrent: Count | None = Field(
        default=None,
        description="Trials, or packs, that run at once; as many as fit when not given.",
        examples=[8],
    )
    max_failures: int = Field(
        default=2,
        ge=0,
        strict=True,
        description="How often a trial that failed is tried again.",
        examples=[0],
    )
    priority: int = Field(
        default=0,
        strict=True,
        description="Higher goes first: in the queue, and on the cluster, where running sweeps of "
        "lower priority make room at their trials' next saved states.",
        examples=[10],
    )
    weight: float = Field(
        default=1,
        gt=0,
        le=1_000,
        description="Share of the cluster among running sweeps of equal priority.",
        examples=[2],
    )
    budget: Budget = Field(
        default=Budget(),
        description="What the sweep may use in all.",
        examples=[{"trials": 1000, "hours": 2}],
    )
    checkpoints: CheckpointPolicy = Field(
        default=CheckpointPolicy(),
        description="Which saved states are kept.",
        examples=[{"keep_last": 1, "keep_best": True}],
    )
    reuse_actors: bool | None = Field(
        default=None,
        description="Run many trials in one process. Safe when the trainable leaves no state "
        "behind; on for the trainables that ship, off for a user's own, when not given.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _conditions_fit(self) -> Self:
        Assembler(self.parameters)
        return self

    @model_validator(mode="after")
    def _search_fits_parameters(self) -> Self:
        kinds = kinds_in(self.parameters)
        sampled = [".".join(path) for path, kind in kinds if not isinstance(kind, Grid)]
        if isinstance(self.search, GridSearch):
            if sampled:
                raise SpecError(
                    [
                        FieldProblem(
                            f"parameters.{path}",
                            "is drawn from a distribution, which a grid search cannot enumerate: "
                            "use grid values, or search type random or sobol",
                        )
                        for path in sampled
                    ]
                )
        elif isinstance(self.search, SobolSearch) and not sampled:
            raise SpecError(
                [FieldProblem("search.type", "sobol needs a parameter drawn from a distribution")]
            )
        return self

    @model_validator(mode="after")
    def _search_fits_rule(self) -> Self:
        search = self.search
        if isinstance(search, ModelSearch) and isinstance(self.early_stopping, Halving):
            raise SpecError(
                [
                    FieldProblem(
                        "early_stopping.type",
                        "halving compares a group once all of it is there, and a search of type "
                        f"{search.type} adds trials as others end: use asha, or search type "
                        "random or sobol",
                    )
                ]
            )
        if isinstance(search, Nsga2Search):
            problems = [
                FieldProblem(
                    f"search.objectives[{i}].name",
                    f"{objective.name!r} is the sweep's metric, which is an objective already",
                )
                for i, objective in enumerate(search.objectives)
                if objective.name == self.metric.name
            ]
            if problems:
                raise SpecError(problems)
        return self

    @model_validator(mode="after")
    def _rule_fits(self) -> Self:
        rule = self.early_stopping
        problems = rung_problems(rule)
        if isinstance(rule, Pbt):
            problems += population_problems(
                rule, self.parameters, search=self.search.type, replicates=self.replicates
            )
        if problems:
            raise SpecError(problems)
        return self

    @property
    def rung_metric(self) -> Metric:
        """The metric that rungs compare."""
        return self.early_stopping.metric or self.metric

    @property
    def objectives(self) -> tuple[Metric | FurtherObjective, ...]:
        """What the search optimises: the sweep's metric first."""
        further = self.search.objectives if isinstance(self.search, Nsga2Search) else ()
        return (self.metric, *further)


def parse_spec(raw: object) -> SweepSpec:
    """Check plain data (from JSON or YAML) and make a spec of it.

    Raises:
        SpecError: with the path of every bad field.
    """
    if not isinstance(raw, Mapping):
        raise SpecError(f"a spec is a mapping of fields to values; got {raw!r:.100}")
    check_plain(raw)
    problems: list[FieldProblem] = []
    read = dict(raw)
    if isinstance(raw.get("parameters"), Mapping):
        try:
            read["parameters"] = parse_nodes(raw["parameters"], "parameters")
        except SpecError as error:
            problems.extend(error.problems)
            read["parameters"] = {}
    try:
        spec = SweepSpec.model_validate(read)
    except ValidationError as error:
        problems.extend(field_problems(error, raw=raw))
    except SpecError as error:
        if not problems:
            problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    return spec
