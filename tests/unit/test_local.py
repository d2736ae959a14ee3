"""A whole sweep in one process: packed or not, the same trials with the same results."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import studies
from sweep.loading import load_yaml
from sweep.rows import TrialRow
from sweep.spec import parse_spec
from sweep.states import TrialState
from sweep.submission import read_submission
from sweep.trainables import registered
from workers.driver.running import RunningSweep
from workers.fusion.evaluation import Evaluation
from workers.fusion.pack import Pack
from workers.local import Options, main, run

LINE = "tests.unit.fusion.trainings:line"


def trials(spec: dict[str, Any], **options: Any) -> list[TrialRow]:
    submission = read_submission(spec, trainables=registered(), max_trials=1_000)
    return list(run(submission, Options(**options)).rows.values())


def line_spec(**fields: Any) -> dict[str, Any]:
    return {
        "name": "line",
        "trainable": LINE,
        "metric": {"name": "loss", "mode": "min"},
        "parameters": {
            "half": {"grid": [0, 1]},
            "lr": {"grid": [1e-3, 1e-2, 3e-2, 1e-1, 1e3]},
        },
        "early_stopping": {"type": "none", "max_t": 60},
        **fields,
    }


RULES = {
    "none": {"type": "none", "max_t": 60, "group_by": ["half"]},
    "halving": {
        "type": "halving",
        "grace_period": 10,
        "max_t": 60,
        "reduction_factor": 2,
        "group_by": ["half"],
        "restart_winner": {"max_t": 80},
    },
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pack", [1, 2, 3, 7, "auto"])
def test_a_sweep_ends_alike_however_it_is_packed(rule: str, pack: Any) -> None:
    """With a pack size of 2 or 3 groups of five span packs, and members wait and come back."""
    fields = {"early_stopping": RULES[rule], "replicates": 1}
    alone = trials(line_spec(pack="off", **fields))
    packed = trials(line_spec(pack=pack, **fields))
    assert len(packed) == len(alone)
    by_index = {row.index: row for row in packed}
    for ours in alone:
        if ours.parent is None:
            theirs = by_index[ours.index]
        else:  # winners are restarted in the order in which their groups end
            (theirs,) = [row for row in packed if row.parent == ours.parent]
        assert (theirs.state, theirs.reason) == (ours.state, ours.reason)
        assert (theirs.step, theirs.reports) == (ours.step, ours.reports)
        assert theirs.last["loss"] == pytest.approx(ours.last["loss"], rel=1e-3)
        assert (theirs.pack is not None) == (pack != 1)


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "none", "max_t": 60, "plateau": {"patience": 2, "min_delta": 0.01}},
        {"type": "halving", "grace_period": 20, "max_t": 60, "restart_winner": {"max_t": 80}},
    ],
    ids=["plateau", "halving"],
)
def test_replicates_and_plateaus_end_alike_packed_or_alone(rule: dict[str, Any]) -> None:
    fields = {
        "early_stopping": rule,
        "replicates": 2,
        "parameters": {"lr": {"grid": [1e-3, 1e-2, 1e-1]}},
    }
    alone = trials(line_spec(pack="off", **fields))
    packed = trials(line_spec(pack=3, **fields))
    ends = [
        sorted((r.assignment, r.replicate, r.origin, str(r.state), r.reason, r.step) for r in rows)
        for rows in (alone, packed)
    ]
    assert ends[0] == ends[1]
    if rule["type"] == "none":
        assert {row.reason for row in alone} == {"plateau", "max_t"}
    else:
        assert len([row for row in alone if row.parent is not None]) == 2
        stopped = {row.assignment for row in alone if row.reason == "rung"}
        assert {row.reason for row in alone if row.assignment in stopped} == {"rung"}


def test_members_stopped_by_asha_leave_and_others_take_their_place() -> None:
    spec = line_spec(
        pack=4,
        early_stopping={"type": "asha", "grace_period": 10, "max_t": 60, "min_peers": 1},
    )
    rows = trials(spec)
    assert {row.state for row in rows} <= {
        TrialState.COMPLETED,
        TrialState.STOPPED,
        TrialState.DIVERGED,
    }
    assert any(row.state is TrialState.STOPPED for row in rows)
    assert len({row.pack for row in rows}) < len(rows)
    for row in rows:
        assert row.reports == (row.step or 0) / 5


def test_a_budget_ends_the_sweep_and_cancels_what_is_left() -> None:
    submission = read_submission(
        line_spec(pack="off", budget={"trial_steps": 70}), trainables=registered(), max_trials=10
    )
    ledger = run(submission, Options())
    rows = list(ledger.rows.values())
    assert ledger.reason is not None
    assert ledger.reason.startswith("budget: ")
    assert 70 <= ledger.steps < 70 + 60
    ended = [(row.state, row.reason) for row in rows]
    assert ended[0] == (TrialState.COMPLETED, "max_t")
    assert ended[-1] == (TrialState.CANCELLED, ledger.reason)


def test_a_budget_of_trials_leaves_the_others_untrained() -> None:
    rows = trials(line_spec(pack="off", budget={"trials": 3}))
    assert [row.state for row in rows] == [TrialState.COMPLETED] * 3 + [TrialState.CANCELLED] * 7


@pytest.mark.parametrize(
    ("trouble", "attempts", "words"),
    [
        ("model", 2, "no such model"),
        ("evaluation", 2, "no such evaluation"),
        ("width", 1, "different networks"),
    ],
)
def test_a_members_trouble_is_its_own(trouble: str, attempts: int, words: str) -> None:
    parameters = {"trouble": {"grid": ["none", trouble, "none again"]}}
    spec = line_spec(
        trainable="tests.unit.fusion.trainings:picky",
        parameters=parameters,
        pack=3,
        max_failures=1,
    )
    rows = trials(spec)
    if trouble == "width":  # what none alone is to blame for stops the whole pack, and says so
        assert all(row.state is TrialState.FAILED and words in str(row.error) for row in rows)
        return
    states = [row.state for row in rows]
    assert states == [TrialState.COMPLETED, TrialState.FAILED, TrialState.COMPLETED]
    assert rows[1].attempts == attempts
    assert words in str(rows[1].error)


@pytest.mark.parametrize("trouble", ["lr", "optimizer"])
def test_a_bad_parameter_costs_its_own_trial_alone(trouble: str) -> None:
    parameters = {"lr": 0.01, trouble: {"grid": [0.02 if trouble == "lr" else "adam", "bad"]}}
    rows = trials(line_spec(parameters=parameters, replicates=2, pack=4, max_failures=0))
    states = [row.state for row in rows]
    assert states == [TrialState.COMPLETED] * 2 + [TrialState.FAILED] * 2
    assert "'bad'" in str(rows[2].error)


def test_what_kills_a_pack_after_some_steps_is_found_by_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trial 3 brings down whatever pack it trains in at step 20."""
    real, sizes = Pack.advance, []

    def advance(self: Pack, held: frozenset[int] = frozenset()) -> list[Evaluation]:
        evaluations = real(self, held)
        if any(e.key == 3 and e.step == 20 for e in evaluations):
            sizes.append(len(self))
            raise RuntimeError("the process died")
        return evaluations

    monkeypatch.setattr(Pack, "advance", advance)
    rows = trials(line_spec(parameters={"lr": 0.01}, replicates=8, pack="auto", max_failures=0))
    assert sizes == [8, 4, 2]
    assert [row.index for row in rows if row.pack is None] == [2, 3]
    assert {(row.state, row.reports, row.failures) for row in rows} == {
        (TrialState.COMPLETED, 12, 0)
    }


def test_no_more_members_are_taken_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.fusion.pack.host_capacity", lambda each: 3)
    rows = trials(line_spec(parameters={"lr": 0.01}, replicates=8, pack="auto"))
    assert {row.state for row in rows} == {TrialState.COMPLETED}
    assert {row.attempts for row in rows} == {1}
    sizes = [sum(row.pack == pack for row in rows) for pack in {row.pack for row in rows}]
    assert max(sizes) <= 8


def test_a_pack_has_no_more_members_than_the_spec_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    real, most = Pack.advance, []

    def advance(self: Pack, held: frozenset[int] = frozenset()) -> list[Evaluation]:
        most.append(len(self))
        return real(self, held)

    monkeypatch.setattr(Pack, "advance", advance)
    trials(line_spec(parameters={"lr": 0.01}, replicates=12, pack=2))
    assert max(most) == 2


def test_no_more_trials_run_at_once_than_the_spec_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    real, most = Pack.advance, []

    def advance(self: Pack, held: frozenset[int] = frozenset()) -> list[Evaluation]:
        most.append(len(self))
        return real(self, held)

    monkeypatch.setattr(Pack, "advance", advance)
    rows = trials(line_spec(parameters={"lr": 0.01}, replicates=9, pack="auto", max_concurrent=2))
    assert {row.state for row in rows} == {TrialState.COMPLETED}
    assert max(most) == 2


def test_a_full_disk_fails_the_trial_and_not_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*rest: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workers.driver.checkpoints.Checkpoints.save", save)
    rows = trials(line_spec(parameters={"lr": 0.01}, replicates=2, pack=2, max_failures=0))
    assert {row.state for row in rows} == {TrialState.FAILED}
    assert "No space left on device" in str(rows[0].error)


def test_asking_to_pack_a_plain_function_fails_with_what_to_do() -> None:
    spec = line_spec(trainable="workers.trainables.noop_train:train", pack=4)
    rows = trials(spec)
    assert all("it is no workers.fusion.Packable" in str(row.error) for row in rows)


def test_a_sample_takes_whole_groups() -> None:
    spec = line_spec(early_stopping=RULES["none"])
    rows = trials(spec, sample=0.5, seed=3)
    assert len({row.group for row in rows}) == 1
    assert len(rows) == 5


def local(folder: Path, spec: str, *options: str) -> "subprocess.CompletedProcess[str]":
    (folder / "spec.yaml").write_text(spec)
    script = (
        "import sys, runpy\n"
        "sys.argv = ['workers.local', *sys.argv[1:]]\n"
        "try:\n"
        "    runpy.run_module('workers.local', run_name='__main__')\n"
        "finally:\n"
        "    bad = {'ray', 'httpx', 'rich', 'typer', 'tenacity', 'sqlalchemy', 'fastapi',"
        " 'platformdirs', 'pandas', 'psutil', 'scipy', 'simpleeval', 'lark', 'jinja2'}\n"
        "    print('LOADED', sorted(bad & set(sys.modules)), file=sys.stderr)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, str(folder / "spec.yaml"), *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )


def small_study() -> str:
    study = load_yaml(studies.read("arithmetic-quickstart"))
    spec = parse_spec(study).model_dump(mode="json", exclude_none=True)
    spec["parameters"]["network"] = {"grid": [{"type": "multiply_simple"}]}
    spec["early_stopping"]["max_t"] = 500
    return json.dumps(spec)


NOOPS = json.dumps(
    {
        "name": "noop",
        "trainable": "noop",
        "metric": {"name": "value", "mode": "max"},
        "parameters": {"x": {"grid": [1.0, 2.0]}},
    }
)


@pytest.mark.slow
def test_the_command_writes_the_studys_own_csv_and_needs_no_ray(tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    ended = local(tmp_path, small_study(), "--out", str(out), "--layout", "published")
    assert ended.returncode == 0, ended.stderr
    assert "LOADED []" in ended.stderr
    assert "10 of 10 trials ended" in ended.stderr
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [row["task"] for row in rows] == ["logical_xor", "elementwise_mul"]
    assert float(rows[1]["accuracy"]) > 0.99


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        ("name: x", (), "trainable"),
        ("name: [", (), "error"),
        (small_study(), ("--sample", "2"), "--sample is 2.0"),
        (small_study(), ("--device", "abacus"), "--device is 'abacus'"),
        (small_study(), ("--device", "meta"), "--device is 'meta'"),
        pytest.param(
            *(small_study(), ("--device", "cuda:0"), "--device is 'cuda:0', which PyTorch cannot"),
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        (small_study(), ("--threads", "0"), "--threads is 0: 1 or more are needed"),
        (small_study(), ("--out", "no/such/folder/rows.csv"), "--out is no/such/folder/rows.csv"),
        (NOOPS, ("--layout", "published"), "trainable 'noop' declares no published layout"),
    ],
)
def test_bad_input_says_what_is_wrong(
    tmp_path: Path, spec: str, options: tuple[str, ...], words: str
) -> None:
    ended = local(tmp_path, spec, *options)
    assert ended.returncode == 2
    assert "error: " in ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "trials ended" not in ended.stderr


def test_an_error_of_the_program_itself_is_not_dressed_as_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan_next(self: RunningSweep) -> None:
        return None

    (tmp_path / "spec.json").write_text(NOOPS)
    monkeypatch.setattr(RunningSweep, "plan_next", plan_next)
    monkeypatch.setattr(sys, "argv", ["workers.local", str(tmp_path / "spec.json")])
    with pytest.raises(RuntimeError, match="trials are left and none can go on"):
        main()


def test_a_checkout_that_is_not_installed_knows_its_trainables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.json").write_text(NOOPS)
    monkeypatch.setattr("workers.local.registered", dict)
    monkeypatch.setattr(sys, "argv", ["workers.local", str(tmp_path / "spec.json")])
    assert main() == 0
    assert "2 of 2 trials ended" in capsys.readouterr().err


def test_results_go_to_standard_output_without_a_file(tmp_path: Path) -> None:
    ended = local(tmp_path, NOOPS)
    assert ended.returncode == 0, ended.stderr
    rows = list(csv.DictReader(io.StringIO(ended.stdout)))
    assert [row["best"] for row in rows] == ["1.0", "2.0"]
