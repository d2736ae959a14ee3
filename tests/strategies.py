"""Hypothesis strategies for parts of a spec, as plain data."""

from typing import Any

from hypothesis import strategies as st

from sweep.kinds import KINDS

names = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True).filter(
    lambda name: name not in KIND_NAMES
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5)
finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6)
scalars = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | finite | texts

KIND_NAMES = (*KINDS, "when")


def _range(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(numbers, numbers).map(lambda p: {"min": min(p), "max": max(p)})


def _normal(
    name: str, means: st.SearchStrategy[float], stds: st.SearchStrategy[float], **more: float
) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(means, stds).map(lambda p: {name: {"mean": p[0], "std": p[1], **more}})


values = st.lists(scalars, min_size=1, max_size=3)
grids = values.map(lambda v: {"grid": v})
drawn: st.SearchStrategy[dict[str, Any]] = st.one_of(
    values.map(lambda v: {"choice": v}),
    _range(finite).map(lambda r: {"uniform": r}),
    _range(st.floats(1e-6, 1e6)).map(lambda r: {"loguniform": r}),
    _range(finite).map(lambda r: {"quniform": {**r, "step": 0.5}}),
    _range(st.integers(-1000, 1000)).map(lambda r: {"randint": r}),
    _range(st.integers(1, 1000)).map(lambda r: {"lograndint": r}),
    _normal("normal", finite, st.floats(1e-3, 1e3)),
    _range(st.floats(1, 1e6)).map(lambda r: {"qloguniform": {**r, "max": r["max"] + 1, "step": 1}}),
    _range(st.integers(-1000, 1000)).map(lambda r: {"qrandint": {**r, "step": 7}}),
    _range(st.integers(7, 1000)).map(
        lambda r: {"qlograndint": {**r, "max": r["max"] + 7, "step": 7}}
    ),
    _normal("qnormal", finite, st.floats(1e-3, 1e3), step=0.1),
    _normal("lognormal", st.floats(-20, 20), st.floats(1e-3, 9)),
    _normal("qlognormal", st.floats(-20, 20), st.floats(1e-3, 9), step=0.5),
    st.tuples(st.floats(0.1, 50), st.floats(0.1, 50)).map(
        lambda p: {"beta": {"a": p[0], "b": p[1]}}
    ),
)


def parameters(kinds: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Parameters, nested up to twice."""
    leaf = scalars | kinds
    inner = st.dictionaries(names, leaf, max_size=2)
    return st.dictionaries(names, leaf | inner, min_size=1, max_size=4)


stopping: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"type": "none"}),
    st.builds(
        lambda grace, more, peers: {
            "type": "asha",
            "grace_period": grace,
            "max_t": grace + more,
            "min_peers": peers,
        },
        *(st.integers(1, 50) for _ in range(3)),
    ),
    st.builds(
        lambda max_t, more: {
            "type": "halving",
            "max_t": max_t,
            "restart_winner": {"max_t": max_t + more},
        },
        *(st.integers(1, 50) for _ in range(2)),
    ),
    st.builds(
        lambda max_t, every: {
            "type": "median",
            "max_t": max_t + every,
            "grace_period": every,
            "plateau": {"patience": every, "min_delta": 0.5},
        },
        *(st.integers(1, 50) for _ in range(2)),
    ),
    st.builds(
        lambda max_t, factor: {"type": "hyperband", "max_t": max_t, "reduction_factor": factor},
        st.integers(1, 1000),
        st.floats(1.5, 5),
    ),
)


def _spec(search: st.SearchStrategy[dict[str, Any]], kinds: Any) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {
            "name": st.just("drawn"),
            "trainable": st.just("some.module:train"),
            "metric": st.fixed_dictionaries(
                {"name": st.just("score"), "mode": st.sampled_from(["min", "max"])}
            ),
            "parameters": parameters(kinds),
            "search": search,
            "early_stopping": stopping,
            "replicates": st.integers(1, 3),
        }
    )


specs: st.SearchStrategy[dict[str, Any]] = st.one_of(
    _spec(st.builds(lambda s: {"type": "grid", "seed": s}, st.integers(0, 9)), grids),
    _spec(
        st.builds(
            lambda s, n: {"type": "random", "seed": s, "num_trials": n},
            st.integers(0, 9),
            st.integers(300, 400),
        ),
        drawn | grids,
    ),
)
