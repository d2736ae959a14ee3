"""A study that a test can run: which of three numbers is the largest."""

from pathlib import Path

from sweep.study import Claim, Finding, Study, Table
from sweep.study.results import Results

SPEC = """
name: tiny-quick
trainable: noop
metric: {name: value, mode: max}
parameters: {x: {grid: [1.0, 3.0, 2.0]}}
"""


def _three(results: Results) -> Finding | None:
    if results.trials.empty:
        return None
    best = results.trials["best"].max()
    return Finding(bool(best == 3.0), f"largest {best:g} of {len(results.trials)}")


def _seven(results: Results) -> Finding | None:
    return Finding(False, f"x = {results.trials['x'].max():g}") if len(results.trials) else None


def tiny(folder: Path) -> Study:
    """The study, its spec written into a folder."""
    path = folder / "tiny.yaml"
    path.write_text(SPEC)
    return Study(
        name="tiny",
        title="Three numbers",
        source="A test",
        about="Three numbers are reported.",
        specs={"quick": (path,)},
        claims=(
            Claim("Three is the largest", "page 1", "3", _three, "the best value is 3"),
            Claim("Seven is the largest", "page 2", "7", _seven, "never"),
        ),
        figures=(),
        labels={"quick": "A stand-in."},
        tables=(Table("All", ("x",), lambda r: [[f"{x:g}"] for x in r.trials.get("x", [])]),),
    )
