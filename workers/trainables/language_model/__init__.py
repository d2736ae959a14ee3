"""The language-model study: do multiplicative embeddings lower an LSTM's perplexity?

S. M. Jayakumar et al., "Multiplicative Interactions and Where to Find Them" (ICLR 2020),
section 8, table 1 and appendix G. This module is the descriptor: what a sweep may ask
for, and how many parameters a model has. It loads neither torch nor ray.
`docs/studies/language-model.md` says what is trained.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sweep.spec import Resources
from sweep.trainables import Trainable

Model = Literal["lstm", "lstm_mi_decoder", "lstm_mi_both"]
Multiplicative = Literal["lstm_mi_decoder", "lstm_mi_both"]
CorpusName = Literal["topics", "wikitext-103"]

_Size = Annotated[int, Field(ge=1, le=65_536)]


class LanguageModelParameters(BaseModel):
    """What the trainable accepts; the defaults are the small size for the stand-in corpus."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    corpus: CorpusName = "topics"
    """`topics` is a stand-in: the help topics that Python's standard library ships."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """The folder with WikiText-103's three token files."""
    model: Model
    hidden: _Size = 256
    embedding: _Size = 128
    context: _Size = 16
    """The width of the output embedding's context c."""
    match: Multiplicative | None = None
    """Widens the plain LSTM until it has as many parameters as this model of the same
    `hidden`, `embedding` and `context`: the control for what size alone gains."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    lr: Annotated[float, Field(gt=0)] = 1e-3
    sequence: _Size = 64
    """The words through which gradients go back."""
    batch_size: _Size = 16
    """The stretches of text that are read side by side."""
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Gradients are scaled down to this norm."""
    eval_every: Annotated[int, Field(ge=1)] = 100
    save_every: Annotated[int, Field(ge=1)] = 500
    """The steps between two saved states; a multiple of `eval_every`."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.corpus == "wikitext-103" and self.path is None:
            raise ValueError(
                "corpus 'wikitext-103' needs path: the folder with wiki.train.tokens, "
                "wiki.valid.tokens and wiki.test.tokens"
            )
        if self.corpus == "topics" and self.path is not None:
            raise ValueError(f"path is {self.path!r}, but corpus 'topics' is read from no path")
        if self.match is not None and self.model != "lstm":
            raise ValueError(
                f"match is {self.match!r}, but model is {self.model!r}: only 'lstm' is widened"
            )
        if self.save_every % self.eval_every:
            raise ValueError(
                f"save_every is {self.save_every}, but must be a multiple of eval_every, "
                f"which is {self.eval_every}"
            )
        return self

    @property
    def width(self) -> int:
        """The hidden units that are trained: `hidden`, or more to match another model."""
        if self.match is None:
            return self.hidden
        return matched_hidden(
            self.match, hidden=self.hidden, embedding=self.embedding, context=self.context
        )


def parameters_of(
    model: Model, *, vocabulary: int, hidden: int, embedding: int, context: int
) -> int:
    """How many numbers a model trains.

    With the published sizes 88, 105 and 110 million, as table 1 has them.
    """
    words = vocabulary * embedding + vocabulary  # tied embeddings, and the output's bias
    lstm = 4 * hidden * (embedding + hidden + 2)
    projection = hidden * embedding + embedding  # V and b of M, or the plain linear layer
    count = words + lstm + projection
    if model in ("lstm_mi_decoder", "lstm_mi_both"):
        count += hidden * context + context  # c = relu(linear(h))
        count += context * hidden * embedding + context * embedding  # W and U of M(c, h)
    if model == "lstm_mi_both":
        count += hidden * (embedding + hidden)  # the diagonal term's two projections
    return count


def matched_hidden(model: Multiplicative, *, hidden: int, embedding: int, context: int) -> int:
    """The width at which the plain LSTM comes closest to a model's parameter count.

    Both have the same vocabulary, which therefore does not matter.
    """

    def count(kind: Model, width: int) -> int:
        return parameters_of(kind, vocabulary=0, hidden=width, embedding=embedding, context=context)

    wanted = count(model, hidden)
    width = hidden
    while count("lstm", width + 1) <= wanted:
        width += 1
    return min((width, width + 1), key=lambda w: abs(count("lstm", w) - wanted))


LANGUAGE_MODEL = Trainable(
    name="language-model",
    description="An LSTM over words, plain or with multiplicative embeddings (ICLR 2020).",
    code="workers.trainables.language_model.training:train",
    parameters=LanguageModelParameters,
    metrics=("valid_perplexity", "test_perplexity", "train_loss", "parameters", "hidden"),
    default_resources=Resources(cpu=1),
    needs_max_t=True,
    reuse_actors=True,
)
