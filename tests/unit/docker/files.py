"""The files of docker/, read for tests."""

import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"
DOCKERFILE = DOCKER / "Dockerfile"
COMPOSE = DOCKER / "compose.yaml"
KUBERAY = DOCKER / "kuberay.yaml"
FILES = sorted(
    file for file in DOCKER.iterdir() if file.is_file() and not file.name.endswith(".env")
)

Mapping = dict[str, Any]


def compose() -> Mapping:
    """The compose file, its anchors resolved."""
    loaded: Mapping = yaml.safe_load(COMPOSE.read_text())
    return loaded


def manifests(kind: str | None = None) -> list[Mapping]:
    """The documents of the Kubernetes manifest, or those of one kind."""
    found: list[Mapping] = [d for d in yaml.safe_load_all(KUBERAY.read_text()) if d]
    return [d for d in found if kind in (None, d["kind"])]


def pod_templates() -> dict[str, Mapping]:
    """Every pod template of the manifest: of Deployments, Jobs and the Ray cluster's groups."""
    found = {}
    for document in manifests():
        spec = document.get("spec", {})
        if "template" in spec:
            found[document["metadata"]["name"]] = spec["template"]
        for group in [spec.get("headGroupSpec"), *spec.get("workerGroupSpecs", [])]:
            if group is not None:
                found[f"ray-{group.get('groupName', 'head')}"] = group["template"]
    return found


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [
        (name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line)
    ]


def final_stage() -> dict[str, str]:
    """The last argument of each instruction of the stage that becomes the image."""
    every = instructions()
    start = max(index for index, (name, _) in enumerate(every) if name == "FROM")
    return dict(every[start:])


def commands() -> Iterator[list[str]]:
    """Every command that containers of the compose file and the manifest run."""
    for service in compose()["services"].values():
        if "command" in service:
            yield service["command"]
    for template in pod_templates().values():
        for container in template["spec"]["containers"]:
            if "command" in container:
                yield container["command"]
    for text in re.findall(r"python -m service [a-z ]+", "".join(f.read_text() for f in FILES)):
        yield shlex.split(text)


def tool(*command: str) -> tuple[int, str]:
    """Run a tool that is installed beside this Python; its exit code and what it said."""
    path = f"{sysconfig.get_path('scripts')}/{command[0]}"
    ended = subprocess.run(
        [path, *command[1:]], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return ended.returncode, ended.stdout + ended.stderr


def module(*command: str) -> tuple[int, str]:
    """Run an installed module; its exit code and what it said."""
    ended = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return ended.returncode, ended.stdout + ended.stderr
