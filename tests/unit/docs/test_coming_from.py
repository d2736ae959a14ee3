"""The pairs of docs/coming-from.md mean the same."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest
import typer.main

from docs.generate import FOLDER
from sweep.cli.app import app as cli
from sweep.imports import determined, katib, wandb
from sweep.imports.common import Imported, Options
from sweep.imports.optuna import from_study
from sweep.loading import load_yaml
from sweep.parameters import KINDS
from sweep.spec import parse_spec

TEXT = (FOLDER / "coming-from.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
KNOWN = Options(trainable="training:train")

Read = Callable[[object, Options], Imported]


def block(section: str, language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.DOTALL)
    return str(found)


def ours(section: str) -> Mapping[str, Any]:
    return load_yaml(block(section, "yaml"))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("section", "read"),
    [("W&B", wandb.read), ("Determined", determined.read), ("Katib", katib.read)],
)
def test_their_file_is_imported_as_our_spec(section: str, read: Read) -> None:
    imported = read(load_yaml(block(section, section.replace("&", "and").lower())), KNOWN)
    assert parse_spec(imported.document) == parse_spec(ours(section))
    ends = ["early_terminate.max_iter"] if section == "W&B" else []
    assert [w.path for w in imported.warnings] == ends


def test_their_study_is_imported_as_our_space() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names: dict[str, Any] = {}
    exec(block("Optuna", "python"), names)
    options = Options(trainable="training:train", metric="val_loss", num_trials=60)
    document = from_study(names["study"], options).document
    search = {**document["search"], "history": [], "startup_trials": 10}
    assert parse_spec({**document, "search": search}) == parse_spec(ours("Optuna"))


def test_rays_code_is_code_and_our_spec_is_one() -> None:
    compile(block("Ray Tune", "python"), "coming-from.md", "exec")
    assert parse_spec(ours("Ray Tune")).early_stopping.type == "asha"


@pytest.mark.parametrize("section", ["W&B", "Determined", "Katib", "Optuna", "Ray Tune"])
def test_its_tables_name_kinds_that_are_there(section: str) -> None:
    (table,) = re.findall(r"^\|.*?\n\n", SECTIONS[section], re.DOTALL | re.MULTILINE)
    cells = [row.split("|")[2] for row in table.splitlines()[2:] if row]
    named = set(re.findall(r"`(q?(?:log)?(?:uniform|randint|normal)|beta)`", " ".join(cells)))
    assert named
    assert named <= set(KINDS)


def test_its_commands_are_commands() -> None:
    (commands,) = re.findall(r"```\n(sweep .*?)```", TEXT, re.DOTALL)
    command = typer.main.get_command(cli).commands["import"]  # type: ignore[attr-defined]
    for line in commands.strip().splitlines():
        _, name, *arguments = line.split()
        assert name == "import"
        assert command.make_context(name, arguments).args == []
