"""What a driver is told by whoever launched it, through its environment."""

import json
import os
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@dataclass(frozen=True)
class Told:
    """Where the service is, what opens it, and where to spool."""

    urls: str
    """Of the API servers, with commas between, in the order in which to try them."""
    token: str
    spool: Path
    """A file that is this process's own."""


def read(environment: MutableMapping[str, str]) -> Told:
    """Read the environment, and take out what the sweep's trials must not inherit.

    SWEEP_DRIVER_URL: one URL or several with commas between. SWEEP_DRIVER_TOKEN, or
    SWEEP_DRIVER_TOKEN_FILE, a file that is read and deleted. SWEEP_DRIVER_SPOOL: a folder.
    """
    file = environment.get("SWEEP_DRIVER_TOKEN_FILE")
    token = environment["SWEEP_DRIVER_TOKEN"] if file is None else _take(Path(file))
    _keep_from_trials(environment)
    return Told(
        urls=environment["SWEEP_DRIVER_URL"],
        token=token,
        spool=Path(environment["SWEEP_DRIVER_SPOOL"]).resolve() / f"{os.getpid()}.jsonl",
    )


def _take(file: Path) -> str:
    token = file.read_text().strip()
    file.unlink()
    return token


def _keep_from_trials(environment: MutableMapping[str, str]) -> None:
    """A Ray job's working folder holds its driver's token: its workers get none."""
    if _JOB_CONFIG not in environment:
        return
    config = json.loads(environment[_JOB_CONFIG])
    config["runtime_env"] = {}
    environment[_JOB_CONFIG] = json.dumps(config)
