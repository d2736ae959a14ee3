"""Which failures in a row exclude a node, and which say nothing about it."""

from workers.driver.breaker import BAD_AFTER, Breaker, Exclusion
from workers.driver.nodes import Node

A, B = (Node(name, f"10.0.0.{name}", {"CPU": 4.0}) for name in "12")


def make_breaker(*nodes: Node, cpus: float = 1) -> Breaker:
    breaker = Breaker({"CPU": cpus}, {})
    breaker.nodes = nodes or (A, B)
    return breaker


def fail(breaker: Breaker, node: Node, *trials: int) -> Exclusion | None:
    return breaker.failed(node.id, frozenset(trials), "Traceback\nOSError: no such disk")


def test_three_trials_in_a_row_exclude_a_node_and_say_why() -> None:
    breaker = make_breaker()
    assert BAD_AFTER == 3
    assert fail(breaker, A, 1) is None
    assert fail(breaker, A, 2) is None
    found = fail(breaker, A, 3)
    assert found == Exclusion(
        A.id,
        "10.0.0.1: 3 trials in a row failed there; the last: OSError: no such disk",
        trials=(1, 2),
    )
    assert breaker.excluded == {A.id: found.reason}
    assert fail(breaker, A, 4) is None


def test_a_success_starts_the_count_again() -> None:
    breaker = make_breaker()
    fail(breaker, A, 1)
    fail(breaker, A, 2)
    breaker.succeeded(A.id)
    assert fail(breaker, A, 3) is None
    assert fail(breaker, A, 4) is None
    assert fail(breaker, A, 5) is not None


def test_one_trial_that_fails_again_and_again_says_nothing_about_its_node() -> None:
    breaker = make_breaker()
    assert [fail(breaker, A, 1) for _ in range(5)] == [None] * 5
    assert fail(breaker, A, 2) is None


def test_packs_that_share_a_poisoned_member_count_once() -> None:
    breaker = make_breaker()
    for members in (range(8), range(4), (2, 3), (2,)):
        assert fail(breaker, A, *members) is None
    assert fail(breaker, A, 8, 9) is None
    found = fail(breaker, A, 10)
    assert found is not None
    assert found.trials == ()


def test_a_trial_that_fails_elsewhere_too_is_no_sign_against_either_node() -> None:
    breaker = make_breaker()
    fail(breaker, A, 1)
    fail(breaker, A, 2)
    assert fail(breaker, B, 1) is None
    assert fail(breaker, A, 3) is None
    assert fail(breaker, A, 4) is not None


def test_while_every_node_fails_the_trials_are_bad_not_the_nodes() -> None:
    breaker = make_breaker()
    assert [fail(breaker, (A, B)[i % 2], i) for i in range(10)] == [None] * 10
    breaker.succeeded(B.id)
    assert fail(breaker, A, 10) is not None


def test_no_node_more_is_excluded_once_a_witness_failed_elsewhere_too() -> None:
    breaker = make_breaker(A, B, Node("3", "10.0.0.3", {"CPU": 4.0}))
    for trial in range(3):
        fail(breaker, A, trial)
    assert list(breaker.excluded) == [A.id]
    assert [fail(breaker, B, trial) for trial in range(2, 9)] == [None] * 7
    assert list(breaker.excluded) == [A.id]


def test_the_last_node_that_could_train_is_never_excluded() -> None:
    for breaker in (make_breaker(A), make_breaker(A, Node("3", "10.0.0.3", {"CPU": 0.5}))):
        assert [fail(breaker, A, trial) for trial in range(9)] == [None] * 9
        breaker.nodes = (A, B)
        found = fail(breaker, A, 9)
        assert found is not None
        assert found.trials == (7, 8)
        assert [fail(breaker, B, trial) for trial in range(20, 29)] == [None] * 9


def test_a_failure_on_a_node_that_is_not_known_counts_nowhere() -> None:
    breaker = make_breaker()
    assert [breaker.failed(None, frozenset({i}), "died") for i in range(5)] == [None] * 5
