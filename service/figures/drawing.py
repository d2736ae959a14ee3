"""Draws one figure: a task as JSON on standard input, its PNG on standard output.

Run by `service.figures.picture` as a process of its own.
"""

import json
import sys


def main() -> None:
    """Draw."""
    import kaleido

    task = json.load(sys.stdin)
    picture = kaleido.calc_fig_sync(
        task["figure"],
        opts={"format": "png", "scale": 2, "width": task["width"], "height": task["height"]},
        kopts={"path": task["browser"], "mathjax": False},
    )
    sys.stdout.buffer.write(picture)


if __name__ == "__main__":
    main()
