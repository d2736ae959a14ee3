"""How long saving and restoring the states of a pack's members takes, one by one and at once.

    python -m benchmarks.checkpoints [URL] [--members 500] [--kilobytes 100]

Without a URL: a temporary folder. Prints seconds for all members.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable

from sweep.metric import Metric
from sweep.spec import CheckpointPolicy
from sweep.storage import join, open_folder
from workers.driver.checkpoints import Checkpoints, for_each, in_turns


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--members", type=int, default=500)
    parser.add_argument("--kilobytes", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.url or folder
        state = {"weights": os.urandom(arguments.kilobytes * 1_000)}
        for words, each in (("one by one", one_by_one), ("at once", at_once)):
            measure(join(url, words.replace(" ", "-")), arguments.members, state, words, each)


def measure(
    url: str,
    members: int,
    state: dict[str, bytes],
    words: str,
    each: Callable[[Callable[[int], object], int], None],
) -> None:
    """Save the first and a second state of each member, then restore them."""
    trials = [attempt(url, index, 1) for index in range(members)]
    uris = [""] * members

    def save(index: int, step: int) -> None:
        uris[index] = trials[index].save(step, state)

    def restore(index: int) -> None:
        if attempt(url, index, 2).restore(uris[index], 2) is None:
            raise RuntimeError(f"{uris[index]} is not there")

    first = seconds(lambda: each(lambda index: save(index, 1), members))
    second = seconds(lambda: each(lambda index: save(index, 2), members))
    restored = seconds(lambda: each(restore, members))
    open_folder(url).clear()
    print(
        f"{members} members {words}: first save {first:.2f} s, next {second:.2f} s, "
        f"restore {restored:.2f} s"
    )


def attempt(url: str, index: int, number: int) -> Checkpoints:
    """One member's states."""
    metric, policy = Metric(name="loss", mode="min"), CheckpointPolicy()
    return Checkpoints(join(url, str(index)), attempt=number, metric=metric, policy=policy)


def one_by_one(call: Callable[[int], object], members: int) -> None:
    """Call for each member in turn."""
    for index in range(members):
        call(index)


def at_once(call: Callable[[int], object], members: int) -> None:
    """Call as a pack does."""
    for some in in_turns(range(members)):
        for_each(call, some)


def seconds(call: Callable[[], None]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
