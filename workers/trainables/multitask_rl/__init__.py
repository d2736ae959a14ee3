"""Multitask reinforcement learning: one agent on many levels, with four kinds of heads.

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 6.1 and appendix E. This module is the descriptor: it loads neither torch nor
gymnasium. `docs/studies/multitask-rl.md` says what is trained.
"""

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sweep.spec import Resources
from sweep.trainables import Trainable
from workers.trainables.multitask_rl.suites import Level, SuiteName, choose

Heads = Literal["shared", "multihead", "m_task", "m_context"]

HEADS: tuple[Heads, ...] = get_args(Heads)

MIN_MAP_POINTS = 5
"""With fewer there is nothing to lay out on a plane."""


class MultitaskRLParameters(BaseModel):
    """What the trainable accepts."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    heads: Heads
    """How the policy and the value are read from the LSTM's output: one linear layer; one
    a level; M(h, c) with c from the level's number; M(h, c) with c from h."""
    suite: SuiteName = "minigrid"
    levels: int | list[str] = 5
    """Names, or how many of the suite's, from the easiest on."""
    copies: Annotated[int, Field(ge=1, le=1024)] = 8
    """Environments a level."""
    unroll: Annotated[int, Field(ge=1, le=1000)] = 20
    """Steps that each environment takes before the learner's turn."""
    updates_per_unroll: Annotated[int, Field(ge=1, le=100)] = 2
    """How many updates are made from one unroll; from the second on V-trace corrects."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    entropy_cost: Annotated[float, Field(ge=0)] = 0.01
    value_cost: Annotated[float, Field(ge=0)] = 0.5
    reward_clip: Literal["none", "asymmetric"] = "none"
    """What the learner sees of rewards; asymmetric is IMPALA's for DMLab-30: 5 tanh(r / 5),
    and 0.3 of it where r is negative. Scores are of unclipped rewards."""
    discount: Annotated[float, Field(ge=0, le=1)] = 0.99
    clip_norm: Annotated[float, Field(gt=0)] = 0.5
    optimizer: Literal["adam", "rmsprop"] = "adam"
    epsilon: Annotated[float, Field(gt=0)] = 1e-5
    """The optimizer's: what keeps it from dividing by zero."""
    hidden: Annotated[int, Field(ge=1, le=8192)] = 128
    """Units of the LSTM and of the encoder's last layer; the paper has 256."""
    context: Annotated[int, Field(ge=1, le=8192)] = 32
    """Width of the context c of M(h, c)."""
    report_every: Annotated[int, Field(ge=1)] = 100
    save_every: Annotated[int, Field(ge=1)] = 1000
    window: Annotated[int, Field(ge=1)] = 50
    """How many of a level's last episodes a score is the mean of."""
    tsne_points: Annotated[int, Field(ge=0, le=100)] = 8
    """Moments a level in the map of generated weights, at the last step; 0: no map."""

    @model_validator(mode="after")
    def _levels_exist(self) -> Self:
        self.chosen()
        return self

    def chosen(self) -> tuple[Level, ...]:
        """The levels; a level's number is its place in here."""
        return choose(self.suite, self.levels)

    @property
    def draws_map(self) -> bool:
        """Whether there is a map of generated weights to draw at the last step."""
        generates = self.heads in ("m_task", "m_context")
        return generates and self.tsne_points * len(self.chosen()) >= MIN_MAP_POINTS


# Its metrics are not declared: which there are depends on the levels.
MULTITASK_RL = Trainable(
    name="multitask-rl",
    description="One actor-critic on many levels, with shared, separate or generated heads.",
    code="workers.trainables.multitask_rl.training:train",
    parameters=MultitaskRLParameters,
    default_resources=Resources(cpu=1),
    needs_max_t=True,
    reuse_actors=True,
)
