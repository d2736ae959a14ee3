"""What docker/ and docs/operations.md say of the code is true of the code."""

import re
from pathlib import Path

import pytest
from click import Command
from typer.main import get_group

from service.__main__ import app
from service.settings import Settings
from tests.unit.docker.files import FILES, ROOT, commands, final_stage, module

OPERATIONS = ROOT / "docs" / "operations.md"
CLIENTS = {"SWEEP_URL", "SWEEP_TOKEN"}
VARIABLES = {f"SWEEP_{name.upper()}" for name in Settings.model_fields} | CLIENTS
OURS = [command for command in commands() if command[:3] == ["python", "-m", "service"]]


def named(name: str) -> Command:
    found = get_group(app).commands.get(name)
    assert found is not None, f"`python -m service {name}` does not exist"
    return found


@pytest.mark.parametrize("file", [*FILES, OPERATIONS], ids=lambda file: file.name)
def test_every_setting_exists(file: Path) -> None:
    text = file.read_text()
    assert set(re.findall(r"\bSWEEP_[A-Z_]+", text)) <= VARIABLES


@pytest.mark.parametrize("command", OURS, ids=" ".join)
def test_every_command_and_option_of_the_service_exists(command: list[str]) -> None:
    known = named(command[3])
    options = {option for parameter in known.params for option in parameter.opts}
    assert {word for word in command if word.startswith("--")} <= options


def test_every_command_of_the_document_exists() -> None:
    found = set(re.findall(r"python -m service ([a-z]+)", OPERATIONS.read_text()))
    assert {"api", "dispatch", "migrate", "serve", "token"} <= found
    for name in found:
        named(name)


def test_every_role_of_the_service_has_a_container() -> None:
    roles = {command[3] for command in OURS}
    assert {"api", "dispatch", "migrate", "token"} <= roles
    assert set(get_group(app).commands) - roles == {"up", "serve"}


def test_other_commands_are_rays_and_the_databases() -> None:
    others = {command[0] for command in commands() if command not in OURS}
    assert others == {"ray", "postgres"}
    code, text = module("ray.scripts.scripts", "start", "--help")
    assert code == 0
    for command in commands():
        if command[0] == "ray":
            options = {word.partition("=")[0] for word in command if word.startswith("--")}
            assert all(option in text for option in options), options


def test_the_image_runs_the_api_by_itself() -> None:
    assert final_stage()["CMD"] == '["python", "-m", "service", "api"]'
