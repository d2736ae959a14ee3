"""The studies that ship: sweep specs as YAML files, and the claims that they check.

`NAME.yaml` is a study's published size, `NAME-quick.yaml` what two cores do in minutes;
the module of the same name holds its claims and figures.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The specs' names, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def path_of(name: str) -> Path:
    """Where a spec lies."""
    return FOLDER / f"{name}.yaml"


def read(name: str) -> str:
    """A spec, as YAML text."""
    return path_of(name).read_text()
