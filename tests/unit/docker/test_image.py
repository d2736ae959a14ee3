"""The Dockerfile keeps the rules of its linter, and ours."""

import re
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

from tests.unit.docker.files import DOCKERFILE, ROOT, final_stage, instructions, tool


def arguments() -> dict[str, str]:
    pairs = [rest.partition("=") for name, rest in instructions() if name == "ARG"]
    return {name: value.strip('"') for name, _, value in pairs if value}


def test_the_linter_has_nothing_to_say() -> None:
    assert tool("hadolint", str(DOCKERFILE)) == (0, "")


def test_the_linter_would_say_something(tmp_path: Path) -> None:
    careless = tmp_path / "Dockerfile"
    careless.write_text("FROM python:latest\nADD https://example.com/x /x\nUSER root\n")
    code, text = tool("hadolint", "--no-color", str(careless))
    assert code == 1
    assert {"DL3002", "DL3007", "DL3066"} <= set(re.findall(r"DL\d+", text))


def test_every_base_is_pinned_to_a_whole_version() -> None:
    stages = set()
    for base, _, stage in (
        rest.partition(" AS ") for name, rest in instructions() if name == "FROM"
    ):
        assert base in stages | {"python:${PYTHON}", "torch-${DEVICE}"}
        stages.add(stage)
    assert {"torch-cpu", "torch-cuda"} <= stages
    version, *rest = arguments()["PYTHON"].split("-")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert version in SpecifierSet(project["requires-python"])
    assert rest == ["slim", "bookworm"]


def test_what_runs_is_no_root_and_says_how_it_is() -> None:
    last = final_stage()
    user, _, group = last["USER"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert "probe" in last["HEALTHCHECK"]


def test_nothing_secret_goes_into_a_layer() -> None:
    for name, rest in instructions():
        assert name != "ADD"
        if name in ("ARG", "ENV"):
            assert not re.search(r"TOKEN|PASSWORD|SECRET|DATABASE_URL", rest), rest


def test_the_cpu_image_takes_pytorch_from_the_cpu_index_and_the_cuda_image_does_not() -> None:
    text = DOCKERFILE.read_text()
    cpu = text.partition("AS torch-cpu")[2].partition("FROM ")[0]
    cuda = text.partition("AS torch-cuda")[2].partition("FROM ")[0]
    assert arguments()["DEVICE"] == "cpu"
    assert arguments()["CPU_INDEX"].endswith("/whl/cpu")
    assert '--index-url "${CPU_INDEX}"' in cpu
    assert "--no-deps" in cpu
    assert "--index-url" not in cuda
    pins = (ROOT / "constraints.txt").read_text()
    assert len(re.findall(r"^torch==", pins, re.MULTILINE)) == 1


def test_the_context_has_what_is_copied_and_every_package_is() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = set()
    for name, rest in instructions():
        if name == "COPY" and "--from=" not in rest:
            sources = [word for word in rest.split()[:-1] if not word.startswith("--")]
            copied.update(sources)
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {package.rstrip("*") for package in packages} <= copied
