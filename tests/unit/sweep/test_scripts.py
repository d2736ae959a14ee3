"""Functions and scripts by name, and what a script sees of its sweep."""

import subprocess
import sys
from pathlib import Path

import pytest

import sweep
from sweep.current import installed
from sweep.entry import load_code, script
from sweep.errors import SpecError, TrialFault
from sweep.run import NullRun, TrialStop
from sweep.spec import parse_spec
from sweep.trainables import check_spec, find, is_script

SCRIPT = """
import sys
import sweep
import beside

if __name__ == "__main__":
    run = sweep.run(defaults={"lr": 0.5, "steps": 3})
    assert len(sys.argv) == 1
    for step in range(1, run.params["steps"] + 1):
        run.report(step, loss=beside.loss(run.params["lr"], step))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "beside.py").write_text("def loss(lr, step):\n    return 1 - lr * step\n")
    return tmp_path


@pytest.fixture(autouse=True)
def _no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "beside", raising=False)


def test_a_script_gets_its_trials_run_and_parameters(folder: Path) -> None:
    run = NullRun(seed=3, max_t=2)
    argv, path = list(sys.argv), list(sys.path)
    with pytest.raises(TrialStop):
        script(folder / "train.py")({"lr": 0.25}, run)
    assert run.reports == [(1, {"loss": 0.75}), (2, {"loss": 0.5})]
    assert (sys.argv, sys.path) == (argv, path)


def test_a_script_runs_by_hand(folder: Path) -> None:
    done = subprocess.run([sys.executable, "train.py"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_run_is_the_trials_as_long_as_it_lasts() -> None:
    real = NullRun(seed=7, device="cuda", max_t=5)
    with installed(real, {"lr": 0.1}):
        run = sweep.run(defaults={"lr": 1.0, "batch": 8})
        assert run.params == {"lr": 0.1, "batch": 8}
        assert (run.seed, run.device, run.max_t) == (7, "cuda", 5)
        run.report(1, loss=1.0)
        run.save({"a": 1})
        assert run.restore() == {"a": 1} == real.restore()
    assert real.reports == [(1, {"loss": 1.0})]
    alone = sweep.run(defaults={"lr": 1.0})
    assert (alone.params, alone.seed, alone.max_t) == ({"lr": 1.0}, 0, None)
    with pytest.raises(TrialFault, match="steps must ascend"):
        alone.report(0, loss=1.0)


@pytest.mark.parametrize(("code", "fails"), [("0", False), ("None", False), ("3", True)])
def test_a_script_may_end_itself(tmp_path: Path, code: str, fails: bool) -> None:
    (tmp_path / "ends.py").write_text(f"import sys\nsys.exit({code})\n")
    train = script(tmp_path / "ends.py")
    if not fails:
        train({}, NullRun())
        return
    with pytest.raises(TrialFault, match=r"ends.py ended with sys.exit\(3\)"):
        train({}, NullRun())


def test_a_script_is_found_where_python_imports_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(folder))
    run = NullRun()
    load_code("train.py")({"steps": 1}, run)
    assert run.reports == [(1, {"loss": 0.5})]
    with pytest.raises(ImportError, match="no script"):
        load_code("absent.py")


def test_what_is_missing_inside_a_users_module_is_not_put_down_to_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more.py").write_text("import certainly_absent\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="No module named 'certainly_absent'"):
        load_code("needs_more:train")


@pytest.mark.parametrize("name", ["train.py", "a/b-c/train.v2.py", "_x.py"])
def test_paths_of_scripts(name: str) -> None:
    assert is_script(name)
    assert find(name, {}).code == name


@pytest.mark.parametrize(
    "name", ["/train.py", "../train.py", "a/../b.py", "a//b.py", ".py", "x.pyc"]
)
def test_what_is_no_path_of_a_script(name: str) -> None:
    assert not is_script(name)
    with pytest.raises(SpecError, match="there is no trainable"):
        find(name, {})


def checked(raw: dict[str, object]) -> None:
    spec = parse_spec(raw)
    check_spec(spec, find(spec.trainable, {}))


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"trainable": "train.py"}, "code", "--code FOLDER"),
        ({"trainable": "train.py", "code": f"sha256:{'0' * 64}", "pack": "auto"}, "pack", "script"),
        ({"trainable": "m:f", "code": "sha256:xyz"}, "code", "pattern"),
    ],
)
def test_what_does_not_fit_is_said(fields: dict[str, object], path: str, message: str) -> None:
    raw = {
        "name": "s",
        "metric": {"name": "loss", "mode": "min"},
        "parameters": {"lr": 1},
        **fields,
    }
    with pytest.raises(SpecError) as found:
        checked(raw)
    assert [problem.path for problem in found.value.problems] == [path]
    assert message in found.value.problems[0].message
