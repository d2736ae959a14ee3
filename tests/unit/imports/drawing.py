"""Draws of an imported spec, and of what its source says, and whether they agree."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from sweep.imports.common import Imported, Options
from sweep.loading import load_yaml
from sweep.plain import flatten
from sweep.space import Space
from sweep.spec import parse_spec

FILES = Path(__file__).parent / "files"
KNOWN = Options(trainable="training:train")
FEW = 60
"""Up to so many different values, their counts are compared."""
UNLIKELY = 1e-3


def source(path: str) -> Any:
    return load_yaml((FILES / path).read_text())


def again(imported: Imported) -> Mapping[str, Any]:
    """The spec after a trip through the YAML that a person would get."""
    return load_yaml(imported.to_yaml())  # type: ignore[no-any-return]


def draws(document: Mapping[str, Any], number: int) -> dict[str, list[Any]]:
    """Every parameter's values in so many trials, by path, as our own space draws them."""
    spec = parse_spec(
        {
            **document,
            "search": {"type": "random", "num_trials": number, "seed": 5},
            "early_stopping": {"type": "none"},
        }
    )
    columns: dict[str, list[Any]] = {}
    for trial in Space(spec).trials():
        for path, value in flatten(trial.parameters):
            columns.setdefault(path, []).append(value)
    return columns


def assert_alike(ours: list[Any], theirs: list[Any]) -> None:
    """Whether both may come from one distribution (fixed seeds, so this does not flicker)."""
    assert {type(v) for v in ours} == {type(v) for v in theirs}
    kept, meant = [_key(v) for v in ours], [_key(_written(v)) for v in theirs]
    if len({*kept, *meant}) <= FEW:
        _assert_counts_alike(kept, meant)
    else:
        assert stats.ks_2samp(ours, theirs).pvalue > UNLIKELY


def _key(value: Any) -> Any:
    return value if isinstance(value, float) else repr(value)


def _written(value: Any) -> Any:
    """The number that one would write for one that is computed in binary fractions."""
    return round(value, 9) if isinstance(value, float) else value


def _assert_counts_alike(ours: list[Any], theirs: list[Any]) -> None:
    values = sorted({*ours, *theirs})
    table = np.array([[side.count(v) for v in values] for side in (ours, theirs)])
    rare = table.sum(axis=0) < 10
    pooled = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    if pooled.shape[1] > 1:
        assert stats.chi2_contingency(pooled).pvalue > UNLIKELY
