"""How names are written in a query."""

import re

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def written(name: str) -> str:
    """A name as a query takes it: in quotes unless it is plain."""
    if _BARE.fullmatch(name):
        return name
    return '"' + name.replace('"', '""') + '"'
