"""Whatever stands in a file, an import answers with a spec or with an error for people."""

import copy
from itertools import count
from typing import Any

import pytest

from sweep.errors import SweepError
from sweep.imports import determined, katib, wandb
from sweep.imports.common import Options
from sweep.loading import load_yaml
from sweep.spec import parse_spec
from tests.unit.imports.drawing import FILES, KNOWN

READERS = {"wandb": wandb.read, "determined": determined.read, "katib": katib.read}
SOURCES = {
    f"{path.parent.name}/{path.stem}": load_yaml(path.read_text())
    for path in sorted(FILES.glob("*/*.yaml"))
}
INFINITE = float("inf")
ODD: list[Any] = [
    *(None, True, 0, 1, -3, 700, 2_000, 2**62, 10**30, 10**400, -(10**400)),
    *(1e308, -1e308, 1e100, 1.0000001, 1e-9, 1e-320, INFINITE, -INFINITE, float("nan")),
    *("", "0", "-1", "nan", "1e308", "1e400", "9" * 400, "x", "--", "train.py", "\0", "\u2603"),
    *([], [1, "a", None], {}, {"type": 1, "min": "a"}),
]
EVERY = 20
"""One in so many of the specs that come out is written and read again."""


def places(raw: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document but the top."""
    found = [path] if path else []
    items = (
        raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    )
    for key, value in items:
        found += places(value, (*path, key))
    return found


def with_value(raw: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = here = copy.deepcopy(raw)
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = copy.deepcopy(value)
    return changed


@pytest.mark.parametrize("name", SOURCES)
def test_every_odd_value_at_every_place(name: str) -> None:
    raw, turn = SOURCES[name], count()
    for path in places(raw):
        for value in ODD:
            try:
                imported = READERS[name.partition("/")[0]](with_value(raw, path, value), KNOWN)
            except SweepError:
                continue
            if next(turn) % EVERY == 0:
                again = load_yaml(imported.to_yaml())
                assert parse_spec(again) == parse_spec(imported.document), (path, value)


def brackets(**early: Any) -> dict[str, Any]:
    return {**SOURCES["wandb/brackets_min"], "early_terminate": {"type": "hyperband", **early}}


def halving(name: str, **searcher: Any) -> dict[str, Any]:
    raw = SOURCES["determined/adaptive"]
    return {**raw, "searcher": {**raw["searcher"], "name": name, **searcher}}


@pytest.mark.parametrize(
    ("system", "raw", "path"),
    [
        ("wandb", brackets(min_iter=1, eta=2_000), "early_terminate.eta"),
        ("wandb", brackets(min_iter=1, eta=1e100), "early_terminate.eta"),
        ("wandb", brackets(max_iter=10**6, s=1, eta=2_000), "early_terminate.eta"),
        ("wandb", brackets(min_iter=10**30), "early_terminate.min_iter"),
        ("determined", halving("asha", divisor=2_000), "searcher.divisor"),
        ("determined", halving("adaptive_asha", divisor=2_000), "searcher.divisor"),
    ],
)
def test_numbers_too_large_are_named_where_they_stand(system: str, raw: Any, path: str) -> None:
    with pytest.raises(SweepError) as error:
        READERS[system](raw, Options(trainable="training:train"))
    assert str(error.value).startswith(f"{path}: is ")


@pytest.mark.parametrize("system", READERS)
@pytest.mark.parametrize("raw", [None, 1, "x", [], {}, {1: 2}])
def test_what_is_no_configuration_at_all(system: str, raw: Any) -> None:
    with pytest.raises(SweepError):
        READERS[system](raw, KNOWN)
