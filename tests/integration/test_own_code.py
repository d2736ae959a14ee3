"""A user's own code on a real Ray cluster: a function and a script, from a folder."""

import textwrap
from pathlib import Path
from typing import Any

import pytest

from sweep.states import SweepState, TrialState
from tests.integration.service_process import ServiceProcess

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def write(folder: Path, offset: int) -> Path:
    """A package with a function, a script, and a module and a file that both need."""
    files = {
        "mine/train.py": """
            from pathlib import Path
            from mine.model import score

            def fn(params, run):
                offset = int(Path(__file__).with_name("offset.txt").read_text())
                for step in range(1, 4):
                    run.report(step, score=score(params["x"], step) + offset)
        """,
        "mine/model.py": """
            def score(x, step):
                return float(x * step)
        """,
        "mine/offset.txt": str(offset),
        "script.py": """
            import sweep
            from mine.train import fn

            run = sweep.run(defaults={"extra": 1000})
            fn({"x": run.params["x"] + run.params["extra"]}, run)
        """,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    return folder


def spec(trainable: str) -> dict[str, Any]:
    return {
        "name": "own",
        "trainable": trainable,
        "metric": {"name": "score", "mode": "max"},
        "parameters": {"x": {"grid": [1, 2]}},
        "resources": {"cpu": 1},
        "max_failures": 0,
        "reuse_actors": True,
    }


def test_a_function_and_a_script_train_from_their_own_folders(
    service: ServiceProcess, tmp_path: Path
) -> None:
    client = service.start()
    first = client.submit(spec("mine.train:fn"), code=write(tmp_path / "a", 10))
    second = client.submit(spec("script.py"), code=write(tmp_path / "b", 20))
    found = []
    for sweep in (first, second):
        ended = client.wait(sweep.id, poll=0.2)
        trials = list(client.trials(sweep.id))
        assert ended.state is SweepState.COMPLETED, [trial.error for trial in trials]
        assert {trial.state for trial in trials} == {TrialState.COMPLETED}
        found.append([trial.metrics["score"] for trial in trials])
    assert found == [[13.0, 16.0], [3 * 1001 + 20.0, 3 * 1002 + 20.0]]
