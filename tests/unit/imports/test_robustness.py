"""Whatever stands in a file, an import answers with a spec or with an error for people."""

import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import SweepError
from sweep.imports import determined, katib, wandb
from sweep.loading import load_yaml
from sweep.spec import parse_spec
from tests.unit.imports.drawing import FILES, KNOWN

READERS = {"wandb": wandb.read, "determined": determined.read, "katib": katib.read}
SOURCES = [
    (path.parent.name, load_yaml(path.read_text())) for path in sorted(FILES.glob("*/*.yaml"))
]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([10**30, 1e308, 1e-320, -1e308, float("inf"), 1.0000001, 700, 1e-9]),
    st.sampled_from(["", "0", "-1", "nan", "1e400", "x", "--", "train.py", "\N{SNOWMAN}"]),
    st.just([]),
    st.just([1, "a", None]),
    st.just({}),
    st.just({"type": 1, "min": "a"}),
)


def places(raw: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document but the top."""
    found = [path] if path else []
    items = (
        raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    )
    for key, value in items:
        found += places(value, (*path, key))
    return found


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.sampled_from(SOURCES), st.lists(ODD, min_size=1, max_size=3), st.integers(0, 2**32))
def test_odd_values_anywhere(source: tuple[str, Any], odd: list[Any], seed: int) -> None:
    system, raw = source[0], copy.deepcopy(source[1])
    chosen = random.Random(seed)
    for value in odd:
        *where, last = chosen.choice(places(raw))
        here = raw
        for key in where:
            here = here[key]
        here[last] = copy.deepcopy(value)
    try:
        imported = READERS[system](raw, KNOWN)
    except SweepError:
        return
    assert parse_spec(load_yaml(imported.to_yaml())) == parse_spec(imported.document)


@pytest.mark.parametrize("system", READERS)
@pytest.mark.parametrize("raw", [None, 1, "x", [], {}, {1: 2}])
def test_what_is_no_configuration_at_all(system: str, raw: Any) -> None:
    with pytest.raises(SweepError):
        READERS[system](raw, KNOWN)
