"""What an imported spec draws is what its source's documentation says, in distribution."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from sweep.imports import determined, katib, wandb
from sweep.plain import flatten
from tests.unit.imports import meanings
from tests.unit.imports.drawing import KNOWN, again, assert_alike, draws, source

N = 2_000


def _theirs_of_wandb(parameters: Mapping[str, Any], rng: Any, within: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, one in parameters.items():
        path = within + name.replace("-", "_").replace(".", "_")
        if "parameters" in one:
            found |= _theirs_of_wandb(one["parameters"], rng, f"{path}.")
        else:
            found[path] = meanings.wandb(one, rng, N)
    return found


def _theirs_of_determined(parameters: Mapping[str, Any], rng: Any, within: str = "") -> Any:
    found: dict[str, Any] = {}
    for name, one in parameters.items():
        if isinstance(one, Mapping) and "type" not in one:
            found |= _theirs_of_determined(one, rng, f"{within}{name}.")
        else:
            found[within + name] = meanings.determined(one, rng, N)
    return found


def _flat(columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Columns of mappings as a column for each of their leaves."""
    flat: dict[str, list[Any]] = {}
    for path, values in columns.items():
        for value in values:
            for leaf, inner in flatten(value, path):
                flat.setdefault(leaf, []).append(inner)
    return flat


def _compare(document: Mapping[str, Any], theirs: Mapping[str, list[Any]]) -> None:
    ours, theirs = draws(document, N), _flat(theirs)
    assert ours.keys() == theirs.keys()
    for path, values in theirs.items():
        assert_alike(ours[path], values)


@pytest.mark.parametrize("name", ["logs", "inferred", "quantised", "nested", "brackets_min"])
def test_wandb(name: str) -> None:
    raw = source(f"wandb/{name}.yaml")
    _compare(
        again(wandb.read(raw, KNOWN)),
        _theirs_of_wandb(raw["parameters"], np.random.default_rng(1)),
    )


def test_wandb_where_there_are_too_many_multiples_to_list() -> None:
    raw = source("wandb/too_fine.yaml")
    theirs = _theirs_of_wandb(raw["parameters"], np.random.default_rng(1))
    theirs["batch"] = [float(v) for v in theirs["batch"]]  # as the warning says
    _compare(again(wandb.read(raw, KNOWN)), theirs)


@pytest.mark.parametrize("name", ["random", "adaptive", "adaptive_old", "single"])
def test_determined(name: str) -> None:
    raw = source(f"determined/{name}.yaml")
    _compare(
        again(determined.read(raw, KNOWN)),
        _theirs_of_determined(raw["hyperparameters"], np.random.default_rng(2)),
    )


@pytest.mark.parametrize("name", ["random", "distributions", "tpe_median", "bayes", "pbt"])
def test_katib(name: str) -> None:
    raw = source(f"katib/{name}.yaml")
    rng = np.random.default_rng(3)
    theirs = {
        one["name"].lstrip("-").replace("-", "_"): meanings.katib(one, rng, N)
        for one in raw["spec"]["parameters"]
    }
    _compare(again(katib.read(raw, KNOWN)), theirs)


def test_a_meaning_that_is_wrong_is_noticed() -> None:
    raw = source("wandb/logs.yaml")
    wrong = {**raw["parameters"]["exponents"], "distribution": "uniform"}
    ours = draws(again(wandb.read(raw, KNOWN)), N)["exponents"]
    with pytest.raises(AssertionError):
        assert_alike(ours, meanings.wandb(wrong, np.random.default_rng(1), N))
    ends = meanings.wandb({"min": 0, "max": 4}, np.random.default_rng(1), N)
    with pytest.raises(AssertionError):
        assert_alike(ends, [v if v < 4 else 3 for v in ends])
