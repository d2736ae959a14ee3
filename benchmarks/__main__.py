"""`python -m benchmarks [NAME …]`: run all benchmarks, or the named ones.

The exit code is 1 when one of them found what it measured worse than it may be.
"""

import os
import platform
import sys
from importlib import import_module

NAMES = (
    "footprint",
    "noop",
    "packs_inner",
    "packs",
    "interactions",
    "simulation",
    "searchers",
    "grouped_stopping",
    "population",
    "memory",
    "results",
)


def main() -> None:
    """Run and print, and exit."""
    names = sys.argv[1:] or NAMES
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(
            f"there is no benchmark {', '.join(sorted(unknown))}: there are {', '.join(NAMES)}"
        )
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    failed = False
    for name in names:
        print(f"\n== {name}", flush=True)
        failed |= bool(import_module(f"benchmarks.{name}").main())
    sys.exit(failed)


if __name__ == "__main__":
    main()
