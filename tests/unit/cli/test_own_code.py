"""`sweep submit --code` against the real app, and `sweep run` with none."""

import json
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from service.auth import new_driver_token
from service.store.interface import Store
from sweep.cli import own_code
from sweep.cli.app import app as cli
from sweep.cli.output import exit_code
from sweep.client import Client
from sweep.documents import spec_data
from sweep.errors import BadCode, SpecError
from tests.unit.store.builders import LEASE, START
from workers.driver.code import WrongCode, fetch
from workers.driver.service import DriverService

TRAIN = """
def fn(params, run):
    print("hello from the training")
    for step in range(1, 6):
        run.report(step, score=params["x"] * step, lr=params["net"]["lr"])

def no_run(params):
    pass

def breaks(params, run):
    run.report(1, score=params["absent"])

def exits(params, run):
    raise SystemExit(0)

def diverges(params, run):
    run.report(1, score=float("inf"))
"""
SPEC = """
name: own
trainable: train:fn
metric: {name: score, mode: max, target: 8}
parameters: {x: {grid: [2, 3]}, net: {lr: 0.5}}
early_stopping: {type: none, max_t: 4}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "mine"
    made.mkdir()
    (made / "train.py").write_text(TRAIN)
    (made / "script.py").write_text(
        "import sweep\nrun = sweep.run(defaults={'y': 1})\n"
        "run.report(1, score=run.params['x'] + run.params['y'])\n"
    )
    (made / "broken.py").write_text("import certainly_absent\n")
    (made / "spec.yaml").write_text(SPEC)
    monkeypatch.chdir(made)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "train", raising=False)
    return made


class Editable(MetaPathFinder):
    """What an editable installation puts before the folders of packages."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != self._file.stem:
            return None
        return spec_from_file_location(fullname, self._file)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, list(arguments))


def tried(*arguments: str) -> dict[str, Any]:
    result = run("run", *arguments, "--json")
    found: dict[str, Any] = json.loads(result.stdout)
    return {**found, "exit": result.exit_code}


def test_a_folder_that_cannot_be_packed_is_bad_usage(folder: Path, url: str) -> None:
    (folder / "empty").mkdir()
    result = run("submit", "spec.yaml", "--code", "empty")
    assert isinstance(result.exception, BadCode)
    assert exit_code(result.exception) == 2


def test_bytes_go_from_a_folder_to_a_driver(
    folder: Path, url: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run("submit", "spec.yaml", "--code", ".", "--json")
    assert result.exit_code == 0, result.output
    sweep = json.loads(result.stdout)
    assert sweep["spec"]["code"].startswith("sha256:")
    secret, token_hash = new_driver_token()
    store.start_driver(sweep["id"], after_epoch=0, token_hash=token_hash, now=START, lease=LEASE)
    service = DriverService(url, secret)
    spec = service.assignment().spec
    file = fetch(service, spec, tmp_path / "driver")
    assert file is not None
    assert service.assignment().code == "train:fn"
    packed = spec.model_copy(update={"pack": 4})
    monkeypatch.setattr(sys, "path", list(sys.path))
    fetch(service, packed, tmp_path / "packed")
    assert Path(sys.path[0], "train.py").read_text() == TRAIN
    with pytest.raises(WrongCode, match="what came is"):
        fetch(service, spec.model_copy(update={"code": f"sha256:{'0' * 64}"}), tmp_path)
    assert fetch(service, spec.model_copy(update={"code": None}), tmp_path) is None
    service.close()


def test_the_same_code_is_sent_once(
    folder: Path, client: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.submit(folder / "spec.yaml", code=folder)
    again = client.submit(folder / "spec.yaml", code=folder)
    assert first.spec.code == again.spec.code
    assert [e.kind for e in store.list_events().items].count("code.added") == 1
    assert client.dry_run(folder / "spec.yaml", code=folder).trials == 2
    (folder / "sweep.py").touch()
    with pytest.raises(BadCode, match=r"'sweep\.py' hides a package"):
        client.upload_code(folder)
    (folder / "sweep.py").unlink()
    (folder / "train.py").write_text("")
    with pytest.raises(SpecError, match="defines no 'fn'"):
        client.dry_run(folder / "spec.yaml", code=folder)
    with pytest.raises(SpecError, match="defines no 'fn'"):
        client.submit(folder / "spec.yaml", code=folder)


def test_a_local_module_is_told_of_where_no_worker_may_have_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    far, file = "https://sweeps.example", folder / "spec.yaml"
    spec = spec_data(file)
    monkeypatch.chdir(folder.parent)
    own_code.check_reachable(spec, url=far)
    assert capsys.readouterr().err == ""
    own_code.check_reachable(spec, url=far, beside=file)
    told = capsys.readouterr().err
    assert told.startswith("warning: module 'train' is a file in ")
    assert f"workers of {far} have it" in told
    assert f"--code {folder}\n" in told
    monkeypatch.chdir(folder)
    own_code.check_reachable(spec, url="http://127.0.0.1:8080")
    for trainable in ("json:dumps", "elsewhere:fn", "noop"):
        own_code.check_reachable({**spec, "trainable": trainable}, url=far)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Editable(folder / "train.py")])
    own_code.check_reachable(spec, url=far)
    assert capsys.readouterr().err == ""


def test_a_function_is_tried(folder: Path) -> None:
    found = tried("train:fn", "-p", "x=1e-1", "-p", "net.lr=2", "--max-t", "3")
    assert (found["exit"], found["state"], found["reason"]) == (0, "completed", "reached max_t 3")
    assert found["parameters"] == {"x": 0.1, "net": {"lr": 2}}
    assert [report["step"] for report in found["reports"]] == [1, 2, 3]
    result = run("run", "train:fn", "-p", "x=1", "-p", "net.lr=2")
    assert "hello from the training" in result.stdout
    assert "step 1: lr 2, score 1" in result.stdout
    assert "completed: finished; 5 reports in" in result.stdout
    assert "last, at step 5: lr 2, score 5" in result.stdout


def test_a_script_is_tried(folder: Path) -> None:
    found = tried("script.py", "-p", "x=2", "--seed", "7")
    assert (found["exit"], found["seed"]) == (0, 7)
    assert found["reports"] == [{"step": 1, "values": {"score": 3.0}}]


def test_the_first_trial_of_a_spec_is_tried(folder: Path) -> None:
    found = tried("--spec", "spec.yaml")
    assert (found["parameters"], found["reason"]) == (
        {"x": 2, "net": {"lr": 0.5}},
        "reached max_t 4",
    )
    assert tried("--spec", "spec.yaml", "-p", "x=4")["reason"] == "reached the target"
    result = run("run", "--spec", "spec.yaml", "-p", "net.lr=1")
    assert "best, at step 4: lr 1, score 8" in result.stdout


def test_what_is_given_decides_the_conditions_of_the_spec(folder: Path) -> None:
    spec = yaml.safe_load((folder / "spec.yaml").read_text())
    spec["parameters"]["y"] = {"when": "x > 3", "grid": [6, 7]}
    spec["exclude"] = ["x == 9"]
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    assert "y" not in tried("--spec", "spec.yaml")["parameters"]
    assert tried("--spec", "spec.yaml", "-p", "x=4")["parameters"]["y"] in (6, 7)
    given = tried("--spec", "spec.yaml", "-p", "x=4", "-p", "y=1")["parameters"]
    assert (given["x"], given["y"], given["net"]) == (4, 1, {"lr": 0.5})
    for wrong, message in ((["y=1"], "is absent"), (["x=9"], "leaves this out: x == 9")):
        result = run("run", "--spec", "spec.yaml", *(f"-p{one}" for one in wrong))
        assert isinstance(result.exception, SpecError)
        assert message in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent:fn"], "no module 'absent'"),
        (["train:absent"], "no function 'absent'"),
        (["broken:fn"], "certainly_absent"),
        (["train:no_run"], "function of (params, run)"),
        (["absent.py"], "no script 'absent.py'"),
        (["nonsense"], "there is no trainable 'nonsense'"),
        (["noop", "-p", "nonsense=1"], "parameters.nonsense"),
        (["--spec", "spec.yaml", "-p", "y=1"], "is no parameter of the spec"),
        (["train:fn", "-p", "x=1", "-p", "x.y=1"], "leads through"),
        (["train:fn", "-p", "x=.nan"], "x"),
        ([], "name what to train"),
    ],
)
def test_bad_usage_says_what_is_wrong(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    from sweep.cli.app import main

    monkeypatch.setattr("sys.argv", ["sweep", "run", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_a_failure_shows_the_users_frames_and_a_hint(folder: Path) -> None:
    result = run("run", "train:breaks", "-p", "x=1")
    assert result.exit_code == 1
    assert "line 11, in breaks" in result.stderr
    assert "trying.py" not in result.stderr
    assert "add -p absent=VALUE" in result.stderr
    assert "failed: KeyError: 'absent'; 0 reports" in result.stdout
    diverged = run("run", "train:diverges")
    assert (diverged.exit_code, "diverged: diverged at step 1" in diverged.stdout) == (1, True)


def test_a_function_that_exits_has_failed(folder: Path) -> None:
    found = tried("train:exits")
    assert (found["exit"], found["state"], found["reason"]) == (1, "failed", "SystemExit: 0")
    assert "in exits" in found["error"]


def test_what_is_not_finite_is_no_number_in_json(folder: Path) -> None:
    found = tried("train:diverges")
    report = {"step": 1, "values": {"score": None}, "nonfinite": {"score": "inf"}}
    assert (found["state"], found["reports"]) == ("diverged", [report])
