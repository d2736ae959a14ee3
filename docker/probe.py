#!/usr/bin/env python
"""`probe URL`: exit 0 when a URL answers 200 within four seconds, for health checks."""

import sys
import urllib.request

_TIMEOUT_S = 4.0


def main(url: str) -> int:
    """Ask once; the exit code."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S):
            return 0
    except OSError as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
