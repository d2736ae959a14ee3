"""The examples of docs/analysis.md run against a real service."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from docs.generate import FOLDER
from service.store.interface import Store
from sweep.cli.app import app as cli
from sweep.client import Client
from sweep.states import TrialState
from tests.unit.api.conftest import TOY
from tests.unit.cli.conftest import client, trainables, url
from tests.unit.store.builders import drive, moved, reported, send, started

__all__ = ["client", "trainables", "url"]  # fixtures

TEXT = (FOLDER / "analysis.md").read_text()
SPEC = {
    "name": "tasks",
    "trainable": TOY.name,
    "metric": {"name": "score", "mode": "max"},
    "parameters": {"x": {"grid": [1.0, 2.0]}, "kind": {"grid": ["a", "b", "c"]}},
    "replicates": 4,
    "early_stopping": {"type": "asha", "max_t": 9, "group_by": ["kind"]},
}


@pytest.fixture
def sweeps(client: Client, store: Store) -> tuple[str, str]:
    """Two sweeps of 24 trials each, of which the first 20 ran."""
    ids = []
    for offset in (0.0, 0.25):
        sweep = client.submit(SPEC)
        driver = drive(store, sweep.id)
        for index in range(20):
            score = index / 100 + offset
            send(
                store,
                driver,
                started(index),
                reported((1, score / 2), (9, score), trial=index, loss=1 - score),
                moved(TrialState.COMPLETED, trial=index, reason="max_t"),
                known=24,
            )
        ids.append(sweep.id)
    return ids[0], ids[1]


def test_its_python_examples_run(
    client: Client, sweeps: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 5
    first, second = (client.sweep(sweep_id) for sweep_id in sweeps)
    known = {"client": client, "sweep": first, "other": second}
    for block in blocks:
        code = block.replace("parameters.task", "parameters.kind")
        exec(code.replace("parameters.network", "parameters.x"), known)
    printed = capsys.readouterr().out
    assert "Best score by kind and group" in printed
    assert "5 mean=0.25" in printed
    assert "0 of 180 steps spared" in printed


def test_its_commands_run(sweeps: tuple[str, str]) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    wanted = (
        "max of best score",
        "at 0.9 or better",
        "best trial",
        "R² falls on held-out",
        "over 5 assignments",
    )
    lines = block.strip().splitlines()
    for line, expected in zip(lines, wanted, strict=True):
        words = shlex.split(
            line.replace("parameters.task", "parameters.kind").replace(
                "parameters.network", "parameters.x"
            )
        )
        named = {"ID": sweeps[0], "OTHER": sweeps[1]}
        found = CliRunner().invoke(cli, [named.get(word, word) for word in words[1:]])
        assert found.exit_code == 0, found.output
        assert expected in found.output, found.output
        as_json = CliRunner().invoke(cli, [*(named.get(w, w) for w in words[1:]), "--json"])
        assert as_json.output.startswith("{")
