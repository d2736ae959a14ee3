"""A node that a driver excludes: kept on the sweep, told in the audit, forgiven once."""

from service.store.interface import DriverIdentity, Store
from sweep.states import SweepState, TrialState
from sweep.wire import NodeExcluded, SweepFinished
from tests.unit.store.builders import at, create, drive, event_kinds, moved, send, started

EXCLUDED = NodeExcluded(node="aa", reason="10.0.0.2: 3 in a row", forgiven=(0, 1), time=at(2))


def failures(store: Store) -> list[int]:
    return [task.failures for task in store.tasks("s1", after=-1, limit=10).items]


def fail(store: Store, driver: DriverIdentity, trial: int) -> None:
    move = moved(TrialState.PENDING, trial=trial, failed=True, reason="retry")
    send(store, driver, started(trial), move)


def test_it_is_kept_and_its_trials_failures_are_taken_back(store: Store) -> None:
    create(store)
    driver = drive(store)
    for trial in range(3):
        fail(store, driver, trial)
    assert failures(store) == [1, 1, 1]
    send(store, driver, EXCLUDED)
    assert failures(store) == [0, 0, 1]
    assert store.get_sweep("s1").excluded_nodes == {"aa": "10.0.0.2: 3 in a row"}
    (event,) = [e for e in store.list_events("s1").items if e.kind == "node.excluded"]
    assert event.detail == {"node": "aa", "reason": "10.0.0.2: 3 in a row"}


def test_told_twice_it_changes_nothing_more(store: Store) -> None:
    create(store)
    driver = drive(store)
    fail(store, driver, 0)
    send(store, driver, EXCLUDED, EXCLUDED)
    fail_again = moved(TrialState.PENDING, attempt=2, failed=True, reason="retry")
    send(store, driver, started(attempt=2), fail_again)
    send(store, driver, EXCLUDED)
    assert failures(store)[0] == 1
    assert event_kinds(store).count("node.excluded") == 1


def test_a_second_node_joins_the_first(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, EXCLUDED)
    send(store, driver, NodeExcluded(node="bb", reason="10.0.0.3: bad too", time=at(3)))
    assert list(store.get_sweep("s1").excluded_nodes) == ["aa", "bb"]


def test_a_sweep_that_is_resumed_tries_all_nodes_again(store: Store) -> None:
    create(store)
    driver = drive(store)
    send(store, driver, EXCLUDED, SweepFinished(state=SweepState.PAUSED, time=at(3)))
    store.pause_sweep("s1", actor="me", now=at(4))
    assert list(store.get_sweep("s1").excluded_nodes) == ["aa"]
    store.resume_sweep("s1", actor="me", now=at(5))
    assert store.get_sweep("s1").excluded_nodes == {}
