"""The sweep service's contract, client and command line.

Importing this package loads neither the HTTP client nor anything of the server or
of the workers.
"""

from typing import TYPE_CHECKING, Any

from sweep.current import run
from sweep.run import NullRun, Run
from sweep.spec import SweepSpec, parse_spec

if TYPE_CHECKING:
    from sweep.client import Client

__all__ = ["Client", "NullRun", "Run", "SweepSpec", "parse_spec", "run"]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from sweep.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
