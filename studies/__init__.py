"""The sweep specs that ship with the project, as YAML files beside this module."""

from importlib.resources import files


def names() -> tuple[str, ...]:
    """The studies' names, sorted."""
    found = (entry.name for entry in files("studies").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


def read(name: str) -> str:
    """The spec of a study, as YAML text."""
    return files("studies").joinpath(f"{name}.yaml").read_text()
