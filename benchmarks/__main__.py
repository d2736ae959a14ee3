"""`python -m benchmarks [NAME …]`: run all benchmarks, or the named ones."""

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
    """Run and print."""
    names = sys.argv[1:] or NAMES
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(
            f"there is no benchmark {', '.join(sorted(unknown))}: there are {', '.join(NAMES)}"
        )
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    for name in names:
        print(f"\n== {name}", flush=True)
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
