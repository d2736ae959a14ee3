"""Saved states of one trial, as files in one folder.

A file is written under another name and renamed, so a state is there whole or not
at all. The two newest are kept: a driver may not have told the service of the last.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_KEPT = 2


class Checkpoints:
    """The folder of one trial's states."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def save(self, step: int, state: Mapping[str, Any]) -> str:
        """Write a state and drop all but the newest two; where it lies."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step-{step:012d}.pkl"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            pickle.dump(dict(state), file, protocol=pickle.HIGHEST_PROTOCOL)
        partial.replace(path)
        for old in sorted(self._folder.glob("step-*.pkl"))[:-_KEPT]:
            old.unlink(missing_ok=True)
        return str(path)

    def load(self, uri: str) -> dict[str, Any] | None:
        """The state that lies there; None when it is gone."""
        try:
            with Path(uri).open("rb") as file:
                state: dict[str, Any] = pickle.load(file)
        except FileNotFoundError:
            return None
        return state
