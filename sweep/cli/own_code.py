"""What `sweep submit` says of code that lies on the user's machine alone."""

import ipaddress
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def check_reachable(spec: Mapping[str, Any], *, url: str, beside: Path | None = None) -> None:
    """Warn of a function of a module that workers may not have.

    A module that is a file here and is not installed cannot be imported on other machines,
    unless their image has it. A service on this machine is trusted to have been started where
    it can.

    Args:
        spec: its plain data.
        url: the service's.
        beside: the spec's file.
    """
    if _is_this_machine(url):
        return
    module = _module(spec) if spec.get("code") is None else None
    if module is None or _installed(module):
        return
    folders = [Path.cwd(), *([beside.absolute().parent] if beside else [])]
    folder = next((f for f in folders if _is_file(f, module)), None)
    if folder is None:
        return
    sys.stderr.write(
        f"warning: module {module!r} is a file in {folder} and not installed: unless the workers "
        f"of {url} have it, submit it with the sweep, by --code {folder}\n"
    )


def _module(raw: Mapping[str, Any]) -> str | None:
    module, colon, _ = str(raw.get("trainable")).partition(":")
    return module if colon else None


def _is_file(folder: Path, module: str) -> bool:
    path = folder.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _installed(module: str) -> bool:
    """Whether the module's package is found elsewhere than in the current folder.

    A package that is installed to be edited has a finder of its own.
    """
    here = {"", str(Path.cwd())}
    folders = [folder for folder in sys.path if folder not in here]
    package = module.partition(".")[0]
    return any(
        finder.find_spec(package, folders if finder is PathFinder else None) is not None
        for finder in sys.meta_path
    )


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
