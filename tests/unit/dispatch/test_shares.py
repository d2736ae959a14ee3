"""How running sweeps share a cluster: exact places for exact views."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from service.dispatch.core import Limits, SetPlaces, StartDriver, decide
from service.dispatch.shares import share
from service.store.interface import SweepOnDuty
from sweep.states import WantedState
from tests.unit.dispatch.test_core import NOW, running, sweep

CLUSTER = {"CPU": 8.0, "GPU": 4.0}


def sharing(name: str, **fields: object) -> SweepOnDuty:
    asked = {"cluster": CLUSTER, "need": {"CPU": 1.0}, "wanted_places": 100}
    return running(name, **{**asked, **fields})


def test_a_sweep_alone_is_not_limited() -> None:
    assert share([sharing("a")]) == {"a": None}


def test_nobody_is_limited_before_the_cluster_is_known() -> None:
    assert share([running("a"), running("b")]) == {"a": None, "b": None}


def test_equal_sweeps_share_equally_and_by_weight() -> None:
    assert share([sharing("a"), sharing("b")]) == {"a": 4, "b": 4}
    assert share([sharing("a", weight=3), sharing("b")]) == {"a": 6, "b": 2}


def test_what_one_does_not_want_the_others_get() -> None:
    assert share([sharing("a", wanted_places=1), sharing("b")]) == {"a": 1, "b": 7}


def test_higher_priority_goes_first_and_lower_gets_the_rest() -> None:
    urgent = sharing("urgent", priority=1, wanted_places=6)
    assert share([sharing("a"), urgent]) == {"urgent": 6, "a": 2}
    urgent = sharing("urgent", priority=1)
    assert share([sharing("a"), urgent]) == {"urgent": 8, "a": 0}


def test_sweeps_with_unlike_needs_get_equal_dominant_shares() -> None:
    """Of 8 CPUs and 4 GPUs: a holds a quarter of the GPUs a place, b an eighth of the CPUs."""
    a = sharing("a", need={"CPU": 1.0, "GPU": 1.0})
    b = sharing("b", need={"CPU": 1.0})
    assert share([a, b]) == {"a": 3, "b": 5}


def test_fractions_add_up_to_one() -> None:
    cluster = {"GPU": 1.0}
    both = [sharing(n, cluster=cluster, need={"GPU": 0.1}) for n in "ab"]
    assert share(both) == {"a": 5, "b": 5}


def test_a_sweep_that_has_not_said_what_it_needs_starts_small() -> None:
    assert share([sharing("a"), running("new")]) == {"a": 8, "new": 1}


def test_a_sweep_that_is_to_pause_takes_no_part() -> None:
    assert share([sharing("a"), sharing("b", wanted=WantedState.PAUSE)]) == {"a": None}


def test_the_newest_view_of_the_cluster_counts() -> None:
    newer = sharing("b", lease_expires_at=NOW + timedelta(seconds=9), cluster={"CPU": 2.0})
    assert share([sharing("a"), newer]) == {"a": 1, "b": 1}


def test_only_changed_places_are_written() -> None:
    limits = Limits(max_running=2)
    both = [sharing("a", places=4), sharing("b", places=8)]
    assert decide(both, now=NOW, limits=limits) == [SetPlaces({"b": 4})]
    settled = [sharing("a", places=4), sharing("b", places=4)]
    assert decide(settled, now=NOW, limits=limits) == []


def test_a_sweep_does_not_wait_for_ones_of_lower_priority() -> None:
    both = [running("a"), running("b")]
    urgent = sweep("urgent", priority=1)
    limits = Limits(max_running=2)
    assert decide([*both, urgent], now=NOW, limits=limits) == [StartDriver("urgent", 0)]
    assert decide([*both, sweep("equal")], now=NOW, limits=limits) == []


needs = st.fixed_dictionaries({"CPU": st.sampled_from([0.5, 1.0, 3.0])}) | st.fixed_dictionaries(
    {"CPU": st.just(1.0), "GPU": st.sampled_from([0.25, 1.0])}
)


@given(
    st.lists(
        st.tuples(needs, st.integers(0, 20), st.integers(0, 2), st.sampled_from([0.5, 1, 4])),
        min_size=2,
        max_size=6,
    )
)
def test_no_resource_is_given_out_twice_and_none_lies_idle(
    asked: list[tuple[dict[str, float], int, int, float]],
) -> None:
    sweeps = [
        sharing(str(i), need=need, wanted_places=wanted, priority=priority, weight=weight)
        for i, (need, wanted, priority, weight) in enumerate(asked)
    ]
    places = {name: count or 0 for name, count in share(sweeps).items()}
    used = {name: sum(places[s.id] * s.need.get(name, 0) for s in sweeps) for name in CLUSTER}
    assert all(used[name] <= CLUSTER[name] + 1e-6 for name in CLUSTER)
    for s in sweeps:
        assert places[s.id] <= s.wanted_places
        fits = all(used[n] + amount <= CLUSTER[n] for n, amount in s.need.items())
        assert places[s.id] == s.wanted_places or not fits
