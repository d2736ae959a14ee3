"""What a driver is told by whoever launched it, through its environment."""

import json
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

MEMORY_MESSAGES = 10_000
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@dataclass(frozen=True)
class Told:
    """Where the service is, what opens it, and where to spool."""

    urls: str
    """Of the API servers, with commas between, in the order in which to try them."""
    token: str
    spool: Path
    """A file that is this process's own."""
    memory_messages: int = MEMORY_MESSAGES
    """How many messages wait in memory before more go to the file."""


def read(environment: MutableMapping[str, str]) -> Told:
    """Read the environment, and take out what the sweep's trials must not inherit.

    SWEEP_DRIVER_URL: one URL or several with commas between. SWEEP_DRIVER_TOKEN, or
    SWEEP_DRIVER_TOKEN_FILE, a file that is read and deleted. SWEEP_DRIVER_SPOOL: a folder.
    SWEEP_DRIVER_MEMORY_MESSAGES, which may be missing: a number from 1 up.

    Raises:
        ValueError: when that is no such number.
    """
    file = environment.get("SWEEP_DRIVER_TOKEN_FILE")
    token = environment["SWEEP_DRIVER_TOKEN"] if file is None else _take(Path(file))
    _keep_from_trials(environment)
    return Told(
        urls=environment["SWEEP_DRIVER_URL"],
        token=token,
        spool=Path(environment["SWEEP_DRIVER_SPOOL"]).resolve() / f"{os.getpid()}.jsonl",
        memory_messages=_number(environment, "SWEEP_DRIVER_MEMORY_MESSAGES", MEMORY_MESSAGES),
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name} is {text!r}: set it to a whole number from 1 up, or not at all")
    return int(text)


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
