"""One attempt's saved states: what is found again, what is kept, what a failure leaves."""

import logging
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.errors import StorageFailed
from sweep.metric import Metric
from sweep.spec import CheckpointPolicy
from sweep.storage import open_folder, split
from workers.driver.checkpoints import Checkpoints, for_each, in_turns

SCORE = Metric(name="score", mode="max")


class Seconds:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {
        "local": str(tmp_path / "trial"),
        "memory": f"memory://{uuid.uuid4().hex}/trial",
    }[request.param]


def attempt(
    folder: str,
    number: int = 1,
    *,
    keep_last: int = 2,
    keep_best: bool = False,
    clock: Seconds | None = None,
) -> Checkpoints:
    policy = CheckpointPolicy(keep_last=keep_last, keep_best=keep_best)
    return Checkpoints(
        folder, attempt=number, metric=SCORE, policy=policy, clock=clock or Seconds()
    )


def save(states: Checkpoints, *steps: int) -> list[str]:
    return [states.save(step, {"step": step, "by": "test"}) for step in steps]


def damage(uri: str) -> None:
    folder, name = split(uri)
    opened = open_folder(folder)
    opened.write(name, opened.read(name)[:-3])


def there(folder: str) -> set[str]:
    return set(open_folder(folder).names())


def test_a_state_is_restored_by_the_next_attempt(folder: str) -> None:
    *_, last = save(attempt(folder), 1, 2, 3)
    found = attempt(folder, 2).restore(last, 3)
    assert found is not None
    assert (found.step, found.uri, found.state) == (3, last, {"step": 3, "by": "test"})


def test_a_damaged_state_gives_way_to_the_one_before(
    folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    *_, older, last = save(attempt(folder), 1, 2, 3)
    damage(last)
    found = attempt(folder, 2).restore(last, 3)
    assert found is not None
    assert (found.step, found.uri) == (2, older)
    assert f"{last} cannot be used" in caplog.text
    assert f"goes on from the older state {older}" in caplog.text


def test_without_a_state_that_can_be_read_the_trial_starts_fresh_and_says_so(
    folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = attempt(folder)
    for uri in save(first, 1, 2):
        damage(uri)
    open_folder(folder).remove("1-1-after-0-0.state")
    again = attempt(folder, 2)
    assert again.restore(f"{folder}/1-2-after-0-0.state", 2) is None
    assert "starts from its beginning" in caplog.text
    save(again, 1)
    assert there(folder) == {"2-1-after-0-0.state"}, "what was given up goes"


def test_a_node_that_does_not_reach_the_folder_starts_fresh(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    uri = f"{tmp_path}/on-another-node/1-7-after-0-0.state"
    assert attempt(str(tmp_path / "here"), 2).restore(uri, 7) is None
    assert "must be one that every node reaches" in caplog.text


def test_a_node_never_goes_on_from_a_training_that_was_given_up(tmp_path: Path) -> None:
    """Two nodes with folders of their own: the first saw attempt 1, the second attempt 2."""
    first = str(tmp_path / "first-node")
    save(attempt(first), 10, 20)
    recorded = f"{first}/2-30-after-0-0.state"  # saved on the other node, after a fresh start
    assert attempt(first, 3).restore(recorded, 30) is None


def test_a_fresh_start_does_not_lose_its_states_to_those_before(folder: str) -> None:
    save(attempt(folder), 100, 200)
    again = attempt(folder, 2)
    (uri,) = save(again, 10)
    assert there(folder) == {split(uri)[1]}


def test_a_writer_that_was_replaced_takes_nothing_from_its_successor(folder: str) -> None:
    zombie = attempt(folder)
    *_, last = save(zombie, 1, 2)
    successor = attempt(folder, 2)
    successor.restore(last, 2)
    (newer,) = save(successor, 3)
    save(zombie, 3, 4, 5, 6)
    found = attempt(folder, 3).restore(newer, 3)
    assert found is not None
    assert found.uri == newer


def test_the_newest_are_kept_and_those_that_the_service_knows(folder: str) -> None:
    clock = Seconds()
    states = attempt(folder, clock=clock)
    for step in range(1, 100):
        save(states, step)
        clock.now += 0.1
    steps = sorted(int(name.split("-")[1]) for name in there(folder))
    assert steps[-2:] == [98, 99]
    assert any(5.0 <= (99 - step) * 0.1 <= 10.1 for step in steps)
    assert len(steps) <= 6
    states.tidy()
    assert there(folder) == {"1-98-after-0-0.state", "1-99-after-0-0.state"}


@pytest.mark.parametrize("keep_last", [1, 3])
def test_the_policy_says_how_many_stay_at_the_end(folder: str, keep_last: int) -> None:
    states = attempt(folder, keep_last=keep_last)
    save(states, 1, 2, 3, 4, 5)
    states.tidy()
    assert len(there(folder)) == keep_last


def test_the_best_state_stays_over_attempts(folder: str) -> None:
    first = attempt(folder, keep_last=1, keep_best=True)
    for step, score in ((1, 0.2), (2, 0.9), (3, 0.4), (4, float("nan"))):
        first.observe({"score": score})
        (last,) = save(first, step)
    assert first.best == f"{folder}/1-2-after-0-0.state"
    second = attempt(folder, 2, keep_last=1, keep_best=True)
    assert second.restore(last, 4) is not None
    assert second.best == first.best
    for step, score in ((5, 0.8), (6, 0.85)):
        second.observe({"score": score, "other": 5.0})
        save(second, step)
    second.tidy()
    assert there(folder) == {"1-2-after-0-0.state", "2-6-after-1-4.state"}
    second.observe({"score": 0.95})
    (best,) = save(second, 7)
    assert second.best == best
    second.tidy()
    assert there(folder) == {"2-7-after-1-4.state"}


def test_the_best_of_an_older_state_is_there_when_one_goes_back_to_it(folder: str) -> None:
    states = attempt(folder, keep_best=True)
    for step, score in ((1, 0.5), (2, 0.4), (3, 0.9)):
        states.observe({"score": score})
        *_, last = save(states, step)
    damage(last)
    again = attempt(folder, 2, keep_best=True)
    found = again.restore(last, 3)
    assert found is not None
    assert found.step == 2
    assert again.best is not None
    assert split(again.best)[1] in there(folder)
    assert again.best.endswith("1-1-after-0-0.state")


def test_without_the_policy_no_state_is_the_best(folder: str) -> None:
    states = attempt(folder)
    states.observe({"score": 1.0})
    save(states, 1)
    assert states.best is None


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from sweep.metric import Metric
from sweep.spec import CheckpointPolicy
from workers.driver.checkpoints import Checkpoints

folder = sys.argv[1]
states = Checkpoints(
    folder, attempt=1, metric=Metric(name="score", mode="max"), policy=CheckpointPolicy()
)
print(states.save(1, {"step": 1}), flush=True)
real = os.fsync
def killed(number):
    os.ftruncate(number, 40)  # as if half of it had reached the disk
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = killed
states.save(2, {"step": 2, "weights": list(range(10_000))})
"""


def test_a_writer_killed_in_the_middle_of_a_save_leaves_the_older_state(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED_WRITER, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    (partial,) = tmp_path.glob("*.partial")
    assert partial.name.startswith("1-2-")
    again = attempt(str(tmp_path), 2)
    found = again.restore(ended.stdout.strip(), 1)
    assert found is not None
    assert found.state == {"step": 1}
    save(again, 2)
    assert there(str(tmp_path)) == {"1-1-after-0-0.state", "2-2-after-1-1.state"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
            check=False,
            capture_output=True,
        ).returncode
    )
    if not mounted:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_keeps_the_states_before(small_disk: Path) -> None:
    states = attempt(str(small_disk / "trial"))
    (uri,) = save(states, 1)
    with pytest.raises(StorageFailed, match=r"1-2-after-0-0\.state.*No space left on device"):
        states.save(2, {"weights": os.urandom(2_000_000)})
    assert there(str(small_disk / "trial")) == {"1-1-after-0-0.state"}
    found = attempt(str(small_disk / "trial"), 2).restore(uri, 1)
    assert found is not None
    assert found.step == 1


def test_many_are_saved_at_once_in_their_order(folder: str) -> None:
    members = [attempt(f"{folder}/{index}") for index in range(150)]
    uris: list[str] = []
    for some in in_turns(members):
        uris += for_each(lambda states: states.save(1, {"step": 1}), some)
    assert uris == [f"{folder}/{index}/1-1-after-0-0.state" for index in range(150)]
    assert all(attempt(f"{split(uri)[0]}", 2).restore(uri, 1) is not None for uri in uris)


def member(folder: str, number: int = 1, *, trial: str = "a") -> Checkpoints:
    """Of a trial in a population that compares every 10 steps."""
    policy = CheckpointPolicy(keep_last=1)
    return Checkpoints(
        f"{folder}-{trial}",
        attempt=number,
        metric=SCORE,
        policy=policy,
        interval=10,
        clock=Seconds(),
    )


def test_another_trials_state_is_copied_and_lives_on_without_it(folder: str) -> None:
    (donated,) = save(member(folder, trial="donor"), 10)
    own = member(folder)
    save(own, 10)
    taker = member(folder, 2)
    found = taker.restore(donated, 10)
    assert found is not None
    assert (found.step, found.state["by"]) == (10, "test")
    assert found.uri.startswith(f"{folder}-a/2-10-after-0-0")
    donor, name = split(donated)
    open_folder(donor).remove(name)
    again = member(folder, 3).restore(found.uri, 10)
    assert again is not None
    assert again.state == found.state


def test_a_donors_state_that_is_gone_gives_way_to_its_next(folder: str) -> None:
    uris = save(member(folder, trial="donor"), 10, 15, 20)
    donor, name = split(uris[0])
    open_folder(donor).remove(name)
    open_folder(donor).remove(split(uris[1])[1])
    found = member(folder).restore(uris[0], 10)
    assert found is not None
    assert (found.step, found.state["step"]) == (20, 20)
    for left in open_folder(donor).names():
        open_folder(donor).remove(left)
    assert member(folder, 2).restore(uris[0], 10) is None


def test_the_states_of_the_last_intervals_stay_for_others(folder: str) -> None:
    clock_states = member(folder)
    save(clock_states, *range(2, 61, 2))
    kept_steps = sorted(int(name.split("-")[1]) for name in open_folder(f"{folder}-a").names())
    assert {40, 50, 60} <= set(kept_steps)
    assert not {10, 20, 30, 44, 46} & set(kept_steps)
    clock_states.tidy()
    left = {int(name.split("-")[1]) for name in open_folder(f"{folder}-a").names()}
    assert left == {40, 50, 60}
