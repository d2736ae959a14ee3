"""The language models, their texts, and how they go on."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from sweep.errors import TrialFault
from sweep.run import NullRun, TrialStop
from sweep.trainables import registered
from workers.trainables.language_model import (
    LANGUAGE_MODEL,
    LanguageModelParameters,
    matched_hidden,
    parameters_of,
)
from workers.trainables.language_model.corpus import (
    END,
    FILES,
    UNKNOWN,
    load,
    read_token_files,
    stand_in,
)
from workers.trainables.language_model.model import LanguageModel, MultiplicativeLSTM
from workers.trainables.language_model.training import perplexity, side_by_side, train

MODELS = ("lstm", "lstm_mi_decoder", "lstm_mi_both")
PUBLISHED = {"vocabulary": 267_735, "hidden": 2048, "embedding": 256, "context": 32}

TRAIN = (
    " \n = Robert <unk> = \n \n Robert <unk> is an English film , "
    "television and theatre actor . \n He had a role in 2000 . \n"
)
VALID = " \n = Homarus = \n \n Homarus is an actor . \n"
TEST = " \n = Robert = \n \n He had a film , a role and a theatre . \n"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in zip(FILES, (TRAIN * 8, VALID * 8, TEST * 8), strict=True):
        (tmp_path / name).write_text(text)
    return tmp_path


def params(**changes: Any) -> dict[str, Any]:
    small = {"hidden": 16, "embedding": 8, "context": 4, "sequence": 8, "batch_size": 4}
    return {"model": "lstm", "eval_every": 5, "save_every": 10, "dropout": 0.3, **small, **changes}


def run_to(max_t: int, run: NullRun | None = None, **changes: Any) -> NullRun:
    run = run or NullRun(seed=3, max_t=max_t)
    with pytest.raises(TrialStop):
        train(params(**changes), run)
    return run


def network(model: Any, vocabulary: int = 50, **changes: Any) -> LanguageModel:
    sizes = {"hidden": 6, "embedding": 5, "context": 3, "dropout": 0.0, **changes}
    return LanguageModel(model, vocabulary=vocabulary, **sizes)


# The texts


def test_token_files_go_in_and_out_unchanged(folder: Path) -> None:
    corpus = read_token_files(folder)
    assert corpus.text(corpus.train) == TRAIN * 8
    assert corpus.text(corpus.test) == TEST * 8
    assert corpus.text(corpus.valid) == (VALID * 8).replace("Homarus", UNKNOWN)
    assert len(corpus.train) == 8 * (len(TRAIN.split()) + TRAIN.count("\n"))
    assert set(corpus.vocabulary) == {END, *TRAIN.split()}
    assert corpus.train.dtype == torch.int32


def test_missing_files_are_named_with_what_to_do(folder: Path) -> None:
    (folder / FILES[1]).unlink()
    with pytest.raises(TrialFault, match=r"no wiki\.valid\.tokens in .*wikitext-103-v1\.zip"):
        read_token_files(folder)
    with pytest.raises(TrialFault, match=r"wiki\.train\.tokens, wiki\.valid\.tokens"):
        train(params(corpus="wikitext-103", path=str(folder / "nowhere")), NullRun())


def test_files_that_are_no_text_or_empty_are_refused(folder: Path) -> None:
    (folder / FILES[2]).write_bytes(b"")
    with pytest.raises(TrialFault, match=r"wiki\.test\.tokens' is empty"):
        read_token_files(folder)
    (folder / FILES[2]).write_bytes(b"\xff\xfe broken")
    with pytest.raises(TrialFault, match="no UTF-8 text"):
        read_token_files(folder)


def test_the_stand_in_keeps_each_paragraph_once_and_whole_topics_together() -> None:
    texts = {f"topic {i}": f"Word{i} " * 30 + "\n****\n\nthe same\nparagraph." for i in range(30)}
    corpus = stand_in(texts)
    parts = [corpus.text(part) for part in (corpus.train, corpus.valid, corpus.test)]
    assert "".join(parts).count("\n") == 31
    owners = [[f"word{i} word{i}" in part for part in parts] for i in range(30)]
    assert all(sum(owner) <= 1 for owner in owners)
    assert sum(owner[0] for owner in owners) == 24  # 80% of topics of one size
    assert "*" not in corpus.vocabulary
    assert UNKNOWN in parts[1]
    assert UNKNOWN in parts[2]


def test_the_stand_in_is_the_same_every_time_and_its_parts_do_not_overlap() -> None:
    corpus = load("topics", None)
    again = load.__wrapped__("topics", None)
    assert corpus.vocabulary == again.vocabulary
    assert torch.equal(corpus.train, again.train)
    total = len(corpus.train) + len(corpus.valid) + len(corpus.test)
    assert 0.75 < len(corpus.train) / total < 0.85
    assert 0.07 < len(corpus.valid) / total < 0.13
    lines = [set(corpus.text(part).split(" \n")) for part in (corpus.train, corpus.test)]
    shared = {line for line in lines[0] & lines[1] if UNKNOWN not in line and len(line) > 80}
    assert not shared


def test_stretches_are_read_side_by_side() -> None:
    found = side_by_side(torch.arange(11), 3)
    assert found.tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    with pytest.raises(TrialFault, match="11 words cannot be cut into 6 stretches"):
        side_by_side(torch.arange(11), 6)


# The models


@pytest.mark.parametrize("model", MODELS)
def test_parameters_are_counted_without_building(model: Any) -> None:
    sizes = {"vocabulary": 50, "hidden": 6, "embedding": 5, "context": 3}
    built = sum(p.numel() for p in network(model).parameters())
    assert built == parameters_of(model, **sizes)


def test_published_sizes_give_the_published_counts() -> None:
    counts = [round(parameters_of(m, **PUBLISHED) / 1e6) for m in MODELS]  # type: ignore[arg-type]
    assert counts == [88, 105, 110]


@pytest.mark.parametrize("model", MODELS[1:])
def test_a_matched_lstm_has_as_many_parameters(model: Any) -> None:
    sizes = {"hidden": 2048, "embedding": 256, "context": 32}
    width = matched_hidden(model, **sizes)
    wanted = parameters_of(model, vocabulary=99, **sizes)

    def off(hidden: int) -> int:
        return abs(wanted - parameters_of("lstm", vocabulary=99, **{**sizes, "hidden": hidden}))

    assert off(width) <= min(off(width - 1), off(width + 1))
    assert 2700 < width < 3200  # the paper: "the same as adding 1000 hidden units"
    read = LanguageModelParameters.model_validate(params(match=model, **sizes))
    assert read.width == width


def test_embeddings_are_tied() -> None:
    model = network("lstm_mi_both")
    shapes = [p.shape for p in model.parameters() if 50 in p.shape]
    assert shapes == [(50,), (50, 5)] or shapes == [(50, 5), (50,)]
    words = torch.zeros(2, 1, dtype=torch.int32)
    total, _ = model(words, words + 1, model.first_state(1))
    total.backward()
    grad = model.embedding.weight.grad
    assert grad is not None
    assert grad[7].abs().sum() > 0  # a word that was neither read nor wanted, through the softmax


def test_the_recurrence_is_nn_lstm_when_the_diagonal_term_is_off() -> None:
    torch.manual_seed(0)
    plain = nn.LSTM(5, 6).double()
    ours = MultiplicativeLSTM(5, 6).double()
    missing = ours.load_state_dict(plain.state_dict(), strict=False)
    assert missing.missing_keys == ["input_factor", "state_factor"]
    x = torch.randn(7, 3, 5, dtype=torch.float64)
    state = (torch.randn(1, 3, 6).double(), torch.randn(1, 3, 6).double())
    different, _ = ours(x, state)
    with torch.no_grad():
        ours.input_factor.zero_()
    (found, (h, c)), (wanted, (h0, c0)) = ours(x, state), plain(x, state)
    for a, b in ((found, wanted), (h, h0), (c, c0)):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(different, wanted)


def test_the_recurrence_is_the_formula() -> None:
    torch.manual_seed(1)
    ours = MultiplicativeLSTM(5, 6).double()
    x = torch.randn(2, 1, 5, dtype=torch.float64)
    h, c = torch.randn(1, 1, 6).double(), torch.randn(1, 1, 6).double()
    found, _ = ours(x, (h, c))
    a, b = ours.input_factor, ours.state_factor
    for t in range(2):
        z, state = x[t, 0], h.flatten()
        mixed = state + (a @ z) * (b @ state)
        gates = ours.weight_ih_l0 @ z + ours.weight_hh_l0 @ mixed
        entry, forget, new, leave = (gates + ours.bias_ih_l0 + ours.bias_hh_l0).chunk(4)
        c = forget.sigmoid() * c.flatten() + entry.sigmoid() * new.tanh()
        h = leave.sigmoid() * c.tanh()
        torch.testing.assert_close(found[t, 0], h)


def test_a_multiplicative_decoder_without_w_and_u_is_the_linear_one() -> None:
    plain, ours = network("lstm").double(), network("lstm_mi_decoder").double()
    with torch.no_grad():
        ours.project.interaction.weight.zero_()  # type: ignore[union-attr]
        ours.project.interaction.context_weight.zero_()  # type: ignore[union-attr]
        ours.project.interaction.input_weight.copy_(plain.project.linear.weight.t())  # type: ignore
        ours.project.interaction.bias.copy_(plain.project.linear.bias)  # type: ignore
    h = torch.randn(4, 2, 6, dtype=torch.float64)
    torch.testing.assert_close(ours.project(h), plain.project(h))


@pytest.mark.parametrize("model", MODELS)
def test_an_untrained_model_finds_every_word_as_likely(model: Any) -> None:
    torch.manual_seed(2)
    built = network(model, vocabulary=500, hidden=32, embedding=16)
    text = torch.randint(0, 500, (40, 8))
    assert perplexity(built, text) == pytest.approx(500, rel=0.1)


def test_perplexity_carries_the_state_over_pieces() -> None:
    torch.manual_seed(2)
    built = network("lstm")
    nn.init.normal_(built.embedding.weight)
    text = torch.randint(0, 50, (300, 2))  # longer than one piece
    total, _ = built(text[:-1], text[1:], built.first_state(2))
    assert perplexity(built, text) == pytest.approx(math.exp(total.item() / 598), rel=1e-5)


def test_a_softmax_in_stretches_gives_the_same_loss_and_gradients() -> None:
    torch.manual_seed(3)
    whole = network("lstm_mi_decoder").double()
    cut = network("lstm_mi_decoder", logits_at_once=150).double()
    cut.load_state_dict(whole.state_dict())
    words, following = torch.randint(0, 50, (2, 5, 2))
    losses = [m(words, following, m.first_state(2))[0] for m in (whole, cut)]
    torch.testing.assert_close(losses[0], losses[1])
    for loss in losses:
        loss.backward()
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


# The trainings


@pytest.mark.parametrize("model", MODELS)
def test_a_short_training_learns(model: Any, folder: Path) -> None:
    changes = {"corpus": "wikitext-103", "path": str(folder), "lr": 0.02, "dropout": 0.0}
    reports = run_to(100, model=model, **changes).reports
    first, last = reports[0][1], reports[-1][1]
    assert tuple(last) == LANGUAGE_MODEL.metrics
    assert last["train_loss"] < first["train_loss"] / 2
    words = len(read_token_files(folder).vocabulary)
    assert min(values["test_perplexity"] for _, values in reports) < 0.7 * words
    assert last["hidden"] == 16
    assert last["parameters"] == parameters_of(
        model, vocabulary=words, hidden=16, embedding=8, context=4
    )


def test_a_matched_training_reports_its_width() -> None:
    reports = run_to(2, match="lstm_mi_both").reports
    width = matched_hidden("lstm_mi_both", hidden=16, embedding=8, context=4)
    assert [step for step, _ in reports] == [2]  # the last step is evaluated off the beat
    assert reports[0][1]["hidden"] == width > 16


@pytest.mark.parametrize("model", MODELS)
def test_a_resumed_training_goes_on_to_the_bit(model: Any, folder: Path) -> None:
    changes = {"corpus": "wikitext-103", "path": str(folder), "model": model}
    whole = run_to(15, **changes)
    state = whole.restore()
    assert state is not None
    assert state["step"] == 10
    resumed = NullRun(seed=3, max_t=15)
    resumed.save(state)
    torch.manual_seed(99)  # whatever happened in the process before
    run_to(15, resumed, **changes)
    assert resumed.reports == whole.reports[-1:]


def test_training_leaves_the_generator_of_its_process_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run_to(1)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_differ_and_repeat() -> None:
    first, again, other = (run_to(2, NullRun(seed=s, max_t=2)).reports for s in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"corpus": "wikitext-103"}, "needs path"),
        ({"path": "/data"}, "read from no path"),
        ({"match": "lstm_mi_both", "model": "lstm_mi_decoder"}, "only 'lstm' is widened"),
        ({"save_every": 7}, "multiple of eval_every, which is 5"),
        ({"model": "gru"}, "lstm_mi_both"),
        ({"dropout": 1.0}, "less than 1"),
        ({"lr": 0}, "greater than 0"),
        ({"layers": 2}, "not permitted"),
    ],
)
def test_bad_parameters_say_what_is_wrong(changes: dict[str, Any], says: str) -> None:
    LanguageModelParameters.model_validate(params())
    with pytest.raises(ValidationError, match=says):
        LanguageModelParameters.model_validate(params(**changes))


def test_it_is_registered() -> None:
    assert registered()["language-model"] is LANGUAGE_MODEL
