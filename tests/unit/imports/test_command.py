"""`sweep import`, through `main`, with its exit code and streams."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.cli.app import main
from sweep.client import Client
from sweep.loading import load_yaml
from sweep.spec import parse_spec
from tests.unit.cli.conftest import client, trainables, url
from tests.unit.imports.drawing import FILES

__all__ = ["client", "trainables", "url"]  # fixtures

Run = Callable[..., tuple[int, str, str]]

TOY = """\
method: random
run_cap: 3
metric: {name: score, goal: maximize}
parameters: {x: {distribution: uniform, min: 0, max: 1}, kind: {values: [a, b]}}
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def invoke(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["sweep", "import", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return invoke


@pytest.mark.parametrize(
    "file", sorted(FILES.glob("*/*.yaml")), ids=lambda f: f"{f.parent.name}-{f.stem}"
)
def test_every_file_becomes_a_spec(run: Run, file: Path) -> None:
    code, out, err = run(file.parent.name, str(file))
    assert code == 0
    parse_spec(load_yaml(out))
    warnings = err.splitlines()
    assert all(line.startswith("warning: ") for line in warnings)
    assert all(f"# {line.removeprefix('warning: ')}" in out for line in warnings)


def test_strict_takes_warnings_for_errors(run: Run) -> None:
    known = ("--trainable", "noop", "--strict")
    code, out, err = run("wandb", str(FILES / "wandb/nested.yaml"), *known)
    assert (code, out) == (2, "")
    assert "would differ from its source, which --strict does not allow" in err
    assert "parameters.model.width: is called 'model_width' here" in err
    code, out, err = run("wandb", str(FILES / "wandb/logs.yaml"), *known)
    assert (code, err) == (0, "")
    assert parse_spec(load_yaml(out)).trainable == "noop"


def test_a_file_that_is_none_is_refused(run: Run, tmp_path: Path) -> None:
    code, _, err = run("katib", str(tmp_path / "none.yaml"))
    assert code == 2
    assert "none.yaml cannot be read: No such file or directory" in err
    broken = tmp_path / "broken.yaml"
    broken.write_text("method: [")
    code, _, err = run("wandb", str(broken))
    assert code == 2
    assert "not valid YAML at line" in err
    code, _, err = run("optuna", f"sqlite:///{tmp_path}/none.db", "--study", "none")
    assert code == 2
    assert "none.db' cannot be opened: there is no file" in err


def test_a_spec_that_cannot_be_written_is_an_error(run: Run, tmp_path: Path) -> None:
    code, out, err = run("wandb", str(FILES / "wandb/logs.yaml"), "-o", str(tmp_path))
    assert (code, out) == (2, "")
    assert "cannot be written: Is a directory" in err


def test_it_can_be_written_and_posted(run: Run, client: Client, tmp_path: Path) -> None:
    file, made = tmp_path / "toy.yaml", tmp_path / "spec.yaml"
    file.write_text(TOY)
    code, out, err = run(
        "wandb", str(file), "--trainable", "toy", "--submit", "--strict", "-o", str(made)
    )
    assert (code, out, err) == (0, "", "sweep id1: 3 trials, queued\n")
    assert client.sweep("id1").spec == parse_spec(load_yaml(made.read_text()))


def test_a_script_is_posted_with_its_folder(run: Run, client: Client, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sweep\n\nsweep.run()\n")
    file = tmp_path / "toy.yaml"
    file.write_text(f"program: train.py\n{TOY}")
    code, _, err = run("wandb", str(file), "--submit", "--code", str(tmp_path))
    assert (code, err) == (0, "sweep id1: 3 trials, queued\n")
    sent = client.sweep("id1").spec
    assert (sent.trainable, sent.code is None) == ("train.py", False)
    code, _, err = run("wandb", str(file), "--code", str(tmp_path))
    assert code == 2
    assert "add --submit" in err


def test_a_function_that_workers_may_not_have_is_warned_of(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_URL", "https://sweeps.invalid")
    (tmp_path / "only_here.py").write_text("def fn(params, run): ...\n")
    (tmp_path / "toy.yaml").write_text(TOY)
    _, _, err = run("wandb", "toy.yaml", "--trainable", "only_here:fn", "--submit")
    assert "by --code" in err


def test_what_an_older_yaml_reads_differently_is_listed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    values = "[yes, 010, 1_000, 1e-4, 'no', \"011\", 1.5, null, yes]"
    file.write_text(TOY.replace("[a, b]", values) + "name: !!str 0x10\n")
    code, out, err = run("wandb", str(file), "--trainable", "toy")
    assert code == 0
    assert err.splitlines() == [
        f"warning: parameters.kind.values[{i}]: {written!r} is {here} here and {older} in YAML "
        "1.1, which W&B reads: write what is meant, a text in quotes"
        for i, written, here, older in (
            (0, "yes", "'yes'", "True"),
            (1, "010", "10", "8"),
            (2, "1_000", "'1_000'", "1000"),
            (3, "1e-4", "0.0001", "'1e-4'"),
        )
    ]
    assert "# parameters.kind.values[0]: 'yes' is 'yes' here" in out
