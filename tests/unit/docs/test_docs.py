"""The documentation keeps step with the code."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from fastapi.testclient import TestClient

from docs.examples.my_training import train
from docs.generate import FOLDER, GENERATED
from service.query.fields import SWEEPS, TRIALS, Entity
from service.query.parse import parse_fields, parse_filter
from sweep.cli.app import app as cli
from sweep.loading import load_yaml
from sweep.run import NullRun
from sweep.space import Space
from sweep.spec import parse_spec
from sweep.states import TrialState
from sweep.submission import read_submission
from sweep.trainables import check_spec, find, registered
from tests.unit.api.test_sweeps import SPEC
from workers.local import Options
from workers.local import run as run_locally

ROOT = FOLDER.parent
PACKING = FOLDER / "packing.md"
PAGES = [ROOT / "README.md", *sorted(FOLDER.rglob("*.md"))]


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_generated_is_current(name: str) -> None:
    assert (FOLDER / name).read_text() == GENERATED[name](), "run `python -m docs.generate`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_specs_in_the_text_are_valid(page: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        spec = parse_spec(load_yaml(block))
        check_spec(spec, find(spec.trainable, registered()))
        assert next(Space(spec).trials()).index == 0


def test_the_packed_example_learns_in_packs_of_one_network_each() -> None:
    (text,) = re.findall(r"```yaml\n(name: distance.*?)```", PACKING.read_text(), re.DOTALL)
    raw = load_yaml(text)
    raw["search"]["num_trials"] = 8
    raw["early_stopping"]["max_t"] = 300
    rows = run_locally(
        read_submission(raw, trainables=registered(), max_trials=100), Options()
    ).rows.values()
    assert {row.state for row in rows} == {TrialState.COMPLETED}
    packs = {(row.pack, row.parameters["width"]) for row in rows}
    assert len(packs) == len({width for _, width in packs}) == 2
    assert min(row.last["error"] or 1.0 for row in rows) < 0.2


def test_the_example_runs_alone_and_goes_on_from_its_state() -> None:
    run = NullRun(seed=1)
    train({"lr": 0.1}, run)
    assert run.reports[-1][0] == 100
    assert run.reports[-1][1]["loss"] < 1e-6
    resumed = NullRun()
    resumed.save({"step": 98, "x": 3.0})
    train({"lr": 0.1}, resumed)
    assert [step for step, _ in resumed.reports] == [99, 100]


QUERIES = (FOLDER / "queries.md").read_text()


@pytest.mark.parametrize(
    ("kind", "entity", "path"),
    [
        ("filter", TRIALS, "/v1/sweeps/id1/trials"),
        ("filter of sweeps", SWEEPS, "/v1/sweeps"),
    ],
)
def test_every_query_in_the_text_can_be_asked(
    client: TestClient, kind: str, entity: Entity, path: str
) -> None:
    client.post("/v1/sweeps", json=SPEC)
    (block,) = re.findall(rf"```{kind}\n(.*?)```", QUERIES, re.DOTALL)
    lines = block.strip().splitlines()
    assert len(lines) >= 4
    for line in lines:
        parse_filter(line, entity)
        answer = client.get(path, params={"filter": line, "count": True})
        assert answer.status_code == 200, (line, answer.text)


def test_every_command_in_the_text_is_one() -> None:
    (block,) = re.findall(r"```\n(sweep .*?)```", QUERIES, re.DOTALL)
    for line in block.strip().splitlines():
        name, *arguments = shlex.split(line)[1:]
        command = typer.main.get_command(cli).commands[name]  # type: ignore[attr-defined]
        given = command.make_context(name, arguments, resilient_parsing=False).params
        if text := given.get("filter"):
            parse_filter(text, SWEEPS if name == "list" else TRIALS)
        if text := given.get("fields"):
            parse_fields(text)


def test_every_field_is_in_the_text() -> None:
    prose = re.sub(r"```.*?```", "", QUERIES, flags=re.DOTALL)
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", prose))))
    for entity in (TRIALS, SWEEPS):
        assert set(entity.columns) <= named
